"""`formula`: does the closed form for a linear CNN (eq. 3) fit the first layers of real networks?

Protocol of the authors' published code: VGG11 with batch norm and ResNet20 on CIFAR-10; SGD, lr 0.01, batch 256, no
momentum, weight decay or augmentation; 30 epochs. The profile of w(t) - w(0) is fitted over t. We fit it at every
recorded step, not only the last, and say how far from exact the best t is.

Expected, by the paper's Table 3 for VGG11: correlation 0.94 ± 0.01; for a random initialisation 0.1 ± 0.15.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from firstlight.experiments import formula_figures as figures
from firstlight.experiments.base import Context, Experiment, FigureEntry, Preset, Result
from firstlight.experiments.formula_claims import MODELS, RANDOM_BANKS, judge
from firstlight.patches import PatchBasis, patch_basis
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.theory import FormulaFit, fit_formula
from firstlight.training import Run, RunSpec

KERNEL_SIZE = 3


@dataclass(frozen=True)
class Schedule:
    """How many steps each network is trained, with which seeds, and how many test images measure it."""

    seeds: tuple[int, ...]
    steps: dict[str, int]
    test_images: int


# full is the paper's 30 epochs of 195 batches of 256.
SCHEDULES: dict[Preset, Schedule] = {
    "quick": Schedule(seeds=(0, 1), steps={"vgg11": 20, "resnet20": 64}, test_images=500),
    "standard": Schedule(seeds=(0, 1, 2), steps={"vgg11": 390, "resnet20": 975}, test_images=2000),
    "full": Schedule(seeds=(0, 1, 2), steps={"vgg11": 5850, "resnet20": 5850}, test_images=10_000),
}


def run(context: Context) -> Result:
    """Train both networks, fit eq. 3 at every recorded step, and judge the seed's claims."""
    schedule = SCHEDULES[context.preset]
    basis = patch_basis(context.train_set, KERNEL_SIZE)

    def score(filters: np.ndarray, initial: np.ndarray) -> float:
        return fit_formula(energy_profile(filters, basis, initial=initial), basis).correlation

    runs = [
        context.obtain(
            RunSpec.for_data(
                model,
                context.train_set,
                context.test_set,
                steps=schedule.steps[model],
                seed=seed,
                test_images=min(schedule.test_images, len(context.test_set)),
            ),
            score,
        )
        for model in MODELS
        for seed in schedule.seeds
    ]
    fits = fit_table(runs, basis)
    random_banks = random_table(runs, basis)
    learning = learning_table(runs)
    return Result(
        experiment="formula",
        claims=tuple(judge(fits, random_banks, learning)),
        tables={
            "fits": fits,
            "random_initialisation": random_banks,
            "patch_components": basis.to_frame(),
            "learning": learning,
        },
        figures=draw(runs, basis, fits),
        runs=tuple(runs),
        units=(
            f"τ = lr × steps of the linear CNN, on patches normalised per channel with mean "
            f"{list(context.train_set.mean)} and std {list(context.train_set.std)}; λ² is the variance of such a patch "
            "in a component, not centred (eq. 2)"
        ),
    )


def changes(run: Run, basis: PatchBasis) -> list[tuple[int, EnergyProfile]]:
    """The profile of w(t) - w(0) at every recorded step but the first."""
    return [
        (int(step), energy_profile(filters, basis, initial=run.initial))
        for step, filters in zip(run.steps[1:], run.filters[1:], strict=True)
    ]


def fit_table(runs: list[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and recorded step: the fit of eq. 3 to the profile of the change, and that profile's size."""
    rows = []
    for run in runs:
        for step, profile in changes(run, basis):
            fit = fit_formula(profile, basis)
            rows.append(
                {
                    "model": run.spec.model,
                    "seed": run.spec.seed,
                    "step": step,
                    "lr_times_steps": step * run.spec.lr,
                    "tau": fit.tau,
                    "bound": fit.bound,
                    "tau_low": fit.tau_range[0],
                    "tau_high": fit.tau_range[1],
                    "correlation": fit.correlation,
                    "correlation_early": correlation(profile.energy, np.sqrt(basis.variance)),
                    "log_r2": fit.log_r2,
                    "residual": fit.residual,
                    "least_residual": fit.least_residual,
                    "total_energy": profile.total,
                    "peak_component": profile.peak + 1,
                    "whitening_distance": whitening_distance(profile.energy, basis),
                    "predicted_whitening_distance": whitening_distance(fit.prediction, basis),
                }
            )
    return pd.DataFrame(rows)


def whitening_distance(energy: np.ndarray, basis: PatchBasis) -> float:
    """Standard deviation over components of log(e_i lambda_i): 0 for a whitening bank, where e_i = c / lambda_i.

    Components without variance cannot be whitened and are left out; NaN where another has no energy.
    """
    whitened = (energy * np.sqrt(basis.variance))[basis.variance > 0]
    return float(np.std(np.log(whitened))) if (whitened > 0).all() else float("nan")


def random_table(runs: list[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a network: eq. 3 fitted to random Gaussian banks of its shape, which no training has touched.

    The best of all t is taken, so the correlation is biased upwards: what a trained network's must be seen against.
    """
    rows = []
    for model in MODELS:
        initial = next(run.initial for run in runs if run.spec.model == model)
        rng = np.random.default_rng(0)
        scores = [
            fit_formula(energy_profile(rng.standard_normal(initial.shape), basis), basis).correlation
            for _ in range(RANDOM_BANKS)
        ]
        own = [
            fit_formula(energy_profile(run.initial, basis), basis).correlation
            for run in runs
            if run.spec.model == model
        ]
        rows.append(
            {
                "model": model,
                "filters": len(initial),
                "banks": RANDOM_BANKS,
                "mean": np.mean(scores),
                "std": np.std(scores, ddof=1),
                "percentile_95": np.percentile(scores, 95),
                "own_initialisation_mean": np.mean(own),
            }
        )
    return pd.DataFrame(rows)


def learning_table(runs: list[Run]) -> pd.DataFrame:
    """Loss and accuracy of every run, as recorded."""
    tables = [run.metrics.assign(model=run.spec.model, seed=run.spec.seed) for run in runs]
    columns = ["model", "seed", *runs[0].metrics.columns]
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


def draw(runs: list[Run], basis: PatchBasis, fits: pd.DataFrame) -> dict[str, FigureEntry]:
    """The figures of the seed, and those that say how far they reach."""
    finals: dict[str, list[tuple[EnergyProfile, FormulaFit]]] = {}
    for run in runs:
        profile = energy_profile(run.final, basis, initial=run.initial)
        finals.setdefault(MODELS[run.spec.model], []).append((profile, fit_formula(profile, basis)))
    named = fits.assign(model=fits.model.map(MODELS))
    first_runs = {name: next(run for run in runs if run.spec.model == model) for model, name in MODELS.items()}
    return {
        "profile_against_formula": FigureEntry(
            figures.profiles(finals),
            "Figure 1 of the seed: measured energy profile against eq. 3",
            "Energy of w(t) - w(0) at the last step, relative to its peak: mean and range over seeds, and eq. 3 at the "
            "best t of each seed, averaged. The correlation is the mean over seeds.",
        ),
        "energy_over_steps": FigureEntry(
            figures.energy_over_steps(named),
            "Energy over the iterations",
            "Root-mean-square norm of a filter's change since initialisation, a line a seed.",
        ),
        "fit_over_steps": FigureEntry(
            figures.fit_over_steps(named),
            "How well eq. 3 fits, over the iterations",
            "Correlation (solid) and R² of log energy (dashed) at the best t, at every recorded step. An R² of 1 would "
            "be an exact match; below 0 a constant profile does better.",
        ),
        "formula_over_time": FigureEntry(
            figures.formula_over_time(basis),
            "Eq. 3 at several t",
            "The predicted profile, relative to its peak, from e ∝ λ (early) to e ∝ 1/λ (whitening).",
        ),
        "patch_components": FigureEntry(
            figures.components(basis),
            "The principal components of the patches",
            "By decreasing variance, left to right and top to bottom; gray is zero.",
        ),
        "filters": FigureEntry(
            figures.filters({name: (run.initial, run.final) for name, run in first_runs.items()}),
            "The filters, initial and trained",
            f"First layer of seed {runs[0].spec.seed}: before training, after it, and the change. Each filter is "
            "scaled by its own largest weight; gray is zero.",
        ),
    }


EXPERIMENT = Experiment(
    name="formula",
    question="Does eq. 3, derived for a linear CNN, fit the first layers of VGG11 and ResNet20?",
    answers="seed sec. 3 and Fig. 1; paper Table 3 and Fig. 7",
    costs={
        "quick": "2 seeds of VGG11 (20 steps) and ResNet20 (64 steps): 2 to 4 minutes on 2 CPU cores",
        "standard": "3 seeds, 2 epochs of VGG11 and 5 of ResNet20 on CIFAR-10: about an hour on 2 CPU cores",
        "full": "3 seeds, 30 epochs each on CIFAR-10, the paper's protocol: for one GPU",
    },
    run=run,
)
