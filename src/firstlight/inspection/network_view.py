"""NetworkView: all that an interactive page shows of one network's first layer."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from firstlight.errors import InputError
from firstlight.inspection.measures import FilterFaults
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.theory.explanation import Explanation
from firstlight.theory.fit import fit_formula
from firstlight.theory.formula_fit import FormulaFit

# tau * variance at the ends of `tau_range`: eq. 3 is its limits there, lambda and 1 / lambda, but for parts in 1000.
_EARLY, _LATE = 1e-2, 10.0


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A profile at one moment, with the best fit of eq. 3.

    Attributes
    ----------
    profile : EnergyProfile
    fit : FormulaFit or None
        None where eq. 3 cannot be fitted, for the reason in `unfitted`.
    unfitted : str
    step : int or None
        Updates since the initialisation; None where nobody knows.
    composition : Explanation or None
        Composition at its best time, where it was fitted.
    """

    profile: EnergyProfile = field(repr=False)
    fit: FormulaFit | None
    unfitted: str = ""
    step: int | None = None
    composition: Explanation | None = field(repr=False, default=None)

    @classmethod
    def of(
        cls,
        profile: EnergyProfile,
        basis: PatchBasis,
        step: int | None = None,
        fit: Callable[[EnergyProfile, PatchBasis], FormulaFit] = fit_formula,
    ) -> "Snapshot":
        """Fit eq. 3 to a profile, or say why that is impossible."""
        try:
            return cls(profile, fit(profile, basis), step=step)
        except InputError as error:
            return cls(profile, None, str(error), step)


@dataclass(frozen=True, eq=False)
class NetworkView:
    """A network's first layer: what it was, what it became, and how eq. 3 follows it.

    Attributes
    ----------
    name : str
        What people call it.
    basis : PatchBasis
        The components that the profiles are measured in.
    snapshots : sequence of Snapshot
        At least one; the last is the network as it is, those before it are its training.
    trained : ndarray, shape (K, C, kh, kw)
        The filters; their kernels may be larger than the components, whose windows they are then looked at through.
    initial : ndarray, shape (K, C, kh, kw), or None
        The filters before training, where they are known.
    learning : mapping of str to ndarray, shape (T,)
        Columns of the learning curve: "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy"; NaN
        where nothing was measured. Empty: not recorded.
    decorrelation : mapping of str to ndarray, shape (max_distance + 1,)
        C(d) / C(0) at d = 0, 1, ... pixels of the banks and of what they are compared with. Empty: not measured.
    units : str
        What tau is measured in.
    key : str
        The same for views of the same network, such as the hash of its run; empty: a network of its own.
    details : sequence of str
        What belongs into its name where another one has the same: "bfloat16". Of every view the same things, in order.
    learnt : bool or None
        Whether it has learnt anything by the rule that its kind is judged by; None where nobody knows.
    faults : FilterFaults or None
        Dead and duplicate filters; None where nobody looked for them.
    """

    name: str
    basis: PatchBasis = field(repr=False)
    snapshots: Sequence[Snapshot] = field(repr=False)
    trained: np.ndarray = field(repr=False)
    initial: np.ndarray | None = field(repr=False, default=None)
    learning: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)
    decorrelation: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)
    units: str = ""
    key: str = ""
    details: Sequence[str] = field(repr=False, default=())
    learnt: bool | None = field(repr=False, default=None)
    faults: FilterFaults | None = field(repr=False, default=None)

    @property
    def label(self) -> str:
        """The name, and how well the network knows its training images, where that was recorded."""
        known = self.learning.get("train_accuracy", np.array([]))[-1:]
        return f"{self.name} · {known[0]:.0%} training accuracy" if np.isfinite(known).any() else self.name

    @property
    def final(self) -> Snapshot:
        """The network as it is."""
        return self.snapshots[-1]

    @property
    def tau_range(self) -> tuple[float, float]:
        """From the tau that is early for every component to one that whitens all, and beyond whatever was fitted."""
        positive = self.basis.variance[self.basis.variance > 0]
        low, high = (_EARLY / positive.max(), _LATE / positive.min()) if len(positive) else (_EARLY, _LATE)
        fit = self.final.fit
        if fit is not None and not fit.bound:
            low, high = min(low, fit.tau / 2), max(high, fit.tau * 2)
        return float(low), float(high)

    @property
    def digest(self) -> str:
        """What tells whether somebody else's filters are the same: SHA-256 of the weights in float64."""
        return hashlib.sha256(np.ascontiguousarray(self.trained, "<f8").tobytes()).hexdigest()


def opening(views: Sequence[NetworkView]) -> int:
    """The number of the view to open on: the first trained one, if there is any, that eq. 3 is fitted to."""
    ranks = {True: 2, None: 1, False: 0}
    return max(range(len(views)), key=lambda n: (ranks[views[n].learnt], views[n].final.fit is not None, -n), default=0)
