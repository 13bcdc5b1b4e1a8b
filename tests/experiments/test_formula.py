"""The experiment `formula`, on runs that are real but tiny, or made to have a known answer."""

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import finish, small_context

from firstlight.experiments import formula
from firstlight.experiments.formula.claims import judge
from firstlight.experiments.schedule import SCHEDULES
from firstlight.experiments.shared.fits import fit_table
from firstlight.experiments.shared.plans import MODELS
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec
from firstlight.whitening import whitening_spread

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
    return [FakeRun(model, seed, basis, [0.1, 1.0, 10.0]) for model in MODELS for seed in (0, 1)]


@pytest.fixture(scope="module")
def fits(runs, basis) -> pd.DataFrame:
    return fit_table(runs, basis)


def test_the_fit_at_every_step_finds_the_time_that_was_put_in(fits):
    assert fits.tau.to_numpy() == pytest.approx([0.1, 1.0, 10.0] * 4, rel=1e-4)
    assert (fits.correlation > 1 - 1e-9).all()
    assert (fits.residual < 1e-5).all()
    assert fits.lr_times_steps.to_numpy() == pytest.approx([0.01, 0.1, 1.0] * 4)


def test_whitening_distance_falls_with_time_and_is_zero_at_whitening(fits, basis):
    first = fits.query("model == 'vgg11' and seed == 0")
    assert first.whitening_distance.is_monotonic_decreasing
    assert first.whitening_distance.to_numpy() == pytest.approx(first.predicted_whitening_distance.to_numpy(), abs=1e-6)
    assert whitening_spread(1 / np.sqrt(basis.variance), basis.variance) == pytest.approx(0, abs=1e-12)


def learning() -> pd.DataFrame:
    rows = [
        {"model": model, "seed": seed, "step": step, "train_loss": 2.0 + seed, "test_accuracy": 0.25}
        for model in MODELS
        for seed in (0, 1)
        for step in (10, 100)
    ]
    return pd.DataFrame(rows)


def test_a_correlation_comes_with_how_far_the_network_was_trained(fits, basis):
    claim = judge(fits, formula.random_table(basis), learning())[0]
    assert "After step 100, the last, the training loss is 2.500 and the test accuracy 25.0%." in claim.note


def verdicts(fits: pd.DataFrame, basis: PatchBasis) -> dict[str, str]:
    claims = judge(fits, formula.random_table(basis), learning())
    assert len({claim.name for claim in claims}) == len(claims) == 9
    return {claim.name: claim.verdict for claim in claims}


def test_verdicts_on_networks_that_follow_the_formula_exactly(fits, basis):
    found = verdicts(fits, basis)
    for model in MODELS:
        assert found[f"formula/{model}/correlation"] == "reproduced"
        assert found[f"formula/{model}/energy-rises"] == "reproduced"
        assert found[f"formula/{model}/approaches-whitening"] == "reproduced"
        assert found[f"formula/{model}/no-exact-match"] == "not reproduced"  # they do match


def test_verdicts_on_networks_that_do_not(fits, basis):
    other = fits.assign(
        correlation=0.79, total_energy=-fits.step, whitening_distance=fits.step.astype(float), least_residual=0.3
    )
    found = verdicts(other, basis)
    for model in MODELS:
        assert found[f"formula/{model}/correlation"] == "not reproduced"
        assert found[f"formula/{model}/energy-rises"] == "not reproduced"
        assert found[f"formula/{model}/approaches-whitening"] == "not reproduced"
        assert found[f"formula/{model}/no-exact-match"] == "reproduced"


def test_random_banks_are_the_null_that_no_training_made(basis):
    table = formula.random_table(basis)
    assert table.model.tolist() == list(MODELS)
    assert (table["mean"] < table.percentile_95).all()
    assert table["mean"].to_numpy() == pytest.approx(0.27, abs=0.06)


def test_what_is_undefined_is_said_to_be_and_not_printed_as_nan(fits, basis):
    other = fits.assign(whitening_distance=np.nan, predicted_whitening_distance=np.nan, log_r2=np.nan)
    claims = {claim.name: claim for claim in judge(other, formula.random_table(basis), learning())}
    assert claims["formula/vgg11/approaches-whitening"].verdict == "not tested"
    assert "undefined (a component has no energy)" in claims["formula/vgg11/approaches-whitening"].note
    assert not any("nan" in claim.note for claim in claims.values())


def test_the_note_gives_both_nulls(fits, basis):
    note = judge(fits, formula.random_table(basis), learning())[0].note
    early = fits.query("model == 'vgg11'").groupby("seed").correlation_early.last().mean()
    assert f"λ itself, the limit of small t, correlates {early:.3f}" in note
    assert "Random banks of this shape reach 0." in note


def test_every_preset_trains_both_networks_with_several_seeds():
    assert set(SCHEDULES) == {"quick", "standard", "full"} == set(formula.EXPERIMENT.costs) == set(formula.PAIR_STEPS)
    for schedule in SCHEDULES.values():
        assert set(schedule.steps) == set(MODELS)
        assert len(schedule.seeds) >= 2
    assert SCHEDULES["full"].steps["vgg11"] == 30 * (50_000 // 256)


def following(tau: float):
    """Filters whose change follows eq. 3 at `tau` in the basis of what the run was trained on."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        rng = np.random.default_rng(spec.seed)
        width = NETWORKS[spec.model].filters
        initial = rng.standard_normal((width, 3, 3, 3))
        basis = BASES[spec.only]
        amplitudes = linear_cnn_profile(basis.variance, tau * max(step, 1))
        change = amplitudes * rng.choice([-1, 1], (width, 27)) @ basis.components
        return initial + step * change.reshape(initial.shape)

    return filters


BASES: dict = {}


def test_the_whole_experiment_on_networks_that_follow_the_formula(tmp_path):
    context = small_context(tmp_path)
    specs = formula.plan(context)
    # The crops have none of CIFAR-10's classes: the pairs cannot be trained.
    assert {spec.only for spec in specs} == {None}
    BASES[None] = context.basis()
    result = formula.run(finish(context, specs, following(1e-3), train_loss=1.0, test_accuracy=0.5))
    found = {claim.name: claim for claim in result.claims}
    assert found["formula/vgg11/correlation"].values == pytest.approx([1, 1], abs=1e-6)
    pair = found["formula/dog-cat/correlation"]
    assert (pair.verdict, pair.note) == ("not tested", "cifar10 has no such classes.")
    assert len(result.runs) == 4
    assert len(found) == len(result.claims) == 14


def test_pairs_are_judged_in_the_patches_of_their_own_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(formula, "PAIRS", {("cat", "coffee"): "0.9 ± 0.1", ("dog", "frog"): "0.91 ± 0.02"})
    monkeypatch.setattr(formula, "PAIR_STEPS", {"quick": 3})
    context = small_context(tmp_path)
    specs = formula.plan(context)
    pair = [spec for spec in specs if spec.only]
    assert [(spec.only, spec.classes, spec.model, spec.seed) for spec in pair] == [
        (("cat", "coffee"), 2, "vgg11", 0),
        (("cat", "coffee"), 2, "vgg11", 1),
    ]
    BASES.update({None: context.basis(), pair[0].only: context.basis(pair[0])})
    assert not np.allclose(BASES[None].variance, BASES[pair[0].only].variance)
    result = formula.run(
        finish(context, specs, following(1e-3), train_loss=1.0, test_accuracy=0.5, train_accuracy=0.75)
    )
    found = {claim.name: claim for claim in result.claims}
    claim = found["formula/cat-coffee/correlation"]
    assert claim.values == pytest.approx([1, 1], abs=1e-6)
    assert "training accuracy 75.0% of two classes after step 3." in claim.note
    assert found["formula/dog-frog/correlation"].verdict == "not tested"
    assert "pairs" in result.figures


def test_a_training_that_failed_leaves_its_claims_untested_and_the_others_judged(tmp_path):
    context = small_context(tmp_path)
    specs = formula.plan(context)
    BASES[None] = context.basis()
    done = finish(context, specs, following(1e-3), train_loss=1.0, test_accuracy=0.5)
    del done.finished[specs[1].hash]
    done.failures[specs[1].hash] = "the training diverged at step 7"
    found = {claim.name: claim for claim in formula.run(done).claims}
    assert {found[f"formula/vgg11/{what}"].verdict for what in ("correlation", "energy-rises")} == {"not tested"}
    assert found["formula/vgg11/correlation"].note == "vgg11, seed 1: the training diverged at step 7"
    assert found["formula/resnet20/correlation"].verdict == "reproduced"
    done.finished.clear()
    done.failures.update({spec.hash: "no disk" for spec in specs})
    assert {claim.verdict for claim in formula.run(done).claims if "random" not in claim.name} == {"not tested"}
