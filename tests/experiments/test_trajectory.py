"""The experiment `trajectory`, on runs that follow eq. 3 at their own steps, lag behind it, or stand still."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.experiments.made import finish, small_context

from firstlight.experiments import Context, trajectory
from firstlight.experiments.results import Result
from firstlight.experiments.shared.plans import network_specs
from firstlight.experiments.trajectory.claims import LEAST_FITS, judge
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("trajectory"))


def following(
    context: Context,
    energy: Callable[[np.ndarray, RunSpec, int], np.ndarray],
    specs: Sequence[RunSpec] | None = None,
) -> Result:
    """The result on runs whose change at a step has this profile: a function of the variance, the spec and the step."""
    basis = context.basis()

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        rng = np.random.default_rng(spec.seed)
        initial = rng.standard_normal((16, 3, 3, 3))
        if step == 0:
            return initial
        # Every filter has the profile, up to the sign of its coefficients; so has the bank.
        coefficients = energy(basis.variance, spec, step) * rng.choice([-1, 1], (16, 27))
        return initial + (coefficients @ basis.components).reshape(initial.shape)

    finished = finish(context, network_specs(context) if specs is None else specs, filters)
    finished.failures.update(
        {spec.hash: "the loss is NaN" for spec in network_specs(context) if finished.run(spec) is None}
    )
    return trajectory.run(finished)


def verdicts(result: Result) -> dict[str, str]:
    return {claim.name: claim.verdict for claim in result.claims}


def values(result: Result) -> dict[str, tuple[float, ...]]:
    return {claim.name: claim.values for claim in result.claims}


@pytest.fixture(scope="module")
def longer(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("trajectory"), "standard")


@pytest.fixture(scope="module")
def exact(longer) -> Result:
    """Eq. 3 at the run's own lr and step, times a constant: what a linear CNN of the theory does."""
    return following(longer, lambda variance, spec, step: 0.2 * linear_cnn_profile(variance, lr=spec.lr, steps=step))


@pytest.fixture(scope="module")
def still(longer) -> Result:
    """Always the shape of one time, only larger: nothing moves."""
    return following(longer, lambda variance, spec, step: step * linear_cnn_profile(variance, tau=1e-3))


def test_a_network_that_follows_the_formula_step_by_step_reproduces_every_claim(exact):
    assert set(verdicts(exact).values()) == {"reproduced"}
    assert len(exact.claims) == len(verdicts(exact)) == 6
    found = values(exact)
    for model in ("vgg11", "resnet20"):
        assert found[f"trajectory/{model}/same-step"] == pytest.approx((1, 1, 1), abs=1e-9)
        # The fit is in continuous time, which is behind the discrete steps by about one, and seen in the first few.
        assert found[f"trajectory/{model}/tau-grows"] == pytest.approx((1, 1, 1), abs=0.1)


def test_every_row_is_the_formula_at_its_own_step(exact):
    steps = exact.tables["steps"]
    assert (steps.peak_component == steps.predicted_peak_component).all()
    assert steps.same_step_correlation.to_numpy() == pytest.approx(1, abs=1e-9)
    assert (steps.bound == steps.predicted_bound).all()
    assert steps.predicted_tau.to_numpy() == pytest.approx(steps.tau.to_numpy(), rel=1e-4)
    assert steps.predicted_energy.to_numpy() == pytest.approx(steps.total_energy.to_numpy())
    assert len(steps) == len(steps.drop_duplicates(["model", "seed", "step"]))
    assert steps.step.min() == 1
    profiles = exact.tables["profiles"]
    assert profiles.energy.to_numpy() == pytest.approx(profiles.predicted.to_numpy(), abs=1e-9)
    assert len(profiles) == 27 * len(steps)


def test_the_factor_on_the_predicted_energy_is_the_best_for_its_logarithm(context):
    result = following(
        context,
        lambda variance, spec, step: np.sqrt(step) * linear_cnn_profile(variance, lr=spec.lr, steps=step),
        network_specs(context)[:1],
    )
    steps = result.tables["steps"]
    rows = steps.query("model == 'vgg11' and seed == 0")
    raw = [np.linalg.norm(linear_cnn_profile(context.basis().variance, lr=0.01, steps=int(step))) for step in rows.step]
    offset = np.polynomial.Polynomial.fit(rows.step, np.log(rows.total_energy / raw), 0)(0)
    assert rows.predicted_energy.to_numpy() == pytest.approx(np.exp(offset) * np.array(raw))


def test_a_network_that_stands_still_reproduces_none(still):
    assert set(verdicts(still).values()) == {"not reproduced"}
    found = values(still)
    assert found["trajectory/vgg11/peak-moves"] == (0, 0, 0)
    assert found["trajectory/vgg11/tau-grows"] == pytest.approx((0, 0, 0), abs=1e-3)
    assert "It never moves in 3 of 3 seeds, which counts as a correlation of 0." in still.claims[0].note


def test_the_slope_comes_with_that_of_the_formula_itself(exact, still):
    of_formula = exact.claims[1].mean
    for claim in (exact.claims[1], still.claims[1]):
        assert f"fitted in the same way at the same steps, has a slope of {of_formula:.2f}" in claim.note


def test_a_slower_pace_has_the_same_slope(context):
    """tau a tenth of lr * steps: in proportion all the same."""
    result = following(
        context,
        lambda variance, spec, step: linear_cnn_profile(variance, tau=0.1 * spec.lr * step),
        network_specs(context)[:2],  # VGG11
    )
    assert values(result)["trajectory/vgg11/tau-grows"] == pytest.approx((1, 1), abs=1e-3)
    assert "from 0.1 to 0.1; 0.1 to 0.1" in result.claims[1].note


def test_a_square_root_pace_is_half_a_slope(context):
    result = following(
        context,
        lambda variance, spec, step: linear_cnn_profile(variance, tau=0.1 * np.sqrt(spec.lr * step)),
        network_specs(context)[:2],
    )
    assert values(result)["trajectory/vgg11/tau-grows"] == pytest.approx((0.5, 0.5), abs=1e-3)
    assert verdicts(result)["trajectory/vgg11/tau-grows"] == "not reproduced"


def test_profiles_at_a_limit_have_no_time_to_grow(context):
    result = following(context, lambda variance, spec, step: step * np.sqrt(variance), network_specs(context)[:2])
    assert set(result.tables["steps"].bound) == {"early"}
    claim = next(claim for claim in result.claims if claim.name == "trajectory/vgg11/tau-grows")
    assert claim.verdict == "not tested"
    assert claim.note == (
        f"In 2 of 2 seeds only 0, 0 recorded steps have a best τ that is not at a limit; a slope needs {LEAST_FITS}."
    )


def test_limits_are_left_out_of_the_slope(exact):
    steps = exact.tables["steps"]
    at_limit = steps.step <= 3
    other = steps.assign(bound=np.where(at_limit, "early", ""), tau=np.where(at_limit, 1e-9, steps.tau))
    claim = judge(other, {})[1]
    assert claim.values == pytest.approx((1, 1, 1), abs=0.05)
    vgg11 = other.query("model == 'vgg11'")
    assert f"Of {len(vgg11)} recorded steps, 9 fit best at the limit of small τ and 0 at that of large τ" in claim.note


def test_a_peak_that_moves_down_is_not_reproduced(exact):
    steps = exact.tables["steps"]
    claim = judge(steps.assign(peak_component=28 - steps.peak_component), {})[0]
    assert claim.verdict == "not reproduced"
    assert claim.mean < -0.5


def test_a_network_whose_training_failed_is_not_tested_and_the_other_is(context):
    result = following(
        context,
        lambda variance, spec, step: linear_cnn_profile(variance, lr=spec.lr, steps=step),
        network_specs(context)[:3],  # VGG11, and one of two seeds of ResNet20
    )
    assert verdicts(result)["trajectory/vgg11/same-step"] == "reproduced"
    assert "not tested" not in {claim.verdict for claim in result.claims[:3]}
    assert {claim.verdict for claim in result.claims[3:]} == {"not tested"}
    assert {claim.note for claim in result.claims[3:]} == {"resnet20, seed 1: the loss is NaN"}


def test_without_any_run_nothing_is_tested(context):
    result = following(context, lambda variance, spec, step: variance, [])
    assert set(verdicts(result).values()) == {"not tested"}
    assert not result.figures
    assert result.tables["steps"].empty
    assert result.tables["profiles"].empty


def test_every_figure_can_be_drawn(exact):
    assert set(exact.figures) == {"energy_and_peak", "fitted_time", "profiles"}
    assert all(entry.svg.startswith("<?xml") for entry in exact.figures.values())


def test_it_needs_the_runs_that_other_experiments_share(context):
    assert trajectory.EXPERIMENT.plan(context) == network_specs(context)
    assert set(trajectory.EXPERIMENT.costs) == {"quick", "standard", "full"}
