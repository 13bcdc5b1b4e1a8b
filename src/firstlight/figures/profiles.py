"""Profiles on the axis that they share: energy against the components of the patches."""

from typing import TYPE_CHECKING

from firstlight.figures.axes import legend_beside, new_figure, points
from firstlight.figures.colours import SERIES, TIME_COLOURS
from firstlight.figures.pictures import cells, tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def component_axis(ax: "Axes", size: int, pictures: "np.ndarray | None" = None) -> None:
    """The horizontal axis that all profiles share: components by decreasing variance, counted from 1.

    Parameters
    ----------
    ax : Axes
    size : int
        Number D of components.
    pictures : ndarray, shape (D, C, k, k), optional
        The components, `PatchBasis.images`: each is drawn small beneath its place on the axis.
    """
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(0.5 - size / 100, size + 0.5 + size / 100)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("patch component, by decreasing variance")
    if pictures is None:
        return
    fig = ax.get_figure(root=True)
    assert fig is not None
    columns = ax.get_gridspec().ncols if ax.get_subplotspec() else 1  # type: ignore[union-attr]
    rows = ax.get_gridspec().nrows if ax.get_subplotspec() else 1  # type: ignore[union-attr]
    side = 0.8 * fig.get_figwidth() / columns / (1.02 * size)  # of a picture, in inches
    height = side / (0.72 * fig.get_figheight() / rows)
    strip = ax.inset_axes((0.5, -1.3 * height, size, height), transform=ax.get_xaxis_transform())
    cells(strip, tile(pictures, columns=size))
    strip.set_axis_off()
    strip.set_in_layout(False)  # it lies between axis and numbers, and measuring it takes time
    ax.tick_params(axis="x", pad=2 + 72 * 1.3 * side)


def plot_seeds(
    ax: "Axes", x: "Sequence[float] | np.ndarray", values: "np.ndarray", label: str, index: int, *, marks: bool = True
) -> None:
    """Draw the mean over seeds of (S, n) values as a line of `SERIES[index]`, and their range as a band.

    Where there is no value only the legend names them.
    """
    colour, marker, line = SERIES[index % len(SERIES)]
    if not values.size:
        ax.plot([], [], color=colour, ls=line, label=label)
        return
    if len(values) > 1:
        ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, lw=0)
    ax.plot(x, values.mean(axis=0), color=colour, ls=line, marker=marker if marks else "", ms=points(4), label=label)


def plot_over_time(profiles: "np.ndarray", labels: "Sequence[str]", pictures: "np.ndarray | None" = None) -> "Figure":
    """Profiles (T, D) at several times on one log axis, each relative to its peak, light to dark."""
    import matplotlib
    import numpy as np

    fig, (ax,) = new_figure(width=6.5, height=3.6)
    colours = matplotlib.colormaps[TIME_COLOURS](np.linspace(0.12, 1, len(profiles)))
    numbers = np.arange(1, profiles.shape[1] + 1)
    for profile, label, colour in zip(profiles, labels, colours, strict=True):
        ax.plot(numbers, profile / profile.max(), color=colour, marker="o", ms=points(3), label=label)
    component_axis(ax, profiles.shape[1], pictures)
    ax.set(yscale="log", ylabel="predicted energy / peak energy")
    if labels:
        legend_beside(fig)
    return fig
