"""Verdicts: intervals over seeds and over pairs of runs, and what they say of a criterion."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.experiments.verdicts import (
    CORRELATION,
    SHARE,
    Condition,
    pairs_interval,
    t_interval,
    t_quantile,
    verdict_of,
)


def interval(values) -> tuple[float, float]:
    found = t_interval(values)
    assert found is not None
    return found


def test_the_quantile_of_t_is_that_of_the_tables():
    # Abramowitz and Stegun, table 26.10, and beyond.
    known = {1: 12.706, 2: 4.303, 3: 3.182, 10: 2.228, 11: 2.201, 20: 2.086, 30: 2.042, 99: 1.984, 199: 1.972}
    for freedom, value in known.items():
        assert t_quantile(freedom) == pytest.approx(value, abs=6e-4)


def test_the_interval_of_three_seeds_by_hand():
    low, high = interval([0.9, 0.96, 0.93])
    assert (low + high) / 2 == pytest.approx(0.93)
    assert high - low == pytest.approx(2 * 4.3027 * 0.03 / math.sqrt(3), rel=1e-4)
    assert t_interval([0.9]) is None


def test_the_interval_covers_the_mean_of_what_it_was_drawn_from_19_times_in_20():
    draws = np.random.default_rng(0).normal(0.5, 0.2, (4000, 3))
    covered = [low <= 0.5 <= high for low, high in map(interval, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_pairs_that_share_a_run_are_not_counted_as_independent():
    """Of three seeds, one is unlike: all pairs that have it are, so that the interval is much wider than theirs."""
    pairs = {(0, 1): [0.9], (0, 2): [0.5], (1, 2): [0.5]}
    found = pairs_interval(pairs)
    assert found is not None
    low, high = found
    # Left out, seed 2 leaves 0.9, the others 0.5: pseudo-values 3 * mean - 2 * rest.
    mean = 1.9 / 3
    assert (low, high) == pytest.approx(interval([3 * mean - 2 * rest for rest in (0.5, 0.5, 0.9)]))
    assert high - low > 1.5 * np.ptp(interval([0.9, 0.5, 0.5]))
    assert pairs_interval({(0, 1): [0.9]}) is None  # without a seed nothing is left
    assert pairs_interval({}) is None


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.lists(st.floats(-1, 1), min_size=1)))
def test_an_interval_over_pairs_is_around_finite_numbers_or_none(pairs):
    found = pairs_interval(pairs)
    assert found is None or found[0] <= found[1]


@pytest.mark.parametrize(
    ("values", "possible", "shown"),
    [
        ([0.85, 0.93, 0.99], CORRELATION, "[0.749, 1.000]"),
        ([-0.85, -0.93, -0.99], CORRELATION, "[-1.000, -0.749]"),
        ([0.0, 0.1, 0.3], SHARE, "[0.000, 0.513]"),
        ([0.91, 0.92, 0.93], CORRELATION, "[0.895, 0.945]"),
        ([1.0], CORRELATION, ""),
    ],
)
def test_an_interval_is_shown_within_what_is_possible_and_judged_as_it_is(values, possible, shown):
    condition = Condition.over_seeds("x", values, most=1.0, possible=possible)
    assert condition.interval_text("{:.3f}".format) == shown
    assert condition.interval == t_interval(values)
    assert condition.holds == Condition.over_seeds("x", values, most=1.0).holds


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_no_interval_of_correlations_is_shown_beyond_1(values):
    text = Condition.over_seeds("r", values, possible=CORRELATION).interval_text(repr)
    assert all(-1 <= float(end) <= 1 for end in text.strip("[]").split(", "))


@pytest.mark.parametrize(
    ("values", "bounds", "holds"),
    [
        ([0.94, 0.95, 0.96], {"least": 0.8}, True),
        ([0.78, 0.79, 0.78], {"least": 0.8}, False),
        ([0.79, 0.85, 0.85], {"least": 0.8}, None),  # the mean is above, the interval is not
        ([0.95], {"least": 0.8}, None),  # one seed has no spread
        ([0.01, 0.0, -0.01], {"least": -0.03, "most": 0.03}, True),
        ([0.1, 0.11, 0.12], {"least": -0.03, "most": 0.03}, False),
        ([0.1, 0.11, 0.12], {"least": -0.03, "most": 0.03, "wrong_above": False}, None),
        ([-0.1, -0.11, -0.12], {"least": -0.03, "most": 0.03, "wrong_above": False}, False),
        ([0.5, 0.6, 0.9], {"most": 0.8, "every": True}, False),
        ([0.5, 0.6, 0.8], {"most": 0.8, "every": True}, True),
        ([0.5], {"most": 0.8, "every": True}, None),
        ([0.5, math.nan, 0.5], {"least": 0.1}, None),
        ([], {"least": 0.1}, None),
    ],
)
def test_a_condition_holds_where_the_whole_interval_does(values, bounds, holds):
    assert Condition.over_seeds("x", values, **bounds).holds is holds


def test_a_number_that_no_seed_changes_is_judged_as_it_is():
    assert Condition.of_data("x", 0.07, most=0.1).holds is True
    assert Condition.of_data("x", 0.11, most=0.1).holds is False
    assert Condition.of_data("x", 0.11, most=0.1).interval is None


def test_after_one_step_the_mean_is_held_against_the_criterion():
    early = {"after_one_step": [0.79, 0.83, 0.8]}
    assert Condition.over_seeds("x", [0.9, 0.9, 0.9], least=0.8, **early).holds_after_one_step
    assert not Condition.over_seeds("x", [0.9, 0.9, 0.9], least=0.81, **early).holds_after_one_step
    assert not Condition.over_seeds("x", [0.9, 0.9, 0.9], least=0.8).holds_after_one_step
    assert not Condition.over_seeds("x", [0.9] * 3, least=0.8, every=True, **early).holds_after_one_step


@pytest.mark.parametrize(
    ("holds", "published", "own"),
    [
        ([True, True], "reproduced", "holds"),
        ([True, False], "not reproduced", "violated"),
        ([None, False], "not reproduced", "violated"),
        ([True, None], "inconclusive", "inconclusive"),
    ],
)
def test_one_verdict_of_several_conditions(holds, published, own):
    values = {True: 1.0, False: 0.0, None: math.nan}
    conditions = [Condition.of_data("x", values[one], least=0.5) for one in holds]
    assert verdict_of(conditions, "published claim") == published
    assert {verdict_of(conditions, kind) for kind in ("assumption", "numerical check", "own finding")} == {own}
