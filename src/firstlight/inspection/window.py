"""The window of filters: how their energy is shared out over the taps, from the centre of the kernel to its corners."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Orders of the taps that filters are compared with.
_ORDERS = 99


@dataclass(frozen=True)
class Window:
    """Mean squared weight of the taps, relative to that of all.

    Attributes
    ----------
    rings : tuple of tuple of float
        Distance from the centre in pixels, and the mean over the taps that far from it: centre first, corners last.
    edge : float
        Of the four taps in the middle of the kernel's sides.
    p_value : float
        Share of random orders of the taps, one for each filter, with as large a ratio of centre to corners: at least
        1 / 100.
    """

    rings: tuple[tuple[float, float], ...] = field(repr=False)
    edge: float
    p_value: float

    @property
    def centre(self) -> float:
        """Of the tap in the centre."""
        return self.rings[0][1]

    @property
    def corner(self) -> float:
        """Of the four in the corners."""
        return self.rings[-1][1]

    @property
    def to_corner(self) -> float:
        """Centre over corners: 1 where there is no window; infinite where the corners are empty."""
        return _ratio(self.centre, self.corner)

    @property
    def to_edge(self) -> float:
        """Centre over edges."""
        return _ratio(self.centre, self.edge)

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types, which know no infinity: it is None."""
        ratios = {"centre_over_corner": self.to_corner, "centre_over_edge": self.to_edge}
        return {
            "rings": [list(ring) for ring in self.rings],
            "centre": self.centre,
            "edge": self.edge,
            "corner": self.corner,
            **{name: ratio if np.isfinite(ratio) else None for name, ratio in ratios.items()},
            "p_value": self.p_value,
        }


def no_window(shape: tuple[int, ...]) -> str:
    """Why kernels of these rows and columns have no window; empty where they have one."""
    rows, columns = shape
    if rows != columns or rows % 2 == 0:
        return f"kernels of {rows} x {columns} have no tap in their centre"
    return "kernels of one tap have none" if rows == 1 else ""


def window(weight: np.ndarray, seed: int = 0) -> Window | None:
    """The window of filters (K, C, k, k); None where `no_window` says why, and without weights.

    Examples
    --------
    >>> weight = np.ones((4, 3, 3, 3))
    >>> weight[:, :, 1, 1] = 2
    >>> found = window(weight)
    >>> found.to_corner, found.p_value
    (4.0, 0.01)
    """
    if no_window(weight.shape[2:]) or not weight.any():
        return None
    offsets, squares, power = _by_tap(weight)
    taps = power.mean(axis=0)
    centre, corner = squares == 0, squares == squares.max()
    rng = np.random.default_rng(seed)
    orders = np.array([rng.permuted(power, axis=1).mean(axis=0) for _ in range(_ORDERS)])
    inner, outer = orders[:, centre].mean(axis=1), orders[:, corner].mean(axis=1)
    above = np.sum(inner * taps[corner].mean() >= taps[centre].mean() * outer)  # of ratios, without dividing
    rings = [(float(np.sqrt(square)), float(taps[squares == square].mean())) for square in np.unique(squares)]
    edges = np.sort(np.abs(np.stack(np.meshgrid(offsets, offsets)).reshape(2, -1)), axis=0)
    edge = taps[(edges[0] == 0) & (edges[1] == offsets[-1])].mean()
    return Window(tuple(rings), float(edge), float((1 + above) / (1 + _ORDERS)))


def centre_over_corners(weight: np.ndarray) -> float:
    """`Window.to_corner` of filters by itself, without what chance gives; NaN where there is no window."""
    if no_window(weight.shape[2:]) or not weight.any():
        return float("nan")
    _, squares, power = _by_tap(weight)
    taps = power.mean(axis=0)
    return _ratio(float(taps[squares == 0].mean()), float(taps[squares == squares.max()].mean()))


def _by_tap(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets (k,) from the centre, squared distances of the taps (k^2,), and each filter's squared weights there."""
    side = weight.shape[2]
    offsets = np.arange(side) - side // 2
    squares = np.add.outer(offsets**2, offsets**2).ravel()
    power = np.mean((weight / np.abs(weight).max()) ** 2, axis=1).reshape(len(weight), -1)
    return offsets, squares, power / power.mean()


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0 else np.inf if one > 0 else np.nan
