"""AutocorrelationCurve: how alike the responses of a filter bank are at two places, against their distance."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.utils.text import counted, named

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class AutocorrelationCurve:
    """Auto-correlation of a filter bank's output against distance: ``C(d) = E[y(i) . y(i + d)]``.

    Attributes
    ----------
    value : ndarray, shape (max_distance + 1,), float64
        C(d) / C(0), for d = 0, 1, ... pixels; 1 at 0.
    raw : ndarray, shape (max_distance + 1,), float64
        C(d), in squared units of the output.
    filters : int
        Number K of filters: the entries of y.
    source, layer : str
        Where the filters came from.

    Examples
    --------
    >>> import firstlight as fl
    >>> curve = fl.autocorrelation(None, fl.load_images("photos"), max_distance=2)
    >>> curve
    AutocorrelationCurve(pixels: 3 filters; 0.930 at 2 pixels)
    >>> curve.distance
    array([0, 1, 2])
    """

    value: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    filters: int
    source: str = ""
    layer: str = ""

    def __repr__(self) -> str:
        name = named(self.source, self.layer) or "filters"
        last = f"; {self.value[-1]:.3f} at {counted(len(self.value) - 1, 'pixel')}" if len(self.value) > 1 else ""
        return f"AutocorrelationCurve({name}: {counted(self.filters, 'filter')}{last})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        shown = [d for d in (1, 2, 5, 10) if d < len(self.value)]
        rows = [("filters", str(self.filters)), *((f"at {counted(d, 'pixel')}", f"{self.value[d]:.3f}") for d in shown)]
        title = f"Auto-correlation of {named(self.source, self.layer) or 'filters'}"
        return card(title, rows, self.plot, "Auto-correlation against distance")

    @property
    def distance(self) -> np.ndarray:
        """0, 1, ... max_distance, in pixels."""
        return np.arange(len(self.value))

    def to_dict(self) -> dict[str, Any]:
        """The curve in JSON's types."""
        return {
            "source": self.source,
            "layer": self.layer,
            "filters": self.filters,
            "distance": self.distance.tolist(),
            "value": self.value.tolist(),
            "raw": self.raw.tolist(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a distance: distance in pixels, C(d) / C(0), and C(d)."""
        import pandas as pd

        return pd.DataFrame({"distance": self.distance, "value": self.value, "raw": self.raw})

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot C(d) / C(0) against the distance; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new
        from firstlight.figures.colours import MEASURED

        fig, ax = axes_or_new(ax)
        ax.plot(self.distance, self.value, marker="o", color=MEASURED, label=self.source or "measured")
        distance_axis(ax)
        return fig, ax


def distance_axis(ax: "Axes") -> None:
    """The axes that all auto-correlation curves share."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="distance d, pixels", ylabel="auto-correlation C(d) / C(0)")
