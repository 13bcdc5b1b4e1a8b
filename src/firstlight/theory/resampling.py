"""How sure the fit of a theory is: shuffled profiles, and components drawn anew, with the time fitted each time."""

import numpy as np

from firstlight.profile import standardized
from firstlight.theory.scan import shape_scores

SHUFFLES, DRAWS = 1000, 1000


def shuffled_correlations(energy: np.ndarray, shapes: np.ndarray, seed: int = 0) -> np.ndarray:
    """The best correlation of the profile (D,) in random orders with any of the shapes (T, D), shape (N,).

    A theory with a free time has some correlation with every profile: this is how much.
    """
    orders = np.random.default_rng(seed).permuted(np.tile(standardized(energy), (SHUFFLES, 1)), axis=1)
    return shape_scores(orders.T, shapes).max(axis=0)


def bootstrap(energy: np.ndarray, shapes: np.ndarray, seed: int = 0) -> np.ndarray:
    """The best correlation over components that are drawn with replacement, shape (N,); for one seed the same ones."""
    size = len(energy)
    weight = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=DRAWS) / size
    measured = standardized(energy)
    shapes = shapes / shapes.max(axis=1, keepdims=True)
    shapes = (shapes - shapes.mean(axis=1, keepdims=True)) / shapes.std(axis=1, keepdims=True)
    mean, means = (weight @ measured)[:, None], weight @ shapes.T
    both = weight @ (shapes * measured).T - mean * means
    variance = (weight @ measured**2)[:, None] - mean**2
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may hold one component only
        found = both / np.sqrt(variance * (weight @ (shapes**2).T - means**2))
    return np.where(np.isfinite(found), found, -1.0).max(axis=1)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Where the middle 95 % lie."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
