"""The experiment `formula`, on runs that are real but tiny, or made to have a known answer."""

import numpy as np
import pandas as pd
import pytest

from firstlight.experiments import formula
from firstlight.experiments.formula_claims import judge
from firstlight.patches import PatchBasis
from firstlight.theory import linear_cnn_profile

VARIANCE = np.geomspace(20, 0.003, 27)


@pytest.fixture(scope="module")
def basis() -> PatchBasis:
    matrix = np.diag(VARIANCE)
    return PatchBasis.from_matrix(
        matrix, count=1, kernel_size=3, channels=3, stride=1, mean=(0, 0, 0), std=(1, 1, 1), center=False
    )


class FakeRun:
    """Only what the analysis reads of a run: filters whose change follows eq. 3 exactly, up to a factor."""

    def __init__(self, model: str, seed: int, basis: PatchBasis, taus: list[float]) -> None:
        rng = np.random.default_rng(seed)
        self.spec = type("Spec", (), {"model": model, "seed": seed, "lr": 0.01})()
        self.steps = np.array([0, *(10**i for i in range(len(taus)))])
        self.initial = rng.standard_normal((16, 3, 3, 3))
        changes = []
        for tau in taus:
            # Orthonormal mixing of D one-component filters leaves eq. 3 as the profile.
            amplitudes = tau * linear_cnn_profile(basis.variance, tau)
            changes.append((amplitudes * rng.choice([-1, 1], (16, 27)) @ basis.components).reshape(16, 3, 3, 3))
        self.filters = np.array([self.initial, *(self.initial + change for change in changes)])
        self.final = self.filters[-1]


@pytest.fixture(scope="module")
def runs(basis) -> list:
    return [FakeRun(model, seed, basis, [0.1, 1.0, 10.0]) for model in formula.MODELS for seed in (0, 1)]


@pytest.fixture(scope="module")
def fits(runs, basis) -> pd.DataFrame:
    return formula.fit_table(runs, basis)


def test_the_fit_at_every_step_finds_the_time_that_was_put_in(fits):
    assert fits.tau.to_numpy() == pytest.approx([0.1, 1.0, 10.0] * 4, rel=1e-4)
    assert (fits.correlation > 1 - 1e-9).all()
    assert (fits.residual < 1e-5).all()
    assert fits.lr_times_steps.to_numpy() == pytest.approx([0.01, 0.1, 1.0] * 4)


def test_whitening_distance_falls_with_time_and_is_zero_at_whitening(fits, basis):
    first = fits.query("model == 'vgg11' and seed == 0")
    assert first.whitening_distance.is_monotonic_decreasing
    assert first.whitening_distance.to_numpy() == pytest.approx(first.predicted_whitening_distance.to_numpy(), abs=1e-6)
    assert formula.whitening_distance(1 / np.sqrt(basis.variance), basis) == pytest.approx(0, abs=1e-12)


def learning() -> pd.DataFrame:
    rows = [
        {"model": model, "seed": seed, "step": step, "train_loss": 2.0 + seed, "test_accuracy": 0.25}
        for model in formula.MODELS
        for seed in (0, 1)
        for step in (10, 100)
    ]
    return pd.DataFrame(rows)


def test_a_correlation_comes_with_how_far_the_network_was_trained(fits, runs, basis):
    claim = judge(fits, formula.random_table(runs, basis), learning())[0]
    assert "After step 100, the last, the training loss is 2.500 and the test accuracy 25.0%." in claim.note


def verdicts(fits: pd.DataFrame, runs: list, basis: PatchBasis) -> dict[str, str]:
    claims = judge(fits, formula.random_table(runs, basis), learning())
    assert len({claim.name for claim in claims}) == len(claims) == 9
    return {claim.name: claim.verdict for claim in claims}


def test_verdicts_on_networks_that_follow_the_formula_exactly(fits, runs, basis):
    found = verdicts(fits, runs, basis)
    for model in formula.MODELS:
        assert found[f"formula/{model}/correlation"] == "reproduced"
        assert found[f"formula/{model}/energy-rises"] == "reproduced"
        assert found[f"formula/{model}/approaches-whitening"] == "reproduced"
        assert found[f"formula/{model}/no-exact-match"] == "not reproduced"  # they do match


def test_verdicts_on_networks_that_do_not(fits, runs, basis):
    other = fits.assign(
        correlation=0.79, total_energy=-fits.step, whitening_distance=fits.step.astype(float), least_residual=0.3
    )
    found = verdicts(other, runs, basis)
    for model in formula.MODELS:
        assert found[f"formula/{model}/correlation"] == "not reproduced"
        assert found[f"formula/{model}/energy-rises"] == "not reproduced"
        assert found[f"formula/{model}/approaches-whitening"] == "not reproduced"
        assert found[f"formula/{model}/no-exact-match"] == "reproduced"


def test_random_banks_are_the_null_that_no_training_made(runs, basis):
    table = formula.random_table(runs, basis)
    assert table.model.tolist() == list(formula.MODELS)
    assert (table["mean"] < table.percentile_95).all()
    assert table["mean"].to_numpy() == pytest.approx(0.27, abs=0.06)


def test_what_is_undefined_is_said_to_be_and_not_printed_as_nan(fits, runs, basis):
    other = fits.assign(whitening_distance=np.nan, predicted_whitening_distance=np.nan, log_r2=np.nan)
    claims = {claim.name: claim for claim in judge(other, formula.random_table(runs, basis), learning())}
    assert claims["formula/vgg11/approaches-whitening"].verdict == "not tested"
    assert "undefined (a component has no energy)" in claims["formula/vgg11/approaches-whitening"].note
    assert not any("nan" in claim.note for claim in claims.values())


def test_the_note_gives_both_nulls(fits, runs, basis):
    note = judge(fits, formula.random_table(runs, basis), learning())[0].note
    early = fits.query("model == 'vgg11'").groupby("seed").correlation_early.last().mean()
    assert f"λ itself, the limit of small t, correlates {early:.3f}" in note
    assert "Random banks of this shape reach 0." in note


def test_every_preset_trains_both_networks_with_several_seeds():
    assert set(formula.SCHEDULES) == {"quick", "standard", "full"} == set(formula.EXPERIMENT.costs)
    for schedule in formula.SCHEDULES.values():
        assert set(schedule.steps) == set(formula.MODELS)
        assert len(schedule.seeds) >= 2
    assert formula.SCHEDULES["full"].steps["vgg11"] == 30 * (50_000 // 256)
