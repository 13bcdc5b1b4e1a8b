"""The profile of the change in a run at its recorded steps, eq. 3 fitted to it, and to random banks."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from firstlight.errors import InputError
from firstlight.experiments.networks import Trained
from firstlight.models import MODELS
from firstlight.patches import PatchBasis
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.theory import AUTHORS_TAU, FormulaFit, fit_formula
from firstlight.theory.null import fit_correlations, gaussians, percentile
from firstlight.training import Run, flow_time
from firstlight.whitening import whitening_spread

RANDOM_BANKS = 200
RUN_COLUMNS = ("network", "seed", "step")
# `correlation` and `tau` are those of the authors' range; the best of all tau is `free`.
FIT_COLUMNS = (
    *("lr_times_steps", "tau", "correlation", "correlation_lambda"),
    *("free_tau", "bound", "tau_low", "tau_high", "free_correlation", "log_r2", "least_residual"),
    *("total_energy", "peak_component", "participation", "whitening_spread", "predicted_whitening_spread"),
)


def change_profiles(run: Run, basis: PatchBasis) -> list[tuple[int, EnergyProfile]]:
    """The profile of w(t) - w(0) at every recorded step but the first."""
    return [
        (int(step), energy_profile(filters, basis, initial=run.initial))
        for step, filters in zip(run.steps[1:], run.filters[1:], strict=True)
    ]


def change_profile_at(run: Run, basis: PatchBasis, step: int) -> EnergyProfile:
    """The profile of w(t) - w(0) at a recorded step."""
    return energy_profile(run.filters[run.steps.tolist().index(step)], basis, initial=run.initial)


def fit_table(groups: Sequence[tuple[Trained, PatchBasis]], ends_only: bool = False) -> pd.DataFrame:
    """A row a run and recorded step: the fit of eq. 3 to the profile of the change, and that profile's size.

    With `ends_only` only after one step and at the end.
    """
    rows = []
    for group, basis in groups:
        for run in group.runs:
            profiles = change_profiles(run, basis)
            for step, profile in [profiles[0], profiles[-1]] if ends_only else profiles:
                rows.append((group.network.name, run.spec.seed, step, *fit_row(run, step, basis, profile)))
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, *FIT_COLUMNS])


def fitted(
    profile: EnergyProfile | np.ndarray, basis: PatchBasis, tau_range: tuple[float, float] | None = None
) -> FormulaFit:
    """Eq. 3 fitted to a profile, once: tables, figures and the interactive page of several experiments ask for it."""
    energy = profile.energy if isinstance(profile, EnergyProfile) else np.asarray(profile, dtype=np.float64)
    return _fitted(energy.tobytes(), basis.variance.tobytes(), tau_range)


@lru_cache(maxsize=4096)
def _fitted(energy: bytes, variance: bytes, tau_range: tuple[float, float] | None) -> FormulaFit:
    return fit_formula(np.frombuffer(energy), np.frombuffer(variance), tau_range=tau_range)


def fit_or_nan(
    profile: EnergyProfile | np.ndarray, basis: PatchBasis, tau_range: tuple[float, float] | None = None
) -> FormulaFit:
    """The same; of a first layer that has not moved, whose profile is constant, a fit of NaN."""
    energy = profile.energy if isinstance(profile, EnergyProfile) else np.asarray(profile, dtype=np.float64)
    if np.ptp(energy) > 0:
        return fitted(energy, basis, tau_range)
    nan = float("nan")
    return FormulaFit(nan, nan, nan, nan, nan, nan, (nan, nan), "", np.full(len(energy), nan), energy)


def fit_row(run: Run, step: int, basis: PatchBasis, profile: EnergyProfile) -> tuple[float | str | None, ...]:
    """The fits of eq. 3 to one profile, in the authors' range and over all tau, and that profile's size."""
    authors, free = fit_or_nan(profile, basis, AUTHORS_TAU), fit_or_nan(profile, basis)
    return (
        flow_time(run.spec, step),
        authors.tau,
        authors.correlation,
        similarity(profile.energy, np.sqrt(basis.variance)),
        free.tau,
        free.bound,
        *free.tau_range,
        free.correlation,
        free.log_r2,
        free.least_residual,
        profile.total,
        profile.peak + 1,
        participation(profile.energy, basis.variance),
        whitening_spread(profile.energy, basis.variance),
        whitening_spread(free.prediction, basis.variance),
    )


def participation(energy: np.ndarray, variance: np.ndarray) -> float:
    """How many components share the responses: (sum s)^2 / sum s^2 of s = e^2 lambda^2, from 1 to D, which is white."""
    shares = energy**2 * variance
    return float(shares.sum() ** 2 / (shares**2).sum()) if shares.any() else float("nan")


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two profiles; NaN where one is constant, as that of a layer that has not moved."""
    try:
        return correlation(a, b)
    except InputError:
        return float("nan")


def random_fits(model: str, *bases: PatchBasis, draws: int = RANDOM_BANKS) -> list[np.ndarray]:
    """Correlation of eq. 3, authors' range, with the same random banks of a network's shape in each basis, (draws,).

    The best t is taken, so that it is biased upwards: what a trained network's must be seen against.
    """
    banks = gaussians(draws, MODELS[model].filters, *bases[0].shape)
    return [fit_correlations(banks, basis, tau_range=AUTHORS_TAU) for basis in bases]


def null_of(scores: np.ndarray, what: str) -> dict[str, float | str]:
    """A null distribution as a claim shows it."""
    return {"of": what, "mean": float(np.mean(scores)), "percentile_95": percentile(scores)}
