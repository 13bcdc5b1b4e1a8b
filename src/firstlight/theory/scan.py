"""Eq. 3 over all training times: the scan from one limit to the other, and the times at which it is like a profile."""

import math
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.theory.formula import linear_cnn_profile

# All times; and those that the paper's authors scan, as tau = lr * steps on inputs normalised as the basis is: their t
# from 10^4 to 5 * 10^6 at eta = 1e-7, on the singular values of a matrix of 9 million patches.
ALL_TAU = (0.0, math.inf)
AUTHORS_TAU = (0.45, 225.0)

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
# The fit counts as equally good where the correlation is at most this much below its best.
FLAT = 0.01


def checked_range(tau_range: Any) -> tuple[float, float]:
    """The ends of a range of tau; all times for None."""
    if tau_range is None:
        return ALL_TAU
    try:
        low, high = map(float, np.asarray(tau_range).astype(np.float64, casting="safe"))
    except (TypeError, ValueError):
        raise InputError(f"tau_range is {tau_range!r}; expected two numbers, its ends") from None
    if not 0 <= low < high:  # false for NaN too
        raise InputError(f"tau_range is {tau_range!r}; expected its smaller end first, and that 0 or more")
    return low, high


def scan(variance: np.ndarray, tau_range: tuple[float, float] = ALL_TAU) -> tuple[np.ndarray, np.ndarray]:
    """Log tau at points from the one limit of eq. 3 to the other, shape (T,), and eq. 3 there, shape (T, D).

    Of a range, the points are its ends and those of the scan of all times between them. Beyond the limits nothing
    changes, so that an end there is the limit.
    """
    positive = variance[variance > 0]
    low, high = np.log(_EARLY / positive.max()), np.log(_LATE / positive.min())
    grid = np.linspace(low, high, int((high - low) / np.log(10) * _POINTS_PER_DECADE) + 2)
    first, last = np.clip([math.log(tau) if tau else low for tau in tau_range], low, high)
    grid = np.unique([first, *grid[(grid > first) & (grid < last)], last])
    return grid, linear_cnn_profile(variance, np.exp(grid))


def time_at(log_tau: float, tau_range: tuple[float, float]) -> float:
    """The tau of a point of the scan, which beyond the limits of eq. 3 is that of the range which is nearest."""
    tau = float(np.clip(np.exp(log_tau), *tau_range))
    # The exponential of an end's logarithm may differ from the end by rounding.
    return next((end for end in tau_range if math.isclose(tau, end, rel_tol=1e-12)), tau)


def shape_scores(targets: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Correlation, shape (T,) or (T, N), of standardised profiles (D,) or (D, N) with eq. 3 at each time, (T, D)."""
    shapes = shapes / shapes.max(axis=-1, keepdims=True)
    shapes -= shapes.mean(axis=-1, keepdims=True)
    shapes /= np.sqrt(np.einsum("td,td->t", shapes, shapes))[:, None]
    return shapes @ targets


def polish(
    target: np.ndarray, variance: np.ndarray, grid: np.ndarray, scores: np.ndarray, ends: bool
) -> tuple[float, float]:
    """The highest point of the curve through the scan: log tau and correlation.

    Next to the ends of the scan it is looked for only if told so: at the limits of eq. 3 the curve is flat there.
    """
    best = int(np.argmax(scores))
    candidates = [(float(scores[best]), float(grid[best]))]
    inner = scores[1:-1]
    rises = inner > scores[:-2] + _NOISE  # where the curve is flat, rounding makes humps that are none
    humps = 1 + np.flatnonzero(rises & (inner >= scores[2:]) & (inner >= scores[best] - _HUMP))
    highest = humps[np.argsort(scores[humps])[::-1][:3]].tolist()
    last = len(grid) - 1
    for hump in [*highest, 1, last - 1] if ends else highest:
        low, high = grid[max(hump - 1, 0)], grid[min(hump + 1, last)]
        while high - low > _PRECISION:
            points = np.linspace(low, high, _ZOOM)
            values = shape_scores(target, linear_cnn_profile(variance, np.exp(points)))
            top = int(np.argmax(values))
            candidates.append((float(values[top]), float(points[top])))
            low, high = points[max(top - 1, 0)], points[min(top + 1, _ZOOM - 1)]
    score, log_tau = max(candidates)
    return log_tau, score


def flat_range(
    grid: np.ndarray, scores: np.ndarray, best_log: float, best: float, tau_range: tuple[float, float]
) -> tuple[float, float]:
    """The times of the range around the best at which the correlation is still within FLAT of it."""
    good = scores >= best - FLAT
    # Grid points next to the optimum belong to its hump even where the hump is narrower than the grid.
    right = int(np.searchsorted(grid, best_log))
    left = max(right - 1, 0)
    right = min(right, len(grid) - 1)
    while left >= 0 and good[left]:
        left -= 1
    while right < len(grid) and good[right]:
        right += 1
    start = tau_range[0] if left < 0 else time_at(min(grid[left + 1], best_log), tau_range)
    stop = tau_range[1] if right >= len(grid) else time_at(max(grid[right - 1], best_log), tau_range)
    return start, stop
