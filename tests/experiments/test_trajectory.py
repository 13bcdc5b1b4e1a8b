"""The experiment `trajectory`, on runs that follow eq. 3 at their own steps, lag behind it, or stand still."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.experiments.made import finish, learner, small_context

from firstlight.experiments import Context, trajectory
from firstlight.experiments.results import Result
from firstlight.experiments.trajectory.claims import growth_claim
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec

ON = trajectory.EXPERIMENT.networks


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("trajectory"))


def following(
    context: Context,
    energy: Callable[[np.ndarray, RunSpec, int], np.ndarray],
    names: Sequence[str] = ("vgg11",),
    accuracy: float = 0.9,
) -> Result:
    """The result on runs whose change at a step has this profile: a function of the variance, the spec and the step."""
    basis = context.basis()
    filters = learner(basis, lambda spec, step: energy(basis.variance, spec, step))
    return trajectory.run(finish(context, names, filters, train_accuracy=accuracy))


def eq3(variance: np.ndarray, spec: RunSpec, step: int) -> np.ndarray:
    """Eq. 3 at the run's own lr and step: what a linear CNN of the theory does."""
    return 0.2 * linear_cnn_profile(variance, lr=spec.lr, steps=step)


def claims(result: Result) -> dict:
    return {claim.id: claim for claim in result.claims}


@pytest.fixture(scope="module")
def exact(context) -> Result:
    return following(context, eq3, ON)


def test_a_network_that_follows_the_formula_step_by_step_satisfies_every_claim(exact):
    found = claims(exact)
    assert len(found) == len(exact.claims) == 6
    assert {claim.verdict for claim in found.values()} == {"holds"}
    assert {claim.kind for claim in found.values()} == {"own finding"}
    for part in ("", ".resnet20", ".resnet20b"):
        assert found[f"O3{part}"].values == pytest.approx((1, 1, 1), abs=1e-9)
        assert found[f"O3{part}"].holds_after_one_step  # eq. 3 at one step is λ²
        assert found[f"O3{part}"].null["mean"] < 0.3
        # The fit is in continuous time, which is behind the discrete steps by about one, and seen in the first few.
        assert found[f"O2{part}"].values == pytest.approx((1, 1, 1), abs=0.12)
        assert f"has a slope of {found['O2'].mean:.2f}" in found[f"O2{part}"].note
    assert set(exact.figures) == {"peak", "fitted_time", "profiles"}
    assert all(entry.svg.startswith("<?xml") for entry in exact.figures.values())


def test_every_row_is_the_formula_at_its_own_step(exact):
    steps = exact.tables["steps"]
    assert (steps.peak_component == steps.predicted_peak_component).all()
    assert steps.same_step_correlation.to_numpy() == pytest.approx(1, abs=1e-9)
    assert (steps.bound == steps.predicted_bound).all()
    assert steps.predicted_tau.to_numpy() == pytest.approx(steps.tau.to_numpy(), rel=1e-4)
    assert len(steps) == len(steps.drop_duplicates(["network", "seed", "step"])) == 9 * 15
    assert steps.step.min() == 1


def test_a_network_that_stands_still_satisfies_none(context, exact):
    """Always the shape of one time, only larger: nothing moves."""
    found = claims(following(context, lambda variance, spec, step: step * linear_cnn_profile(variance, tau=1e-3)))
    assert found["O2"].verdict == found["O3"].verdict == "violated"
    assert found["O2"].values == pytest.approx((0, 0, 0), abs=1e-3)
    assert f"Eq. 3 itself, fitted likewise, has a slope of {claims(exact)['O2'].mean:.2f}" in found["O2"].note


@pytest.mark.parametrize(
    ("power", "ratios", "verdict"), [(1.0, "0.1 to 0.1; 0.1 to 0.1; 0.1 to 0.1", "holds"), (0.5, "", "violated")]
)
def test_a_slower_pace_has_the_same_slope_and_another_power_another(context, power, ratios, verdict):
    found = claims(
        following(context, lambda variance, spec, step: linear_cnn_profile(variance, 0.1 * (spec.lr * step) ** power))
    )
    assert found["O2"].values == pytest.approx((power,) * 3, abs=1e-3)
    assert found["O2"].verdict == verdict
    assert ratios in found["O2"].note


def test_profiles_at_a_limit_have_no_time_to_grow(context):
    result = following(context, lambda variance, spec, step: step * np.sqrt(variance))
    assert set(result.tables["steps"].bound) == {"early"}
    claim = claims(result)["O2"]
    assert claim.verdict == "not tested"
    assert claim.reason.startswith("not defined: fewer than 5 recorded steps")


def test_limits_are_left_out_of_the_slope(context, exact):
    steps = exact.tables["steps"]
    at_limit = steps.step <= 3
    other = steps.assign(bound=np.where(at_limit, "early", ""), tau=np.where(at_limit, 1e-9, steps.tau))
    filters = learner(context.basis(), lambda spec, step: np.ones(27))
    group = finish(context, ["vgg11"], filters, train_accuracy=0.9).trained("vgg11")
    claim = growth_claim("", group, other)
    assert claim.values == pytest.approx((1, 1, 1), abs=0.1)
    assert "9 of 45 recorded steps fit best at a limit and are left out" in claim.note


def test_networks_that_have_not_learnt_are_not_judged(context):
    found = claims(following(context, eq3, accuracy=0.59))
    assert found["O2"].verdict == found["O3"].verdict == "not tested"
    assert found["O2"].reason.startswith("untrained: VGG11 is at 59.0%")


def test_a_network_that_was_not_trained_is_not_tested_and_the_others_are(context):
    found = claims(following(context, eq3, ["resnet20"]))
    assert found["O2.resnet20"].verdict == found["O3.resnet20"].verdict == "holds"
    assert found["O2"].reason == found["O3"].reason == context.trained("vgg11").reason


def test_without_any_run_nothing_is_tested(context):
    result = trajectory.run(context)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert not result.figures
    assert result.tables["steps"].empty
