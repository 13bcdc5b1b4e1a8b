"""The experiment `frozen`, on runs that were made so that the answer is known."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.experiments.made import finish, made_run, small_context

from firstlight.experiments import Context, frozen
from firstlight.training import RunSpec

ON = frozen.EXPERIMENT.networks


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("frozen"), names=("cifar10",))


def filters(spec: RunSpec, step: int) -> np.ndarray:
    return np.ones((2, 3, 3, 3))


def trained(context: Context, accuracy: float = 0.0, names: Sequence[str] = ON, reached: float = 0.9) -> Context:
    """These networks finished; a frozen first layer adds so much test accuracy, and 0.01 more by every seed."""
    done = finish(context, [], filters)
    for spec in context.specs(*names):
        own = 0.1 * spec.seed + spec.frozen * (accuracy + 0.01 * (spec.seed - 1))
        metrics = {"train_loss": 1.5 + spec.frozen, "train_accuracy": reached, "test_accuracy": 0.4 + own}
        done.finished[spec.hash] = made_run(spec, filters, **metrics)
    return done


def claims(context: Context) -> dict:
    return {claim.id: claim for claim in frozen.run(context).claims}


def test_pairs_are_of_one_seed_and_differ_in_nothing_but_the_first_layer(empty):
    claim = claims(trained(empty))["Z1"]
    assert claim.values == pytest.approx((-0.01, 0.0, 0.01))  # the networks themselves differ by tenths
    for one, other in zip(empty.specs("vgg11"), empty.specs("vgg11-frozen"), strict=True):
        assert (one.seed, one.steps, one.lr, one.frozen, other.frozen) == (other.seed, other.steps, other.lr, 0, 1)
    assert "test accuracy 50.0% and 50.0% (standard deviation of one, on 50 images, 7.0%)" in claim.note
    assert "training loss 2.500 and 1.500" in claim.note


# The interval reaches 0.0248 to either side of the mean.
@pytest.mark.parametrize(
    ("accuracy", "verdict", "own"),
    [
        (0.0, "reproduced", "holds"),
        (-0.005, "reproduced", "holds"),
        (-0.006, "inconclusive", "inconclusive"),
        (-0.054, "inconclusive", "inconclusive"),
        (-0.055, "not reproduced", "violated"),
        (0.3, "inconclusive", "inconclusive"),  # a gain is no cost, nor is it as good
    ],
)
def test_the_criterion_is_where_it_was_fixed(empty, accuracy, verdict, own):
    found = claims(trained(empty, accuracy))
    assert [found[name].verdict for name in ("Z1", "Z1.vgg5", "Z1.vgg8")] == [verdict, own, own]
    assert [found[name].kind for name in ("Z1", "Z1.vgg5", "Z1.vgg8")] == ["published claim"] + ["own finding"] * 2
    assert not found["Z1"].after_one_step


def test_networks_that_have_learnt_nothing_are_not_judged(empty):
    found = claims(trained(empty, reached=0.59))  # of 5 classes 60% are needed
    assert {claim.verdict for claim in found.values()} == {"not tested"}
    assert found["Z1"].reason.startswith("untrained: VGG11 is at 59.0%")
    assert "VGG11, frozen first layer is at" in found["Z1"].reason


def test_a_depth_that_was_not_trained_is_not_tested_and_the_others_are(empty):
    result = frozen.run(trained(empty, names=("vgg11", "vgg11-frozen", "vgg8")))
    found = {claim.id: claim for claim in result.claims}
    assert found["Z1"].verdict == "reproduced"
    assert found["Z1.vgg8"].reason == empty.trained("vgg8-frozen").reason
    assert [ax.get_title() for ax in result.figures["learning"].figure.axes[:2]] == ["VGG8", "VGG11"]
    assert result.figures["learning"].svg.startswith("<?xml")
    assert len(result.runs) == 9


def test_without_any_run_nothing_is_tested_and_nothing_fails(empty):
    result = frozen.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert all(claim.reason for claim in result.claims)
    assert result.figures == {}
    assert result.tables["learning"].empty


def test_what_was_not_recorded_is_said_and_not_printed_as_nan(empty):
    claim = claims(finish(empty, ON, filters, train_loss=1.0, train_accuracy=0.9))["Z1"]
    assert (claim.verdict, claim.reason) == ("not tested", "not defined: test accuracy, frozen minus trained")
    assert "not recorded" in claim.note
    assert "nan" not in claim.note
