"""The experiment `whitening`, on runs that were made so that the answer is known."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import Filters, finish, small_context, small_sets

from firstlight.experiments import Context, whitening
from firstlight.experiments.shared.plans import network_specs
from firstlight.experiments.whitening.claims import judge, reference_claims, whitening_claims
from firstlight.training import RunSpec
from firstlight.whitening import autocorrelation, whitening_bank

DISTANCES = np.arange(11)


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
    done = finish(empty, network_specs(empty), towards_whitening(empty), test_accuracy=0.456)
    return whitening.run(done)


def by_name(result) -> dict:
    assert len({claim.name for claim in result.claims}) == len(result.claims) == 7
    return {claim.name: claim for claim in result.claims}


def test_every_bank_has_a_curve_and_the_pixels_have_theirs(whitened):
    curves = whitened.tables["curves"]
    train, _ = small_sets()
    counts = curves.groupby("bank").size() // 11
    assert counts.to_dict() == {
        "pixels": 1,
        "raw pixels": 1,
        "random": 100,
        "ideal whitening": 1,
        "initial": 4,
        "trained": 4,
        "change": 4,
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
    claims = by_name(whitened)
    train, _ = small_sets()
    ideal = autocorrelation(whitening_bank(empty.basis()), train)
    for model in ("vgg11", "resnet20"):
        claim = claims[f"whitening/{model}/decorrelates"]
        assert claim.values == pytest.approx([ideal.value[10]] * 2, abs=1e-9)
        assert claim.verdict == "reproduced"
        assert "the test accuracy is 45.6%" in claim.note
        rows = whitened.tables["networks"].query("model == @model")
        assert np.isnan(rows.query("step == 0").change).all()
        assert (rows.query("step == 0").relative_change == 0).all()
    run = whitened.runs[0]
    change = autocorrelation(run.final - run.initial, train).value
    curves = whitened.tables["curves"].query("bank == 'change' and model == 'vgg11' and seed == 0")
    np.testing.assert_allclose(curves.value, change, atol=1e-9)
    last = whitened.tables["networks"].query("model == 'vgg11' and seed == 0").iloc[-1]
    assert last.change == pytest.approx(change[10], abs=1e-9)
    assert last.relative_change == pytest.approx(np.linalg.norm(run.final - run.initial) / np.linalg.norm(run.initial))
    assert claims["whitening/ideal/zero"].values == (pytest.approx(np.abs(ideal.value[3:]).max()),)


def test_eq_3_tends_to_the_ideal_bank_and_starts_as_the_first_component_does(whitened):
    limit, components = whitened.tables["eq3_over_time"], whitened.tables["components"]
    ideal = whitened.tables["curves"].query("bank == 'ideal whitening'").value.to_numpy()
    last = limit[limit.tau == limit.tau.max()].value.to_numpy()
    np.testing.assert_allclose(last, ideal, atol=1e-9)
    assert by_name(whitened)["whitening/limit/approaches"].verdict == "reproduced"
    means = components.groupby("distance").value.mean()
    np.testing.assert_allclose(means, ideal, atol=1e-9)
    # Early, e is proportional to λ: each component's curve counts as λ⁴.
    early = limit[limit.tau == limit.tau.min()].value.to_numpy()
    weights = components.variance**2
    expected = (components.value * weights).groupby(components.distance).sum() / weights[components.distance == 0].sum()
    np.testing.assert_allclose(early, expected, atol=0.01)


def test_every_bank_is_compared_with_the_pixels(whitened):
    curves = whitened.tables["curves"].query("distance == 10").set_index("bank").value
    table = whitened.tables["over_pixels"]
    assert table.bank.tolist() == curves.index.tolist()
    np.testing.assert_allclose(table.over_pixels, curves / curves.pixels, rtol=1e-12)
    networks = whitened.tables["networks"]
    np.testing.assert_allclose(networks.weights_over_pixels, networks.weights / curves.pixels, rtol=1e-9)
    assert len(networks) == sum(len(run.steps) for run in whitened.runs)


def test_networks_that_stay_at_their_initialisation_keep_its_curve(empty):
    result = whitening.run(finish(empty, network_specs(empty), random_filters))
    curves = result.tables["curves"]
    for model in ("vgg11", "resnet20"):
        claim = by_name(result)[f"whitening/{model}/decorrelates"]
        initial = curves.query("bank == 'initial' and model == @model and distance == 10").value
        assert claim.values == pytest.approx(initial.tolist(), abs=1e-12)
        assert claim.verdict == "not reproduced"
        assert "the accuracy was not measured" in claim.note
        assert "by itself" not in claim.note  # there is no change that could have a curve
    assert "networks" in result.figures
    assert not any("nan" in claim.note for claim in result.claims)


def test_a_network_with_a_failed_training_is_not_tested_and_the_rest_is(empty):
    context = finish(empty, network_specs(empty), random_filters)
    failed = next(spec for spec in network_specs(empty) if spec.model == "vgg11" and spec.seed == 1)
    del context.finished[failed.hash]
    context.failures[failed.hash] = "the training diverged after step 3"
    result = whitening.run(context)
    claims = by_name(result)
    assert claims["whitening/vgg11/decorrelates"].verdict == "not tested"
    assert claims["whitening/vgg11/decorrelates"].note == "vgg11, seed 1: the training diverged after step 3"
    assert len(claims["whitening/resnet20/decorrelates"].values) == 2
    assert {run.spec.model for run in result.runs} == {"resnet20"}


def test_without_any_run_the_claims_that_need_none_are_judged(empty):
    result = whitening.run(empty)
    claims = by_name(result)
    untested = {name for name, claim in claims.items() if claim.verdict == "not tested"}
    assert untested == {"whitening/vgg11/decorrelates", "whitening/resnet20/decorrelates"}
    assert all(claims[name].note for name in untested)
    assert set(result.figures) == {"autocorrelation", "eq3_over_time", "components"}
    assert result.tables["networks"].empty
    json.dumps([claim.to_dict() for claim in result.claims], allow_nan=False)


@pytest.mark.parametrize(("last", "verdict"), [(0.501, "reproduced"), (0.5, "not reproduced")])
def test_the_criterion_on_pixels(last, verdict):
    pixels = np.linspace(1, last, 11)
    claim = reference_claims(pixels, pixels, np.tile(pixels, (3, 1)))[0]
    assert (claim.verdict, claim.values) == (verdict, (last,))


@pytest.mark.parametrize(
    ("away", "spread", "expected"),
    [
        (0.0, 0.0, ("reproduced", "reproduced")),
        (0.099, 0.0, ("reproduced", "reproduced")),
        (0.101, 0.0, ("not reproduced", "reproduced")),
        (0.0, 0.049, ("reproduced", "reproduced")),
        (0.0, 0.051, ("reproduced", "not reproduced")),
    ],
)
def test_the_criteria_on_random_filters(away, spread, expected):
    pixels = 0.9**DISTANCES
    random = np.tile(pixels, (101, 1))
    random[:, 4] += away  # the largest difference counts, wherever it is
    random[:, 10] += spread * np.linspace(-1, 1, 101) / np.linspace(-1, 1, 101).std(ddof=1)
    like, same = reference_claims(pixels, pixels, random)[1:]
    assert (like.verdict, same.verdict) == expected
    assert len(like.values) == 101
    assert same.values == pytest.approx([spread], abs=1e-12)
    assert same.replicates == "set of 101 banks"


@pytest.mark.parametrize(("mean", "verdict"), [(0.299, "reproduced"), (0.301, "not reproduced")])
def test_the_criterion_on_networks_is_on_the_mean_at_the_last_step(whitened, mean, verdict):
    networks = pd.DataFrame(
        {
            "model": "vgg11",
            "seed": [0, 0, 1, 1],
            "step": [0, 5, 0, 5],
            "weights": [0.1, mean - 0.1, 0.9, mean + 0.1],
            "change": [np.nan, 0.2, np.nan, 0.2],
            "relative_change": [0, 0.5, 0, 0.5],
            "test_accuracy": [np.nan, 0.4, np.nan, 0.5],
        }
    )
    claims = judge(whitened.tables["curves"], whitened.tables["eq3_over_time"], networks, {})
    claim = next(claim for claim in claims if claim.name == "whitening/vgg11/decorrelates")
    assert (claim.mean, claim.verdict) == (pytest.approx(mean), verdict)
    assert "The initial filters have 0.500" in claim.note
    assert "the change w(t) - w(0) by itself 0.200" in claim.note
    assert "After step 5, the last, the change has 0.5 times" in claim.note
    assert "the test accuracy is 45.0%" in claim.note


@pytest.mark.parametrize(("far", "verdict"), [(-0.049, "reproduced"), (-0.051, "not reproduced")])
def test_the_criterion_on_ideal_whitening_leaves_overlapping_patches_out(far, verdict):
    ideal = np.array([1, 0.4, 0.2, *[0.01] * 7, far])
    limit = pd.DataFrame({"tau": [1.0] * 11 + [2.0] * 11, "value": [*np.zeros(11), *ideal + 0.0009]})
    zero, approaches = whitening_claims(ideal, limit)
    assert (zero.values, zero.verdict) == ((pytest.approx(-far),), verdict)
    assert "It is 0.400 and 0.200 at 1 and 2 pixels" in zero.note
    assert approaches.verdict == "reproduced"  # at the latest time, not before
    assert whitening_claims(ideal, limit.assign(value=limit.value + 0.0002))[1].verdict == "not reproduced"


def test_figures_show_what_they_say(whitened):
    labels = [text.get_text() for text in whitened.figures["autocorrelation"].figure.axes[0].get_legend().get_texts()]
    assert labels == ["pixels (RGB)", "random (100 banks)", "ideal whitening", "VGG11, trained", "ResNet20, trained"]
    assert len(whitened.figures["networks"].figure.axes) == 2
    over = whitened.figures["over_steps"].figure.axes[0]
    assert over.get_ylabel() == "C(10) / C(0)"
    assert over.get_xscale() == "log"
    for entry in whitened.figures.values():
        assert "<svg" in entry.svg


def test_it_trains_nothing_of_its_own(empty):
    assert [spec.hash for spec in whitening.EXPERIMENT.plan(empty)] == [spec.hash for spec in network_specs(empty)]
    assert set(whitening.EXPERIMENT.costs) == {"quick", "standard", "full"}
