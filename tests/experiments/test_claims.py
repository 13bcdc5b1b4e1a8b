"""A claim: its verdict follows from the criterion on the mean, and it prints what it holds."""

import json
import math

import pytest

from firstlight.experiments import Claim
from firstlight.report.claims_pages import claims_markdown

TEXTS = {
    "name": "formula/x/y",
    "statement": "a | b",
    "source": "note sec. 3",
    "published": "≥ 0.8",
    "quantity": "correlation",
    "criterion": "the mean is at least 0.8",
}


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.7, 0.91], "reproduced"),
        ([0.8], "reproduced"),
        ([0.7, 0.89], "not reproduced"),
        ([], "not tested"),
        ([0.9, math.nan], "not tested"),
    ],
)
def test_the_verdict_is_on_the_mean(values, verdict):
    assert Claim.judged(values, lambda mean: mean >= 0.8, **TEXTS).verdict == verdict


def test_mean_and_sample_standard_deviation():
    claim = Claim.judged([0.9, 0.96, 0.93], lambda mean: True, **TEXTS)
    assert claim.mean == pytest.approx(0.93)
    assert claim.std == pytest.approx(0.03)
    assert claim.measured == "0.930 ± 0.030 (3 seeds)"
    assert Claim.judged([0.5], lambda mean: True, **TEXTS, replicates="network").measured == "0.500 (1 network)"
    assert Claim.judged([], lambda mean: True, **TEXTS).measured == "-"


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.6]])
def test_json_knows_no_nan(values):
    claim = Claim.judged(values, lambda mean: True, **TEXTS)
    assert json.loads(json.dumps(claim.to_dict(), allow_nan=False))["values"] == values


def test_markdown_escapes_bars():
    text = claims_markdown([Claim.judged([0.9], lambda mean: True, **TEXTS, note="But only just.")])
    row = text.splitlines()[2]
    assert row.startswith("| **reproduced** | a \\| b (note sec. 3) | ≥ 0.8 | correlation: 0.900 (1 seed); ")
    assert text.endswith("|\n\n- `formula/x/y`: But only just.\n")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((9.23e-5,), "9.2e-05 (1 seed)"),
        ((1e-4, 1e-4), "1.0e-04 ± below 1e-9 (2 seeds)"),
        ((1.01e-9,), "1.0e-09 (1 seed)"),
        ((-1e-5, 1e-5), "below 1e-9 ± 1.4e-05 (2 seeds)"),
        ((-0.1, 0.1 - 1e-16), "0.000 ± 0.141 (2 seeds)"),
        ((1.0, 1.0 + 4e-16), "1.000 ± 0.000 (2 seeds)"),
        ((0.0,), "0.000 (1 seed)"),
        ((0.9952, 0.9958), "0.996 ± 0.000 (2 seeds)"),
    ],
)
def test_small_values_show_their_order_of_magnitude(values, shown):
    claim = Claim.judged(values, lambda mean: True, **TEXTS)
    assert claim.measured == shown


@pytest.mark.parametrize(("values", "shown"), [((6.2e-13,), "(1 seed)"), ((5.9e-13, -1e-16), "(2 seeds)")])
def test_of_rounding_error_only_that_it_is_so_small_is_shown_and_stored(values, shown):
    claim = Claim.judged(values, lambda mean: mean < 1e-14, **TEXTS)
    assert claim.measured == f"below 1e-9 {shown}"
    assert claim.to_dict()["values"] == [0.0] * len(values)
    assert (claim.to_dict()["mean"], claim.to_dict()["std"]) == (0.0, 0.0 if len(values) > 1 else None)
    assert (claim.values, claim.verdict) == (values, "not reproduced")  # the criterion is on the numbers themselves
