"""The profile of the change in a run at its recorded steps, eq. 3 fitted to it, and to random banks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.theory import fit_formula
from firstlight.theory.null import fit_correlations, gaussians
from firstlight.training import Run
from firstlight.whitening import whitening_spread

RANDOM_BANKS = 200
# Two of the names are older than `whitening_spread`, which these columns hold.
FIT_COLUMNS = (
    "lr_times_steps",
    "tau",
    "bound",
    "tau_low",
    "tau_high",
    "correlation",
    "correlation_early",
    "log_r2",
    "residual",
    "least_residual",
    "total_energy",
    "peak_component",
    "whitening_distance",
    "predicted_whitening_distance",
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


def fit_table(runs: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and recorded step: the fit of eq. 3 to the profile of the change, and that profile's size."""
    rows = [
        {"model": run.spec.model, "seed": run.spec.seed, "step": step, **fit_row(run, step, basis, profile)}
        for run in runs
        for step, profile in change_profiles(run, basis)
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "step", *FIT_COLUMNS])


def fit_row(run: Run, step: int, basis: PatchBasis, profile: EnergyProfile) -> dict[str, float | str | None]:
    """The fit of eq. 3 to one profile, and that profile's size."""
    fit = fit_formula(profile, basis)
    values = (
        step * run.spec.lr,
        fit.tau,
        fit.bound,
        *fit.tau_range,
        fit.correlation,
        correlation(profile.energy, np.sqrt(basis.variance)),
        fit.log_r2,
        fit.residual,
        fit.least_residual,
        profile.total,
        profile.peak + 1,
        whitening_spread(profile.energy, basis.variance),
        whitening_spread(fit.prediction, basis.variance),
    )
    return dict(zip(FIT_COLUMNS, values, strict=True))


def random_fits(model: str, *bases: PatchBasis, draws: int = RANDOM_BANKS) -> list[np.ndarray]:
    """Correlation of eq. 3 with the same random Gaussian banks of a network's shape in each basis, shape (draws,).

    The best of all t is taken, so that it is biased upwards: what a trained network's must be seen against.
    """
    banks = gaussians(draws, NETWORKS[model].filters, *bases[0].shape)
    return [fit_correlations(banks, basis) for basis in bases]
