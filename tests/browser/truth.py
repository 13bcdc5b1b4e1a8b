"""What Python says of the networks that a page lets people explore, in the page's order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import firstlight as fl
from firstlight.errors import InputError
from firstlight.experiments.run_views import merged_views
from firstlight.inspection import Comparison, Inspection
from firstlight.profile import correlation


@dataclass(frozen=True, eq=False)
class Network:
    """A profile, the variances it is measured beside, and the fit where there is one; likewise at recorded steps."""

    name: str
    variance: np.ndarray
    energy: np.ndarray
    fit: fl.FormulaFit | None
    steps: Sequence[tuple[int, np.ndarray, fl.FormulaFit | None]] = ()

    def correlation(self, tau: float) -> float:
        """Of the profile with eq. 3 at this tau; NaN where it is undefined."""
        try:
            return correlation(self.energy, fl.linear_cnn_profile(self.variance, tau))
        except InputError:
            return float("nan")

    def curve(self, tau: float) -> np.ndarray:
        """Eq. 3 at this tau, relative to its own peak."""
        shape = fl.linear_cnn_profile(self.variance, tau)
        return shape / shape.max()


def networks(shown: Any) -> list[Network]:
    """Those that `shown` holds."""
    if isinstance(shown, Inspection):
        return [Network(shown.source, shown.basis.variance, shown.profile.energy, shown.fit)]
    if isinstance(shown, Comparison):
        return [
            Network(label, shown.basis.variance, profile.energy, _fit(profile, shown.basis))
            for label, profile in zip(shown.labels, shown.profiles, strict=True)
        ]
    if isinstance(shown, fl.Reproduction):
        views = merged_views(view for result in shown.results for view in result.networks)
        return [
            Network(
                view.label,
                view.basis.variance,
                view.final.profile.energy,
                view.final.fit,
                [(moment.step or 0, moment.profile.energy, moment.fit) for moment in view.snapshots],
            )
            for view in views
        ]
    return [network for entry in shown if isinstance(entry, Inspection) for network in networks(entry)]


def _fit(profile: fl.EnergyProfile, basis: fl.PatchBasis) -> fl.FormulaFit | None:
    try:
        return fl.fit_formula(profile, basis)
    except InputError:
        return None
