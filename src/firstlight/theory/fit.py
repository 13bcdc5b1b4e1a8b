"""The fit of the closed form to a measured profile: which training time explains it best, and how well."""

from typing import Any, Literal

import numpy as np

from firstlight.errors import InputError
from firstlight.profile import correlation, standardized
from firstlight.theory.formula import checked_variance, linear_cnn_profile
from firstlight.theory.formula_fit import FLAT, FormulaFit
from firstlight.theory.given import energies_and_variance

# Grid of the scan: the correlation changes over factors of tau, so 40 points a decade see every hump.
_POINTS_PER_DECADE = 40
# tau * variance at the ends of the scan: the profile there equals its limits, lambda (early) and 1 / lambda (late).
_EARLY, _LATE = 1e-6, 50.0
# Between two points of the grid the curve rises by less than this: lower humps cannot hold the optimum.
_HUMP = 2e-3
# Every finer scan of a hump has so many points; the last one is this wide in log tau.
_ZOOM, _PRECISION = 21, 1e-8
# Correlations that differ by less are equal but for rounding.
_NOISE = 1e-13
# A limit is reported where no time does better by more than this.
_TIE = 1e-10


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
    best_log, best_score = _polish(target, variance, grid, scores)

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
        tau_range=_flat_range(grid, scores, best_log, best_score),
        bound=bound,
        prediction=fitted * largest,
        energy=energy,
    )


def scan(variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log tau at points from the one limit of eq. 3 to the other, shape (T,), and eq. 3 there, shape (T, D)."""
    positive = variance[variance > 0]
    low, high = np.log(_EARLY / positive.max()), np.log(_LATE / positive.min())
    grid = np.linspace(low, high, int((high - low) / np.log(10) * _POINTS_PER_DECADE) + 2)
    return grid, linear_cnn_profile(variance, np.exp(grid))


def shape_scores(targets: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Correlation, shape (T,) or (T, N), of standardised profiles (D,) or (D, N) with eq. 3 at each time, (T, D)."""
    shapes = shapes / shapes.max(axis=-1, keepdims=True)
    shapes -= shapes.mean(axis=-1, keepdims=True)
    shapes /= np.sqrt(np.einsum("td,td->t", shapes, shapes))[:, None]
    return shapes @ targets


def _polish(target: np.ndarray, variance: np.ndarray, grid: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The highest point of the curve through the scan: log tau and correlation."""
    best = int(np.argmax(scores))
    candidates = [(float(scores[best]), float(grid[best]))]
    inner = scores[1:-1]
    rises = inner > scores[:-2] + _NOISE  # where the curve is flat, rounding makes humps that are none
    humps = 1 + np.flatnonzero(rises & (inner >= scores[2:]) & (inner >= scores[best] - _HUMP))
    for hump in humps[np.argsort(scores[humps])[::-1][:3]]:
        low, high = grid[hump - 1], grid[hump + 1]
        while high - low > _PRECISION:
            points = np.linspace(low, high, _ZOOM)
            values = shape_scores(target, linear_cnn_profile(variance, np.exp(points)))
            top = int(np.argmax(values))
            candidates.append((float(values[top]), float(points[top])))
            low, high = points[max(top - 1, 0)], points[min(top + 1, _ZOOM - 1)]
    score, log_tau = max(candidates)
    return log_tau, score


def _flat_range(grid: np.ndarray, scores: np.ndarray, best_log: float, best: float) -> tuple[float, float]:
    """The times around the best at which the correlation is still within FLAT of it; a limit of the scan is open."""
    good = scores >= best - FLAT
    # Grid points next to the optimum belong to its hump even where the hump is narrower than the grid.
    right = int(np.searchsorted(grid, best_log))
    left = max(right - 1, 0)
    right = min(right, len(grid) - 1)
    while left >= 0 and good[left]:
        left -= 1
    while right < len(grid) and good[right]:
        right += 1
    start = 0.0 if left < 0 else float(np.exp(min(grid[left + 1], best_log)))
    stop = float("inf") if right >= len(grid) else float(np.exp(max(grid[right - 1], best_log)))
    return start, stop


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
