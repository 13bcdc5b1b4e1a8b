"""The experiment `label-energy`, on runs that were made so that the answer is known."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from tests.experiments.made import MADE, alike_by, directions, finish, learner, small_context

from firstlight.experiments import Claim, Context, label_energy
from firstlight.experiments.schedule import SCHEDULES, Training
from firstlight.patches import PatchBasis
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("label-energy"), names=("cifar10",))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def trained(context: Context, profile, accuracy: float = 0.7) -> Context:
    filters = learner(context.basis(), profile)
    return finish(context, label_energy.EXPERIMENT.networks, filters, train_loss=2.0, train_accuracy=accuracy)


def claim_of(context: Context) -> Claim:
    with patch.object(label_energy, "draw", return_value={}):
        (claim,) = label_energy.run(context).claims
    assert claim.id == "L3"
    return claim


def drawn_to_the_component(basis: PatchBasis):
    """Eq. 3, and with labels of the component a tenfold of all other energy in it from the second step on."""

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        energy = linear_cnn_profile(basis.variance, 0.1 * step)
        if spec.labels == "energy:15" and step > 1:
            energy[14] = 10 * np.linalg.norm(energy)
        return energy

    return profile


def test_labels_of_the_component_that_draw_the_energy_there_break_the_agreement(empty, basis):
    result = label_energy.run(trained(empty, drawn_to_the_component(basis)))
    (claim,) = result.claims
    assert (claim.verdict, len(claim.values)) == ("reproduced", 6)  # three seeds, each with the two others
    assert claim.after_one_step == pytest.approx([1] * 6)
    assert not claim.holds_after_one_step
    assert claim.note == f"At step 100: {claim.mean:.3f} (with true labels 1.000) at step 100 of random labels."
    assert set(result.figures) == {"profiles", "correlation_over_steps"}
    legend = result.figures["correlation_over_steps"].figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["VGG11", "VGG11 on labels of component 15"]


def test_networks_that_do_not_care_about_the_labels_refute_it(empty, basis):
    claim = claim_of(trained(empty, lambda spec, step: linear_cnn_profile(basis.variance, 0.1 * step)))
    assert claim.verdict == "not reproduced"
    assert claim.values == pytest.approx([1.0] * 6)
    assert claim.holds_after_one_step is False


@pytest.mark.parametrize(("level", "verdict"), [(0.29, "reproduced"), (0.31, "not reproduced")])
def test_the_criterion_is_where_it_was_fixed(empty, basis, level, verdict):
    common, *own = directions(basis, 4)

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        return alike_by(level, common, own[("true", "random", "energy:15").index(spec.labels)])

    claim = claim_of(trained(empty, profile))
    assert claim.values == pytest.approx([level] * 6)
    assert claim.verdict == verdict
    assert claim.holds_after_one_step == (verdict == "reproduced")


def longer_on_random_labels(monkeypatch) -> None:
    """As in the paper's protocol."""
    schedule = SCHEDULES[MADE]
    trainings = {**schedule.trainings, "vgg11-random": Training(1000), "vgg11-energy15": Training(500)}
    monkeypatch.setitem(SCHEDULES, MADE, replace(schedule, trainings=trainings))


def test_it_is_judged_at_the_nearest_step_of_random_labels(empty, basis, monkeypatch):
    """Networks on random labels train on, and turn round after it."""
    longer_on_random_labels(monkeypatch)

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        energy = linear_cnn_profile(basis.variance, 0.01)
        return energy if step <= 562 else energy.max() + energy.min() - energy

    claim = claim_of(trained(empty, profile))
    assert claim.values == pytest.approx([1] * 6)
    assert [(one.network, one.step) for one in claim.reached] == [
        ("VGG11 on labels of component 15", 500),
        ("VGG11 on random labels", 562),
    ]
    assert claim.note == "At step 500: 1.000 at step 562 of random labels and -1.000 at step 1,000 of random labels."


def test_the_gate_is_at_the_step_that_is_judged(empty, basis, monkeypatch):
    longer_on_random_labels(monkeypatch)
    context = trained(empty, drawn_to_the_component(basis))
    for run in context.trained("vgg11-random").runs:
        run.metrics.loc[run.metrics.step <= 562, "train_accuracy"] = 0.29
    claim = claim_of(context)
    assert claim.verdict == "not tested"
    assert claim.reason == (
        "untrained: VGG11 on random labels is at 29.0% training accuracy at step 562, and 30% are needed"
    )
    assert claim.mean < 0.3  # shown all the same


@pytest.mark.parametrize(("accuracy", "tested"), [(0.31, True), (0.29, False), (np.nan, False)])
def test_networks_that_have_not_learnt_their_labels_say_nothing(empty, basis, accuracy, tested):
    claim = claim_of(trained(empty, drawn_to_the_component(basis), accuracy))
    assert (claim.verdict == "reproduced") == tested
    assert claim.reason.startswith("untrained: ") == (not tested)


@pytest.mark.parametrize(
    ("kind", "verdict", "figures"),
    [("vgg11", "reproduced", 2), ("vgg11-random", "not tested", 0), ("vgg11-energy15", "not tested", 0)],
)
def test_a_missing_run_leaves_what_needs_it_untested(empty, basis, kind, verdict, figures):
    context = trained(empty, drawn_to_the_component(basis))
    spec = context.specs(kind)[2]
    del context.finished[spec.hash]
    context.failures[spec.hash] = "the training diverged after step 3"
    result = label_energy.run(context)
    (claim,) = result.claims
    assert claim.verdict == verdict
    assert verdict == "reproduced" or "seed 2: the training diverged after step 3" in claim.reason
    assert len(result.figures) == figures


def test_without_any_run_nothing_is_tested(empty):
    result = label_energy.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert result.figures == {}
    assert {len(table) for table in result.tables.values()} == {0}
