"""Gradient flow of a stiff loss: explicit steps that are stable over long times, for several runs at once.

In a deep product the curvature of the loss grows a hundredfold, while what is of interest changes slowly: the steps of
a usual explicit method would have to be as short as the curvature asks, at most 2 over it. One of Chebyshev type takes
s gradients, and may be as long as 0.65 s^2 over it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np

# (N, P) weights of N runs -> minus the gradient of each run's loss, of the same shape.
Flow = Callable[[np.ndarray], np.ndarray]

_DAMPING = 2 / 13
# The curvature is known by power iteration, from below: what is added to be safe.
_SAFETY = 1.2
_FIRST_STEP, _LONGEST = 1e-3, 4.0


def flow_through(flow: Flow, weights: np.ndarray, times: Sequence[float], tolerance: float) -> Iterator[np.ndarray]:
    """The weights at several times from 0 on, by the method RKC2 with steps that a tolerance chooses.

    Parameters
    ----------
    flow : callable
    weights : ndarray, shape (N, P)
        At time 0.
    times : sequence of float
        Ascending, not negative.
    tolerance : float
        Error that a step may make, relative to the root mean square of the weights of its run.

    Yields
    ------
    ndarray, shape (N, P)

    References
    ----------
    Sommeijer, Shampine and Verwer, RKC: an explicit solver for parabolic PDEs, J. Comput. Appl. Math. 88, 1997.
    """
    time, step, slope = 0.0, _FIRST_STEP, flow(weights)
    curvature, direction = 0.0, slope
    for _ in range(10):
        curvature, direction = _curvature(flow, weights, slope, direction)
    for end in times:
        while time < end:
            last = time + step >= end
            length = end - time if last else step
            stages = max(2, int(1 + np.sqrt(1 + 1.54 * length * _SAFETY * curvature)))
            with np.errstate(over="ignore", invalid="ignore"):  # a step that is too long is taken again, shorter
                moved = _step(flow, weights, slope, length, stages)
                after = flow(moved)
                error = _error(0.8 * (weights - moved) + 0.4 * length * (slope + after), moved) / tolerance
            if not error <= 1:  # NaN too
                step = length * (max(0.2, 0.8 * error ** (-1 / 3)) if error < np.inf else 0.2)
                continue
            time, weights, slope = end if last else time + length, moved, after
            longer = min(_LONGEST, 0.8 * max(error, 1e-6) ** (-1 / 3)) * length
            step = max(step, longer) if last else longer
            curvature, direction = _curvature(flow, weights, slope, direction)
        yield weights


def _step(flow: Flow, weights: np.ndarray, slope: np.ndarray, length: float, stages: int) -> np.ndarray:
    first, rows = _coefficients(stages)
    before, moved = np.zeros_like(weights), first * length * slope  # from the weights, at the last two stages
    for one, two, new, old in rows:
        change = flow(weights + moved)
        change *= new * length
        change += one * moved
        before *= two
        change += before
        change += (old * length) * slope
        before, moved = moved, change
    return weights + moved


@cache
def _coefficients(stages: int) -> tuple[float, list[tuple[float, float, float, float]]]:
    """Of the recursion, from the Chebyshev polynomials T_j at w0 = 1 + damping / s^2, and their derivatives."""
    w0 = 1 + _DAMPING / stages**2
    value, first, second = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for j in range(2, stages + 1):
        value.append(2 * w0 * value[-1] - value[-2])
        first.append(2 * value[j - 1] + 2 * w0 * first[-1] - first[-2])
        second.append(4 * first[j - 1] + 2 * w0 * second[-1] - second[-2])
    w1 = first[-1] / second[-1]
    b = [0.0, 1 / w0, *(second[j] / first[j] ** 2 for j in range(2, stages + 1))]
    b[0] = b[2]
    rows = []
    for j in range(2, stages + 1):
        new = 2 * b[j] * w1 / b[j - 1]
        rows.append((2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], new, (b[j - 1] * value[j - 1] - 1) * new))
    return b[1] * w1, rows


def _error(difference: np.ndarray, weights: np.ndarray) -> float:
    """The largest of all runs."""
    return float((np.linalg.norm(difference, axis=1) / np.linalg.norm(weights, axis=1)).max())


def _curvature(flow: Flow, weights: np.ndarray, slope: np.ndarray, direction: np.ndarray) -> tuple[float, np.ndarray]:
    """The largest curvature of any run, by a step of power iteration, and the direction that has it."""
    distance = 1e-6 * (1 + np.linalg.norm(weights, axis=1, keepdims=True))
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    change = (flow(weights + direction * (distance / length)) - slope) / distance
    return float(np.linalg.norm(change, axis=1).max()), change
