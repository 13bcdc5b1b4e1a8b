"""The experiment `labels`, on runs that were made so that the answer is known."""

from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from tests.experiments.made import MADE, alike_by, directions, finish, initial_filters, learner, small_context

from firstlight.experiments import Context, Result, labels
from firstlight.experiments.schedule import SCHEDULES, Training
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("labels"), names=("cifar10",))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def trained(context: Context, profile, **metrics: float) -> Context:
    metrics = {"train_loss": 1.0, "train_accuracy": 0.7, **metrics}
    return finish(context, labels.EXPERIMENT.networks, learner(context.basis(), profile), **metrics)


def claims(context: Context) -> dict:
    with patch.object(labels, "draw", return_value={}):  # half the time, and tested elsewhere
        found = {claim.id: claim for claim in labels.run(context).claims}
    assert set(found) == {"L1", "L2", "L1.resnet20", "L2.resnet20"}
    return found


def formula(spec: RunSpec, step: int, basis: PatchBasis) -> np.ndarray:
    """Eq. 3, with a little of each seed's own."""
    return linear_cnn_profile(basis.variance, 0.1 * step) + 0.01 * np.random.default_rng(spec.seed).random(27)


@pytest.fixture(scope="module")
def same(empty, basis) -> Result:
    """Of networks that learn the same from true and from random labels."""
    return labels.run(trained(empty, lambda spec, step: formula(spec, step, basis)))


def test_networks_that_learn_the_same_from_both_agree(same):
    found = {claim.id: claim for claim in same.claims}
    assert found["L1"].verdict == "reproduced"
    assert (found["L1.resnet20"].verdict, found["L1.resnet20"].kind) == ("holds", "own finding")
    assert found["L1"].values == pytest.approx([1.0] * 6, abs=1e-3)  # three seeds, each with the two others
    assert found["L1"].holds_after_one_step
    assert [(one.network, one.step) for one in found["L1"].reached] == [
        ("VGG11, 100 epochs", 100),
        ("VGG11 on random labels", 100),
    ]
    assert found["L1"].reached[0].needed == pytest.approx(0.6)
    assert found["L1"].reached[1].needed == pytest.approx(0.3)  # on random labels
    assert len(same.runs) == 12
    assert set(same.figures) == {"profiles", "correlation_over_steps", "loss"}
    assert [ax.get_title() for ax in same.figures["loss"].figure.axes] == ["VGG11", "ResNet20"]


@pytest.mark.parametrize(("level", "verdict"), [(0.81, "reproduced"), (0.79, "not reproduced")])
def test_the_criterion_is_where_it_was_fixed(empty, basis, level, verdict):
    common, *own = directions(basis, 3)
    found = claims(
        trained(empty, lambda spec, step: alike_by(level if step > 1 else 1, common, own[spec.labels == "random"]))
    )
    assert found["L1"].values == pytest.approx([level] * 6)
    assert found["L1"].verdict == verdict
    assert found["L1"].after_one_step == pytest.approx([1] * 6)


def test_only_networks_of_different_seeds_are_paired(empty):
    """Each seed has a profile of its own: networks of one seed would correlate perfectly."""
    own = np.random.default_rng(1).random((3, 27))
    claim = claims(trained(empty, lambda spec, step: own[spec.seed]))["L1"]
    expected = [correlation(own[a], own[b]) for a, b in product(range(3), repeat=2) if a != b]
    assert claim.values == pytest.approx(expected)
    assert claim.verdict == "not reproduced"


def test_both_are_judged_at_their_own_ends(empty, basis, monkeypatch):
    """Both have the same profile at their ends, which are not at one step, and another one until then."""
    schedule = SCHEDULES[MADE]
    changed = replace(schedule, trainings={**schedule.trainings, "vgg11-random": Training(30)})
    monkeypatch.setitem(SCHEDULES, MADE, changed)
    common, other = directions(basis, 2)
    result = labels.run(trained(empty, lambda spec, step: 5 + (common if step == spec.steps else other)))
    claim = next(claim for claim in result.claims if claim.id == "L1")
    assert claim.values == pytest.approx([1] * 6)
    assert [one.step for one in claim.reached] == [100, 30]
    rows = result.tables["pairs"].query("network == 'vgg11-long' and step != other_step")
    assert set(zip(rows.step, rows.other_step, strict=True)) == {(100, 30)}


def test_a_network_that_only_amplifies_its_initialisation_is_told(empty, basis):
    found = claims(trained(empty, lambda spec, step: energy_profile(initial_filters(spec), basis).energy))
    for name, verdict in {"L2": "not reproduced", "L2.resnet20": "violated"}.items():
        assert found[name].values == pytest.approx([1.0] * 3)
        assert found[name].verdict == verdict


@pytest.mark.parametrize(("accuracy", "tested"), [(0.61, ["L1", "L2"]), (0.31, ["L2"]), (0.29, [])])
def test_networks_that_have_not_learnt_are_not_judged(empty, basis, accuracy, tested):
    """Random labels ask for less than true ones."""
    found = claims(trained(empty, lambda spec, step: formula(spec, step, basis), train_accuracy=accuracy))
    assert [name for name in ("L1", "L2") if found[name].verdict != "not tested"] == tested
    assert found["L1"].values == pytest.approx([1.0] * 6, abs=1e-3)  # shown all the same


@pytest.mark.parametrize(("kind", "untested"), [("long", ["L1"]), ("random", ["L1", "L2"])])
def test_a_claim_that_lacks_a_run_is_not_tested_and_the_others_are(empty, basis, kind, untested):
    context = trained(empty, lambda spec, step: formula(spec, step, basis))
    spec = context.specs(f"vgg11-{kind}")[1]
    del context.finished[spec.hash]
    context.failures[spec.hash] = "the training diverged after step 3"
    result = labels.run(context)
    assert [claim.id for claim in result.claims if claim.verdict == "not tested"] == untested
    reasons = [claim.reason for claim in result.claims if claim.verdict == "not tested"]
    assert all("seed 1: the training diverged after step 3" in reason for reason in reasons)
    assert len(result.runs) == 9
    assert [ax.get_title() for ax in result.figures["profiles"].figure.axes] == ["ResNet20"]


def test_without_any_run_nothing_is_tested(empty):
    result = labels.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert result.figures == {}
    assert {len(table) for table in result.tables.values()} == {0}
