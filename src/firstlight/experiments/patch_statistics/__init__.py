"""`patch-statistics`: does the first layer follow the patches when one of their eigenvalues is changed?

One component's coefficient is multiplied by α in every patch. The first layer reads the patches side by side (stride
3), so that each pixel belongs to one patch and all other coefficients stay as they are. If the profile is decided by
the eigenvalues, as eq. 3 says, it must change where the eigenvalue did, and by as much: the share of the energy in the
scaled component must be what eq. 3 predicts with the changed eigenvalue.

Expected, by the paper's Figure 8b: the eigenvalue becomes α²λ², and eq. 3 with it still fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.networks import SCALED, Trained
from firstlight.experiments.patch_statistics import figures
from firstlight.experiments.patch_statistics.claims import SHARES, judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.run_views import run_view
from firstlight.experiments.shared.fits import RUN_COLUMNS, change_profiles
from firstlight.experiments.shared.tables import stacked
from firstlight.patches import PatchBasis
from firstlight.profile import energy_profile
from firstlight.theory import AUTHORS_TAU, fit_formula

ON = ("vgg11-stride3", "resnet20-stride3", *(network for network, _ in SHARES.values()))
UNSCALED = 0  # in place of the scaled component
EIGENVALUE_COLUMNS = (
    *("scaled_component", "component", "variance", "changed_variance"),
    *("ratio", "changed_component", "cosine"),
)
# Each `over_` is the share of the energy in the component as a factor on what is predicted there.
SHARE_COLUMNS = (
    *(*RUN_COLUMNS, "component", "share", "over_changed", "over_unchanged", "over_lambda"),
    *("tau", "correlation", "correlation_unchanged"),
)


def run(context: Context) -> Result:
    """Measure the eigenvalues, and the share of the energy in the scaled component beside both predictions; judge."""
    bases = all_bases(context)
    groups = {name: context.trained(name) for name in ON}
    there = [group for group in groups.values() if group]
    variances = {scaled: variance_along(bases[UNSCALED], basis) for scaled, basis in bases.items()}
    tables = [eigenvalue_table(bases[UNSCALED], bases[scaled], scaled) for scaled in SCALED if scaled in bases]
    eigenvalues = stacked(tables, EIGENVALUE_COLUMNS)
    shares = share_table(there, bases, variances)
    return Result(
        experiment="patch-statistics",
        claims=tuple(judge(groups, eigenvalues, shares)),
        tables={"eigenvalues": eigenvalues, "shares": shares},
        figures=draw([group for group in there if scaled_in(group)], bases, variances),
        runs=tuple(run for group in there for run in group.runs),
        units="τ = lr × steps of the linear CNN, on normalised patches read with stride 3",
        networks=tuple(run_view(run, bases[scaled_in(group)]) for group in there for run in group.runs),
    )


def all_bases(context: Context) -> dict[int, PatchBasis]:
    """Components of the patches by the scaled component, `UNSCALED` as they are; of those that can be trained on."""
    specs = {spec.scaled_component or UNSCALED: spec for spec in context.specs(*ON)}
    for spec in list(specs.values()):
        specs[UNSCALED] = replace(spec, scaled_component=None, scale=1.0)
    return {scaled: context.basis(spec) for scaled, spec in specs.items()}


def scaled_in(group: Trained) -> int:
    """The component that a network's images have scaled."""
    return group.runs[0].spec.scaled_component or UNSCALED


def variance_along(basis: PatchBasis, changed: PatchBasis) -> np.ndarray:
    """Variance of the changed patches in the directions of another basis, shape (D,)."""
    return (basis.components @ changed.components.T) ** 2 @ changed.variance


def eigenvalue_table(basis: PatchBasis, changed: PatchBasis, scaled: int) -> pd.DataFrame:
    """What scaling one component does to the variance in every direction u_i.

    Parameters
    ----------
    basis, changed : PatchBasis
        Of the patches before and after.
    scaled : int
        The component, from 1 in the order before, that was scaled.

    Returns
    -------
    DataFrame
        A row a component of `basis`: its `variance`, the `changed_variance` of the changed patches in the same
        direction, their `ratio` (NaN where there was none), the `changed_component` whose direction is nearest, and
        their `cosine`, 1 where u_i is still an eigenvector.
    """
    cosine = np.abs(basis.components @ changed.components.T)
    variance = variance_along(basis, changed)
    ratio = np.divide(variance, basis.variance, out=np.full(basis.size, np.nan), where=basis.variance > 0)
    nearest = cosine.argmax(axis=1) + 1, cosine.max(axis=1)
    columns = (scaled, np.arange(1, basis.size + 1), basis.variance, variance, ratio, *nearest)
    return pd.DataFrame(dict(zip(EIGENVALUE_COLUMNS, columns, strict=True)))


def share_table(
    groups: Sequence[Trained], bases: Mapping[int, PatchBasis], variances: Mapping[int, np.ndarray]
) -> pd.DataFrame:
    """A row a run and component, after one step and at the end: its share of the energy, and what eq. 3 predicts.

    Of networks on scaled patches the scaled component, of the others each of those. The components are those of the
    unscaled patches; scaling one changes the order of them all, and no direction.
    """
    rows = []
    for group in groups:
        scaled = scaled_in(group)
        for run in group.runs:
            profiles = change_profiles(run, bases[UNSCALED])
            for step, profile in (profiles[0], profiles[-1]):
                for component in [scaled] if scaled else SCALED:
                    found = shares(profile.energy, component - 1, variances[scaled], variances[UNSCALED])
                    rows.append((group.network.name, run.spec.seed, step, component, *found))
    return pd.DataFrame(rows, columns=list(SHARE_COLUMNS))


def shares(energy: np.ndarray, place: int, changed: np.ndarray, unchanged: np.ndarray) -> tuple[float, ...]:
    """What `SHARE_COLUMNS` has of one profile, by both variances."""
    if not np.ptp(energy) > 0:  # the layer has not moved
        return (float("nan"),) * (len(SHARE_COLUMNS) - 4)
    fits = [fit_formula(energy, variance, tau_range=AUTHORS_TAU) for variance in (changed, unchanged)]
    measured = share(energy, place)
    predicted = [share(profile, place) for profile in (*(fit.prediction for fit in fits), np.sqrt(changed))]
    over = [measured / one if one > 0 else float("nan") for one in predicted]
    return measured, *over, fits[0].tau, *(fit.correlation for fit in fits)


def share(energy: np.ndarray, place: int) -> float:
    """Share of the energy, e^2 over its sum, in one component."""
    return float(energy[place] ** 2 / np.sum(energy**2))


def draw(
    groups: Sequence[Trained], bases: Mapping[int, PatchBasis], variances: Mapping[int, np.ndarray]
) -> dict[str, FigureEntry]:
    """Profiles and both predictions, a panel a network on scaled patches; nothing where there is none."""
    groups = [group for group in groups if group.moved]
    if not groups:
        return {}
    panels = [
        (group.network.title, scaled_in(group), final_profiles(group, bases[UNSCALED], variances)) for group in groups
    ]
    return {
        "profiles": FigureEntry(
            figures.profiles(panels, bases[UNSCALED]),
            "Eq. 3 with the changed and with the unchanged eigenvalue (Fig. 8b)",
            "Energy of w(t) - w(0) at the last step, relative to its peak, in the components of the unscaled patches: "
            "mean and range over seeds; eq. 3 at the best t of each seed in the authors' range, averaged. The vertical "
            "line marks the scaled component; the correlations are means over seeds.",
        )
    }


def final_profiles(group: Trained, basis: PatchBasis, variances: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
    """Final profiles and both fits of eq. 3 to them, (S, D), relative to the measured peaks."""
    measured = np.array([energy_profile(run.final, basis, initial=run.initial).normalized for run in group.runs])
    sides = {"changed": variances[scaled_in(group)], "unchanged": variances[UNSCALED]}
    return {"measured": measured} | {
        name: np.array([fit_formula(energy, variance, tau_range=AUTHORS_TAU).prediction for energy in measured])
        for name, variance in sides.items()
    }


EXPERIMENT = Experiment(
    name="patch-statistics",
    question="Does the first layer follow the patches when one of their eigenvalues is changed?",
    answers="paper Fig. 8b and Fig. 18",
    networks=ON,
    run=run,
)
