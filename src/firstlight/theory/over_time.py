"""Eq. 3 for the patches of a data set, from early to whitened: what `firstlight theory` shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.profile import correlation
from firstlight.theory.formula import PEAK, linear_cnn_profile, regime
from firstlight.utils.checks import positive_number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FormulaOverTime:
    """The profiles of eq. 3 after several numbers of steps.

    Attributes
    ----------
    basis : PatchBasis
    lr : float
        Learning rate of the linear CNN, on pixels normalised as the basis was.
    steps : ndarray, shape (T,)
        Numbers of gradient steps, ascending; infinity is allowed.
    energy : ndarray, shape (T, D)
    """

    basis: PatchBasis = field(repr=False)
    lr: float
    steps: np.ndarray
    energy: np.ndarray = field(repr=False)

    @property
    def tau(self) -> np.ndarray:
        """lr * steps, shape (T,)."""
        return self.lr * self.steps

    @property
    def descent(self) -> str:
        """What gradient descent does in the component of largest variance."""
        return regime(self.basis.variance, self.lr)

    @property
    def with_lambda(self) -> np.ndarray:
        """Correlation of each profile with lambda, its early limit, shape (T,); NaN where one of the two is flat."""
        return self._correlations(np.sqrt(self.basis.variance))

    @property
    def with_whitening(self) -> np.ndarray:
        """The same with 1 / lambda, its late limit; NaN throughout where a component has no variance."""
        if not self.basis.variance.all():
            return np.full(len(self.steps), np.nan)
        return self._correlations(1 / np.sqrt(self.basis.variance))

    def _correlations(self, limit: np.ndarray) -> np.ndarray:
        flat = [np.ptp(profile) == 0 or np.ptp(limit) == 0 for profile in self.energy]
        pairs = zip(self.energy, flat, strict=True)
        return np.array([np.nan if same else correlation(profile, limit) for profile, same in pairs])

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types; a number of steps that is infinite is the text "inf"."""
        return {
            "patches": self.basis.count,
            "channels": self.basis.channels,
            "kernel_size": self.basis.shape[1],
            "lr": self.lr,
            "descent": self.descent,
            "variance": self.basis.variance.tolist(),
            "steps": [step if np.isfinite(step) else "inf" for step in self.steps.tolist()],
            "energy": self.energy.tolist(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: its number from 1, variance, and its energy after each number of steps."""
        import pandas as pd

        names = ["inf" if np.isinf(step) else f"{step:.0f}" for step in self.steps]
        columns = {f"energy_after_{name}_steps": energy for name, energy in zip(names, self.energy, strict=True)}
        return pd.DataFrame({"component": range(1, self.basis.size + 1), "variance": self.basis.variance, **columns})


def formula_over_time(basis: PatchBasis, lr: float, steps: Sequence[float] | None = None) -> FormulaOverTime:
    """Eq. 3 after several numbers of steps; by default from one step to whitening.

    Parameters
    ----------
    basis : PatchBasis
    lr : float
        Learning rate of the linear CNN.
    steps : sequence of float, optional
        Whole numbers, in any order; infinity is allowed.

    Returns
    -------
    FormulaOverTime

    Raises
    ------
    InputError
        Eq. 3 has no finite value there.
    """
    lr = positive_number("lr", lr)
    times = np.unique(np.array(steps if steps else _spread(basis, lr), dtype=np.float64))
    return FormulaOverTime(basis, lr, times, linear_cnn_profile(basis.variance, lr=lr, steps=times))


def _spread(basis: PatchBasis, lr: float) -> list[float]:
    """Steps from one, over those whose peaks spread over the components, to whitening."""
    positive = basis.variance[basis.variance > 0]
    if not len(positive):
        raise InputError("all patches are zero; expected images with some structure")
    fastest = lr * positive.max()
    last = max(1.0, PEAK / (lr * positive.min()))
    if fastest > 2:
        last = min(last, 50 / np.log(fastest - 1))  # beyond that the diverging component hides all others
    middle = sorted({float(round(step)) for step in np.geomspace(1, max(last, 1), 7)})
    return [*middle, float("inf")] if fastest < 2 and len(positive) == basis.size else middle
