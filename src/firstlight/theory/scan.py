"""Eq. 3 over all training times: the scan from one limit to the other, and the times at which it is like a profile."""

import numpy as np

from firstlight.theory.formula import linear_cnn_profile

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


def polish(target: np.ndarray, variance: np.ndarray, grid: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
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


def flat_range(grid: np.ndarray, scores: np.ndarray, best_log: float, best: float) -> tuple[float, float]:
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
