"""The experiment `whitening`, on runs that were made so that the answer is known."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import Filters, finish, small_context, small_sets

from firstlight.experiments import Context, whitening
from firstlight.experiments.whitening.claims import ideal_claim, judge, random_claim
from firstlight.training import RunSpec
from firstlight.whitening import autocorrelation, whitening_bank

DISTANCES = np.arange(11)
NETWORKS = whitening.EXPERIMENT.networks


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("whitening"), names=("cifar10",))


def random_filters(spec: RunSpec, step: int) -> np.ndarray:
    return np.random.default_rng(spec.seed).standard_normal((27, 3, 3, 3))


def towards_whitening(context: Context) -> Filters:
    """From random filters to the ideal whitening ones, in equal parts at every step."""
    ideal = whitening_bank(context.basis()).weight

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        part = step / spec.steps
        return (1 - part) * random_filters(spec, 0) + part * ideal

    return filters


@pytest.fixture(scope="module")
def whitened(empty):
    done = finish(empty, NETWORKS, towards_whitening(empty), train_accuracy=0.9)
    return whitening.run(done)


def by_id(result) -> dict:
    assert [claim.id for claim in result.claims] == ["W1", "W1.resnet20", "W1.resnet20b", "W2", "W3", "W4"]
    return {claim.id: claim for claim in result.claims}


def test_every_bank_has_a_curve_and_the_pixels_have_theirs(whitened):
    curves = whitened.tables["curves"]
    train, _ = small_sets()
    counts = curves.groupby("bank").size() // 11
    assert counts.to_dict() == {
        "pixels": 1,
        "raw pixels": 1,
        "random": 100,
        "ideal whitening": 1,
        "initial": 9,
        "trained": 9,
        "change": 9,
    }
    assert (curves.query("distance == 0").value == 1).all()
    pixels = curves.query("bank == 'pixels'")
    np.testing.assert_array_equal(pixels.value, autocorrelation(None, train).value)
    unit = train.images / 255
    c0 = (unit**2).sum(axis=1).mean()
    across, down = (unit[..., :-10] * unit[..., 10:]), (unit[:, :, :-10] * unit[:, :, 10:])
    expected = (across.sum(axis=1).mean() + down.sum(axis=1).mean()) / 2 / c0
    assert curves.query("bank == 'raw pixels'").value.iloc[-1] == pytest.approx(expected, rel=1e-12)


def test_networks_that_end_in_the_whitening_bank_have_its_curve(whitened, empty):
    claims = by_id(whitened)
    train, _ = small_sets()
    ideal = autocorrelation(whitening_bank(empty.basis()), train).value
    pixels = autocorrelation(None, train).value
    rows = whitened.tables["networks"].query("network == 'vgg11'")
    for name, good in (("W1", "reproduced"), ("W1.resnet20", "holds")):
        claim = claims[name]
        assert claim.values == pytest.approx([ideal[10] / pixels[10]] * 3, abs=1e-9)
        assert claim.verdict == good
        assert not claim.holds_after_one_step
    assert claims["W1"].after_one_step == pytest.approx((rows.query("step == 1").weights / pixels[10]).tolist())
    assert np.isnan(rows.query("step == 0").change).all()
    assert (rows.query("step == 0").relative_change == 0).all()
    run = whitened.runs[0]
    change = autocorrelation(run.final - run.initial, train).value
    curves = whitened.tables["curves"].query("bank == 'change' and network == 'vgg11' and seed == 0")
    np.testing.assert_allclose(curves.value, change, atol=1e-9)
    last = whitened.tables["networks"].query("network == 'vgg11' and seed == 0").iloc[-1]
    assert last.change == pytest.approx(change[10], abs=1e-9)
    assert last.relative_change == pytest.approx(np.linalg.norm(run.final - run.initial) / np.linalg.norm(run.initial))
    assert claims["W3"].values == (pytest.approx(ideal[10]),)


def test_eq_3_tends_to_the_ideal_bank_and_starts_as_the_first_component_does(whitened):
    limit, components = whitened.tables["eq3_over_time"], whitened.tables["components"]
    ideal = whitened.tables["curves"].query("bank == 'ideal whitening'").value.to_numpy()
    last = limit[limit.tau == limit.tau.max()].value.to_numpy()
    np.testing.assert_allclose(last, ideal, atol=1e-9)
    assert by_id(whitened)["W4"].verdict == "holds"
    means = components.groupby("distance").value.mean()
    np.testing.assert_allclose(means, ideal, atol=1e-9)
    # Early, e is proportional to λ: each component's curve counts as λ⁴.
    early = limit[limit.tau == limit.tau.min()].value.to_numpy()
    weights = components.variance**2
    expected = (components.value * weights).groupby(components.distance).sum() / weights[components.distance == 0].sum()
    np.testing.assert_allclose(early, expected, atol=0.01)


def test_networks_that_stay_at_their_initialisation_keep_its_curve(empty):
    result = whitening.run(finish(empty, NETWORKS, random_filters, train_accuracy=0.9))
    curves = result.tables["curves"]
    pixels = curves.query("bank == 'pixels' and distance == 10").value.iloc[0]
    claim = by_id(result)["W1"]
    initial = curves.query("bank == 'initial' and network == 'vgg11' and distance == 10").value
    assert claim.values == pytest.approx((initial / pixels).tolist(), abs=1e-12)
    assert claim.after_one_step == pytest.approx(claim.values)
    assert claim.verdict == "not reproduced"
    assert "alone undefined" in claim.note  # there is no change that could have a curve
    assert "networks" in result.figures
    assert not any("nan" in claim.note for claim in result.claims)


def test_a_network_that_is_missing_or_has_not_learnt_is_not_tested_and_the_rest_is(empty):
    done = finish(empty, NETWORKS, random_filters, train_accuracy=0.9)
    failed = empty.specs("vgg11")[1]
    del done.finished[failed.hash]
    done.failures[failed.hash] = "the training diverged after step 3"
    done.finished[empty.specs("resnet20")[0].hash].metrics["train_accuracy"] = 0.5
    result = whitening.run(done)
    claims = by_id(result)
    assert claims["W1"].reason == "no run: VGG11 with seed 1: the training diverged after step 3"
    assert claims["W1.resnet20"].reason.startswith("untrained: ResNet20 is at 50.0%")
    assert claims["W1.resnet20b"].verdict == "violated"
    assert {run.spec.model for run in result.runs} == {"resnet20", "resnet20b"}


def test_without_any_run_the_claims_that_need_none_are_judged(empty):
    result = whitening.run(empty)
    untested = {claim.id for claim in result.claims if claim.verdict == "not tested"}
    assert untested == {"W1", "W1.resnet20", "W1.resnet20b"}
    assert set(result.figures) == {"autocorrelation", "eq3_over_time", "components"}
    assert result.tables["networks"].empty
    json.dumps([claim.to_dict() for claim in result.claims], allow_nan=False)


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [
        (1.0, 0.01, "reproduced"),
        (0.92, 0.01, "reproduced"),
        (0.88, 0.01, "not reproduced"),
        (1.12, 0.01, "not reproduced"),
        (0.9, 0.3, "inconclusive"),
    ],
)
def test_the_criterion_on_random_filters(ratio, spread, verdict):
    pixels = np.linspace(1, 0.5, 11)
    around = np.linspace(-1, 1, 50)
    random = np.tile(pixels, (50, 1)) * (ratio + spread * around)[:, None]
    assert random_claim(random, pixels).verdict == verdict


@pytest.mark.parametrize(("far", "verdict"), [(0.09, "reproduced"), (0.11, "not reproduced")])
def test_the_criterion_on_ideal_whitening(far, verdict):
    ideal = np.array([1, 0.4, 0.2, *[0.15] * 7, far])
    responses = pd.DataFrame({"distance": [2, 3, 10], "share_pixels": [True, False, False], "largest": [0.9, 0.8, 0.6]})
    claim = ideal_claim(ideal, responses)
    assert (claim.verdict, claim.values) == (verdict, (far,))
    assert "0.150, 0.150" in claim.note
    assert "up to 0.80, at 3 pixels, and up to 0.60 at 10" in claim.note


@pytest.mark.parametrize(("distance", "verdict"), [(9e-4, "holds"), (2e-3, "violated")])
def test_the_check_of_the_limit(whitened, empty, distance, verdict):
    groups = {name: empty.trained(name) for name in NETWORKS}
    tables = [whitened.tables[name] for name in ("curves", "networks", "ideal_responses", "eq3_limit")]
    assert tables[-1].largest_difference.iloc[-1] < 1e-9
    tables[-1] = tables[-1].assign(largest_difference=distance)
    assert judge(groups, *tables)[-1].verdict == verdict


def test_figures_show_what_they_say(whitened):
    labels = [text.get_text() for text in whitened.figures["autocorrelation"].figure.axes[0].get_legend().get_texts()]
    trained = [f"{name}, trained" for name in ("VGG11", "ResNet20", "ResNet20-B")]
    assert labels == ["pixels (RGB)", "random (100 banks)", "ideal whitening", *trained]
    assert len(whitened.figures["networks"].figure.axes) == 3
    over = whitened.figures["over_steps"].figure.axes[0]
    assert over.get_ylabel() == "C(10) / C(0)"
    assert over.get_xscale() == "log"
    for entry in whitened.figures.values():
        assert "<svg" in entry.svg
