"""The fit of the closed form to a measured profile: which training time explains it best, and how well."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstlight.errors import InputError
from firstlight.profile import correlation, standardized
from firstlight.theory.formula import checked_variance, linear_cnn_profile
from firstlight.theory.given import energies_and_variance
from firstlight.theory.scan import FLAT, flat_range, polish, scan, shape_scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A limit is reported where no time does better by more than this.
_TIE = 1e-10
_LIMITS = {"early": "proportional to λ: tau is too small to be told", "late": "whitened: tau is too large to be told"}


@dataclass(frozen=True, eq=False)
class FormulaFit:
    """The closed form (eq. 3) at the training time that fits a profile best.

    Attributes
    ----------
    tau : float
        Best training time, lr * steps of the linear CNN on inputs normalised as the basis was. Infinity when pure
        whitening, 1 / lambda, fits best and every component has variance.
    correlation : float
        Pearson correlation of profile and prediction: what is maximised over tau.
    scale : float
        c, the factor on ``linear_cnn_profile(variance, tau)`` that is nearest to the profile in least squares.
    residual : float
        ``|e - prediction| / |e|``: 0 for an exact match.
    least_residual : float
        The smallest residual that any tau leaves, which need not be the tau of the highest correlation.
    log_r2 : float
        R^2 of log energy over the components with variance, the offset being free: 1 for an exact match in shape,
        negative when a constant does better. NaN where one of them has no energy.
    tau_range : tuple of two float
        Where the correlation stays within 0.01 of the best: how flat the optimum is.
    bound : {"", "early", "late"}
        Whether the best lies at a limit: "early", proportional to lambda, tau too small to be told; "late",
        whitened, tau too large to be told.
    prediction : ndarray, shape (D,)
        ``scale * linear_cnn_profile(variance, tau)``, in the profile's units.
    energy : ndarray, shape (D,)
        The measured profile.

    Examples
    --------
    >>> fit = fit_formula([1.0, 2.0, 2.0, 1.0], [8.0, 2.0, 0.5, 0.1])
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


def fit_formula(profile: Any, basis: Any = None) -> FormulaFit:
    """Fit eq. 3 to a profile: the training time tau with the highest correlation.

    A scan over log tau finds every hump; ever finer scans polish the highest ones.

    Parameters
    ----------
    profile : EnergyProfile, array_like of shape (D,), or whatever else `load_filters` takes
        Measured energies e (not e^2), not all equal; or the network whose first layer has them.
    basis : PatchBasis, array_like of shape (D,), or whatever else `patch_statistics` takes; optional
        The basis that the profile was measured in, its variances lambda_i^2, or the data whose patches it was measured
        in: by default CIFAR-10.

    Returns
    -------
    FormulaFit

    Raises
    ------
    InputError
        Lengths that differ, fewer than three components with variance, or a constant or negative profile.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 5 and Table 3, who scan t at one fixed step size.

    Examples
    --------
    >>> variance = np.array([9.0, 3.0, 1.0, 0.3, 0.1])
    >>> fit = fit_formula(5 * linear_cnn_profile(variance, tau=0.7), variance)
    >>> round(fit.tau, 6), round(fit.correlation, 9), round(fit.scale, 6)
    (0.7, 1.0, 5.0)
    """
    energies, variances = energies_and_variance(profile, basis)
    try:
        energy = np.array(energies, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"the profile is {profile!r}; expected a vector of energies") from None
    variance = checked_variance(variances)
    if energy.shape != variance.shape:
        raise InputError(
            f"the profile has shape {energy.shape}; expected {variance.shape}, as the variance of the basis"
        )
    positive = variance[variance > 0]
    different = len(set(np.round(np.log(positive), 9).tolist()))  # not those that differ by rounding only
    if different < 3:
        raise InputError(
            f"the basis has {different} different positive variances; expected at least 3 to fit a training time: "
            "the images have too little structure"
        )
    if not (energy >= 0).all():
        raise InputError("the profile holds negative or NaN energies; expected e >= 0")
    target = standardized(energy)
    largest = energy.max()  # products of tiny or huge energies would vanish or overflow
    relative = energy / largest

    grid, shapes = scan(variance)
    scores = shape_scores(target, shapes)
    best_log, best_score = polish(target, variance, grid, scores)

    bound: Literal["", "early", "late"] = ""
    if scores[-1] >= best_score - _TIE:
        bound, best_log = "late", float(grid[-1])
    elif scores[0] >= best_score - _TIE:
        bound, best_log = "early", float(grid[0])
    tau = float("inf") if bound == "late" and (variance > 0).all() else float(np.exp(best_log))
    shape = linear_cnn_profile(variance, tau)
    peak = shape.max()
    relative_scale = float(relative @ (shape / peak) / ((shape / peak) @ (shape / peak)))
    fitted = relative_scale * (shape / peak)
    residual = float(np.linalg.norm(relative - fitted) / np.linalg.norm(relative))
    return FormulaFit(
        tau=tau,
        correlation=correlation(energy, shape),
        scale=float(relative_scale * largest / peak),
        residual=residual,
        least_residual=min(residual, _least_residual(relative, shapes)),
        log_r2=_log_r2(relative[variance > 0], shape[variance > 0]),
        tau_range=flat_range(grid, scores, best_log, best_score),
        bound=bound,
        prediction=fitted * largest,
        energy=energy,
    )


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _least_residual(energy: np.ndarray, shapes: np.ndarray) -> float:
    """The smallest |e - c * eq. 3| / |e| over scale and time, at the times of the scan, shapes (T, D)."""
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    cosine = (shapes @ energy).max() / np.linalg.norm(energy)
    return float(np.sqrt(max(0.0, 1 - cosine**2)))


def _log_r2(energy: np.ndarray, shape: np.ndarray) -> float:
    if not ((energy > 0).all() and (shape > 0).all()):
        return float("nan")
    measured, predicted = np.log(energy), np.log(shape)
    difference = measured - predicted
    spread = np.sum((measured - measured.mean()) ** 2)
    return float(1 - np.sum((difference - difference.mean()) ** 2) / spread)
