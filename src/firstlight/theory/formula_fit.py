"""FormulaFit: the closed form at the training time that fits a profile best."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstlight.theory.scan import FLAT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIMITS = {
    "early": "proportional to λ, or before the range asked for: tau is too small to be told",
    "late": "whitened, or after the range asked for: tau is too large to be told",
}


@dataclass(frozen=True, eq=False)
class FormulaFit:
    """The closed form (eq. 3) at the training time that fits a profile best.

    Attributes
    ----------
    tau : float
        Best training time, lr * steps of the linear CNN on inputs normalised as the basis was. Infinity when pure
        whitening, 1 / lambda, fits best, every component has variance and the range does not end before.
    correlation : float
        Pearson correlation of profile and prediction: what is maximised over tau.
    scale : float
        c, the factor on ``linear_cnn_profile(variance, tau)`` that is nearest to the profile in least squares.
    residual : float
        ``|e - prediction| / |e|``: 0 for an exact match.
    least_residual : float
        The smallest residual that any tau of the range leaves, which need not be the tau of the highest correlation.
    log_r2 : float
        R^2 of log energy over the components with variance, the offset being free: 1 for an exact match in shape,
        negative when a constant does better. NaN where one of them has no energy.
    tau_range : tuple of two float
        Where the correlation stays within 0.01 of the best, to the ends of the range that was asked for at most: how
        flat the optimum is.
    bound : {"", "early", "late"}
        Whether the best lies at an end of the times that were tried, so that tau is not told but bounded. "early": no
        later tau fits better than the first. Of all times that is the limit proportional to lambda, of a range its
        smaller end. "late": none fits better than the last, which is whitening or the larger end. Where all times of
        a range fit equally well, it is "late".
    prediction : ndarray, shape (D,)
        ``scale * linear_cnn_profile(variance, tau)``, in the profile's units.
    energy : ndarray, shape (D,)
        The measured profile.

    Examples
    --------
    >>> import firstlight as fl
    >>> fit = fl.fit_formula([1.0, 2.0, 2.0, 1.0], [8.0, 2.0, 0.5, 0.1])
    >>> f"tau = {fit.tau:.2f}, from {fit.tau_range[0]:.2f} to {fit.tau_range[1]:.2f} as good; r = {fit.correlation:.2f}"
    'tau = 1.20, from 1.07 to 1.35 as good; r = 1.00'
    """

    tau: float
    correlation: float
    scale: float
    residual: float
    least_residual: float
    log_r2: float
    tau_range: tuple[float, float]
    bound: Literal["", "early", "late"]
    prediction: np.ndarray = field(repr=False)
    energy: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        low, high = self.tau_range
        return (
            f"FormulaFit(tau={self.tau:.4g}, tau_range=({low:.4g}, {high:.4g}), correlation={self.correlation:.3f}, "
            f"log_r2={self.log_r2:.2f}, residual={self.residual:.3f}, bound={self.bound!r})"
        )

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        low, high = self.tau_range
        rows = [
            ("tau", f"{self.tau:.4g} ({low:.4g} to {high:.4g} fits as well, within {FLAT})"),
            ("correlation", f"{self.correlation:.3f}"),
            ("R² of log energy", f"{self.log_r2:.2f}"),
            ("residual", f"{self.residual:.3f}"),
        ]
        if self.bound:
            rows.append(("limit", _LIMITS[self.bound]))
        return card("Fit of eq. 3", rows, self.plot, "Measured and predicted energy by component")

    def to_dict(self) -> dict[str, Any]:
        """The fit in JSON's types, which know no infinity and no NaN: those are None."""
        return {
            "tau": _finite(self.tau),
            "correlation": self.correlation,
            "scale": self.scale,
            "residual": self.residual,
            "least_residual": self.least_residual,
            "log_r2": _finite(self.log_r2),
            "tau_range": [_finite(tau) for tau in self.tau_range],
            "bound": self.bound,
            "prediction": self.prediction.tolist(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: its number from 1, measured and predicted energy."""
        import pandas as pd

        numbers = range(1, len(self.energy) + 1)
        return pd.DataFrame({"component": numbers, "energy": self.energy, "prediction": self.prediction})

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot measured and predicted profile, both relative to the measured peak; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new
        from firstlight.figures.colours import MEASURED, PREDICTED
        from firstlight.figures.profiles import component_axis

        fig, ax = axes_or_new(ax)
        numbers = np.arange(1, len(self.energy) + 1)
        peak = self.energy.max() or 1.0
        ax.plot(numbers, self.energy / peak, marker="o", color=MEASURED, label="measured")
        label = f"eq. 3, τ = {self.tau:.3g}, r = {self.correlation:.3f}"
        ax.plot(numbers, self.prediction / peak, marker="s", ls="--", color=PREDICTED, label=label)
        component_axis(ax, len(self.energy))
        ax.set_ylim(bottom=0)
        ax.set_ylabel("energy / peak energy")
        ax.legend(frameon=False)
        return fig, ax


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
