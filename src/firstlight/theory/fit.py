"""The fit of the closed form to a measured profile: which training time explains it best, and how well."""

from typing import Any, Literal

import numpy as np

from firstlight.errors import InputError
from firstlight.profile import correlation, standardized
from firstlight.theory.arguments import energies_and_variance
from firstlight.theory.formula import checked_variance, linear_cnn_profile
from firstlight.theory.formula_fit import FormulaFit
from firstlight.theory.scan import ALL_TAU, checked_range, flat_range, polish, scan, shape_scores, time_at

# A limit is reported where no time does better by more than this.
_TIE = 1e-10


def fit_formula(profile: Any, basis: Any = None, *, tau_range: tuple[float, float] | None = None) -> FormulaFit:
    """Fit eq. 3 to a profile: the training time tau with the highest correlation.

    A scan over log tau finds every hump; ever finer scans polish the highest ones.

    Parameters
    ----------
    profile : EnergyProfile, array_like of shape (D,), or whatever else `load_filters` takes
        Measured energies e (not e^2), not all equal; or the network whose first layer has them.
    basis : PatchBasis, array_like of shape (D,), or whatever else `patch_statistics` takes; optional
        The basis that the profile was measured in, its variances lambda_i^2, or the data whose patches it was measured
        in: by default CIFAR-10.
    tau_range : tuple of two float, optional
        The smallest and the largest tau that may be found, such as `firstlight.theory.AUTHORS_TAU`, the paper's; by
        default 0 and infinity.

    Returns
    -------
    FormulaFit

    Raises
    ------
    InputError
        Lengths that differ, fewer than three components with variance, a constant or negative profile, or a
        range that is none.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 5 and Table 3, who scan t at one fixed step size.

    Examples
    --------
    >>> variance = np.array([9.0, 3.0, 1.0, 0.3, 0.1])
    >>> fit = fit_formula(5 * linear_cnn_profile(variance, tau=0.7), variance)
    >>> round(fit.tau, 6), round(fit.correlation, 9), round(fit.scale, 6)
    (0.7, 1.0, 5.0)
    >>> late = fit_formula(5 * linear_cnn_profile(variance, tau=0.7), variance, tau_range=(0.01, 0.5))
    >>> late.tau, late.bound
    (0.5, 'late')
    """
    span = checked_range(tau_range)
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

    grid, shapes = scan(variance, span)
    scores = shape_scores(target, shapes)
    best_log, best_score = polish(target, variance, grid, scores, ends=span != ALL_TAU)

    bound: Literal["", "early", "late"] = ""
    if scores[-1] >= best_score - _TIE:
        bound, best_log = "late", float(grid[-1])
    elif scores[0] >= best_score - _TIE:
        bound, best_log = "early", float(grid[0])
    whitened = bound == "late" and span[1] == np.inf and (variance > 0).all()
    tau = float("inf") if whitened else time_at(best_log, span)
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
        log_r2=log_r2(relative[variance > 0], shape[variance > 0]),
        tau_range=flat_range(grid, scores, best_log, best_score, span),
        bound=bound,
        prediction=fitted * largest,
        energy=energy,
    )


def _least_residual(energy: np.ndarray, shapes: np.ndarray) -> float:
    """The smallest |e - c * eq. 3| / |e| over scale and time, at the times of the scan, shapes (T, D)."""
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    cosine = (shapes @ energy).max() / np.linalg.norm(energy)
    return float(np.sqrt(max(0.0, 1 - cosine**2)))


def log_r2(energy: np.ndarray, shape: np.ndarray) -> float:
    """R^2 of log energy, the offset being free; NaN where there is no logarithm."""
    if not ((energy > 0).all() and (shape > 0).all()):
        return float("nan")
    measured, predicted = np.log(energy), np.log(shape)
    difference = measured - predicted
    spread = np.sum((measured - measured.mean()) ** 2)
    return float(1 - np.sum((difference - difference.mean()) ** 2) / spread)
