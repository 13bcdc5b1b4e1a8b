"""What is measured of a first layer at one moment of its training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.inspection.atlas import most_alike
from firstlight.inspection.measures import dead_filters
from firstlight.inspection.theories import prepare
from firstlight.patches.bank_statistics import channels_of
from firstlight.patches.basis import PatchBasis
from firstlight.patches.given_statistics import ShippedStatistics
from firstlight.patches.statistics import patch_statistics
from firstlight.profile import EnergyProfile, correlation_or_nan, energy_profile, standardized
from firstlight.theory.explanation import interpolated
from firstlight.theory.fit import fit_formula
from firstlight.theory.kept_trajectories import trajectory_of
from firstlight.theory.scan import shape_scores
from firstlight.theory.theory_fit import stride_of

NAN = float("nan")
# What composition may take when a training begins; where it would take longer, and is not known, it is left out.
_MOST_SECONDS = 2.0


@dataclass(frozen=True)
class Measures:
    """One row of a history.

    Attributes
    ----------
    step : int
        Updates since the initialisation.
    peak : int
        Component with the most energy, from 1; 0 without energy.
    frequency : float
        Of the peak, cycles/pixel.
    r, tau, log_r2 : float
        Best fit of eq. 3: correlation, time, R^2 of log energy.
    r_lambda : float
        Correlation with lambda alone, which eq. 3 begins with.
    participation : float
        Over how many components the responses to patches are spread evenly: ``(sum v)^2 / sum v^2``, with v the
        variance of the response in each; D for whitening.
    change : float
        ``|w - w(0)| / |w(0)|``.
    dead : int
        Dead filters: norms and responses below 3% of the upper quartile.
    nearest : str
        The known network whose profile is most alike; empty without one of that kernel size.
    r_nearest, r_compared : float
        Correlation with it, and with what was given to compare with.
    composition_r, composition_t : float
        Best fit of composition: correlation and time; NaN where there is none, or none soon.
    """

    step: int
    peak: int
    frequency: float
    r: float
    tau: float
    log_r2: float
    r_lambda: float
    participation: float
    change: float
    dead: int
    nearest: str
    r_nearest: float
    r_compared: float
    composition_r: float = NAN
    composition_t: float = NAN


class Watched(NamedTuple):
    """What a layer is watched with.

    Attributes
    ----------
    basis : PatchBasis
    data : str
        Whose patches these are.
    known : bool
        Whether known networks were seen in the same.
    composition : tuple of ndarray, or None
        Times (T,), and its profiles there (T, D).
    """

    basis: PatchBasis
    data: str
    known: bool
    composition: tuple[np.ndarray, np.ndarray] | None


def in_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, with None for what is not finite, which JSON does not know."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def patches_for(
    bank: FilterBank,
    data: Any,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    **options: Any,
) -> Watched:
    """The components to watch a layer in, and composition in them.

    Raises
    ------
    InputError, SourceError
        The data do not fit the layer, cannot be had, or have fewer patches than components.
    """
    statistics = patch_statistics(data, **{"channels": channels_of([bank]), **options})
    prepare(statistics, [bank])
    basis = statistics.basis(bank, mean, std)
    if basis.shortage:
        raise InputError(f"{basis.shortage}; expected more patches: give more images, or larger ones")
    try:
        folder = options.get("data_dir")
        found = trajectory_of(bank, statistics, stride_of(bank), mean, std, folder, _MOST_SECONDS)
        composition = interpolated(found)
    except InputError:
        composition = None
    known = isinstance(statistics, ShippedStatistics) and mean is None and std is None
    return Watched(basis, statistics.data, known, composition)


def measured(
    bank: FilterBank,
    initial: FilterBank,
    watched: Watched,
    *,
    step: int,
    change: bool,
    compared: np.ndarray | None,
) -> tuple[Measures, EnergyProfile]:
    """Measure a layer, by its change since the initialisation or as it is."""
    basis = watched.basis
    profile = energy_profile(bank, basis, initial if change else None)
    energy = profile.energy
    try:
        fit: Any = fit_formula(profile, basis)
    except InputError:  # nothing has moved yet
        fit = None
    alike = most_alike(energy, bank.weight.shape[2:], change) if watched.known else None
    spread = energy**2 * basis.variance
    composition = _composition(energy, watched.composition) if fit else (NAN, NAN)
    moved = np.linalg.norm(bank.weight - initial.weight)
    return Measures(
        step=step,
        peak=profile.peak + 1 if energy.any() else 0,
        frequency=float(basis.frequency[profile.peak]) if energy.any() else NAN,
        r=fit.correlation if fit else NAN,
        tau=fit.tau if fit else NAN,
        log_r2=fit.log_r2 if fit else NAN,
        r_lambda=correlation_or_nan(energy, np.sqrt(basis.variance)),
        participation=float(spread.sum() ** 2 / np.sum(spread**2)) if spread.any() else NAN,
        change=float(moved / (np.linalg.norm(initial.weight) or 1.0)),
        dead=int(dead_filters(bank.weight, basis).sum()),
        nearest=alike[0].name if alike else "",
        r_nearest=alike[1] if alike else NAN,
        r_compared=NAN if compared is None else correlation_or_nan(energy, compared),
        composition_r=composition[0],
        composition_t=composition[1],
    ), profile


def _composition(energy: np.ndarray, course: tuple[np.ndarray, np.ndarray] | None) -> tuple[float, float]:
    """Its correlation with energies at the best time, and that time."""
    if course is None:
        return NAN, NAN
    scores = shape_scores(standardized(energy), course[1])
    best = int(np.argmax(scores))
    return float(scores[best]), float(course[0][best])
