"""The stack of linear convolutions: its loss, its gradient and the flow, against what is known exactly."""

import numpy as np
import pytest

from firstlight.theory.composition import Composition
from firstlight.theory.gradient_flow import flow_through


def stack(sizes=(3, 3, 1, 1), channels=2, width=5, stride=1, learned=18, seed=0) -> Composition:
    random = np.random.default_rng(seed)
    seen = channels * (sizes[0] + stride * sum(size - 1 for size in sizes[1:])) ** 2
    roots = random.standard_normal((seen, seen)) / np.sqrt(seen)
    second = roots @ roots.T + np.eye(seen)
    return Composition(second, random.standard_normal((seen, learned)) / 3, sizes, channels, width, stride)


def convolved(layers: list[np.ndarray], composition: Composition, window: np.ndarray) -> np.ndarray:
    """What the stack gives for one window (C, side, side), layer by layer, as loops over pixels."""
    values = window
    for place, (layer, size) in enumerate(zip(layers, composition.sizes, strict=True)):
        step = composition.stride if place else 1
        side = values.shape[1] - step * (size - 1)
        # The first layer's matrix is (pixels, filters); a later one's (filters below, taps, filters).
        kernels = layer.reshape(len(values), size, size, -1)
        given = np.zeros((kernels.shape[3], side, side))
        for y in range(size):
            for x in range(size):
                pixels = values[:, step * y : step * y + side, step * x : step * x + side]
                given += np.einsum("cij,cf->fij", pixels, kernels[:, y, x])
        values = given
    assert values.shape[1:] == (1, 1)
    return values[:, 0, 0]


SHAPES = [
    {},
    {"stride": 2},
    {"sizes": (3,)},
    {"sizes": (3, 1, 1, 1)},
    {"sizes": (3, 3, 3)},
    {"sizes": (2, 1, 3, 1), "stride": 2},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_loss_is_that_of_convolutions(shape: dict):
    made = stack(**shape)
    weights = made.initial(2.0, [3])
    layers = [layer[0] for layer in made.layers(weights)]
    side = made.spans[-1]
    windows = np.eye(made.channels * side**2).reshape(-1, made.channels, side, side)
    composite = np.array([convolved(layers, made, window) for window in windows])
    expected = np.trace(composite.T @ made.second @ composite) / 2 - np.sum(composite * made.cross)
    np.testing.assert_allclose(made.loss(weights), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_flow_is_minus_the_gradient(shape: dict):
    made = stack(**shape)
    weights = made.initial(2.0, [1, 2])
    direction = np.random.default_rng(7).standard_normal(weights.shape)
    step = 1e-5
    slope = (made.loss(weights + step * direction) - made.loss(weights - step * direction)) / (2 * step)
    np.testing.assert_allclose(-np.sum(made.flow(weights) * direction, axis=1), slope, rtol=1e-6)


def test_turning_hidden_filters_into_each_other_changes_nothing():
    made = stack()
    plain = made.initial(1.0, [0])
    turned = plain.copy()
    first, second, third, _ = made.layers(turned)
    one, two = (np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5))).Q for seed in (1, 2))
    first[:] = first @ one
    second[:] = ((one.T @ second).reshape(1, 5, 9, 5) @ two).reshape(1, 5, 45)
    third[:] = two.T @ third
    assert abs(first - made.layers(plain)[0]).max() > 0.1
    (end,), (turned_end,) = (list(flow_through(made.flow, start, [2.0], 1e-6)) for start in (plain, turned))
    before, after, other = (made.layers(weights)[0][0] for weights in (plain, end, turned_end))
    np.testing.assert_allclose(other @ other.T, after @ after.T, rtol=1e-9, atol=1e-9)
    assert abs(after @ after.T - before @ before.T).max() > 0.1


def test_two_taps_in_each_direction_by_hand():
    """All four taps of both layers equal, a; the target is the same in every place of a window, g partners counted.

    The composite is a^2 (1 2 1) x (1 2 1), and each tap has 9 ways to that: a' = 9 a (g - a^2), of which a^2 is
    logistic with rate 18 g.
    """
    ways = np.outer([1, 2, 1], [1, 2, 1]).reshape(9, 1).astype(float)
    goal, start = 0.7, 0.01
    made = Composition(np.eye(9), goal * ways, (2, 2), 1, 1, 1)
    times = [0.1, 0.3, 0.5, 2.0]
    found = np.array([weights[0] for weights in flow_through(made.flow, np.full((1, 8), start**0.5), times, 1e-9)])
    expected = goal / (1 + (goal / start - 1) * np.exp(-18 * goal * np.array(times)))
    np.testing.assert_allclose(found**2, np.tile(expected[:, None], 8), rtol=1e-5)


def test_steps_are_stable_where_the_loss_is_stiff():
    """Curvatures of 1e4 and 1: a usual explicit step would have to be below 2e-4."""
    curvature = np.array([1e4, 1.0])
    calls = []

    def flow(weights: np.ndarray) -> np.ndarray:
        calls.append(1)
        return -curvature * weights

    (end,) = flow_through(flow, np.ones((1, 2)), [1.0], 1e-5)
    np.testing.assert_allclose(end[0], np.exp(-curvature), atol=1e-4)
    assert len(calls) < 2000  # Euler's method would need 5000 to be stable
