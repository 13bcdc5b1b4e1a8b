"""Figures and axes in the style that is drawn in, and how much room there is on them."""

from typing import TYPE_CHECKING, Any

from firstlight.figures.styles import REPORT, current
from firstlight.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


def new_figure(rows: int = 1, columns: int = 1, width: float = 4.2, height: float = 3.0) -> "tuple[Figure, list[Axes]]":
    """A figure with a grid of axes, without pyplot's global state, so that no display is needed.

    Parameters
    ----------
    rows, columns : int, optional
        Of panels. A single row or column of them may be folded where the style has no room for it.
    width, height : float, optional
        Of a panel, in inches of the report; other styles make of it what fits them.

    Returns
    -------
    fig : Figure
    axes : list of Axes
        `rows * columns`, row by row.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    style = current()
    count = rows * columns
    rows, columns = style.grid(rows, columns)
    layout = ConstrainedLayoutEngine(wspace=0.06, hspace=0.06)
    fig = Figure(figsize=style.size(width * columns, height * rows), layout=layout)
    axes = list(fig.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[count:]:
        ax.remove()
    return fig, axes[:count]


def points(size: float) -> float:
    """Width of a line or size of a marker in the style that is drawn in, of that in the report."""
    return current().scale * size


def text(size: float) -> float:
    """Size of a text within a figure in the style that is drawn in, of that in the report; both in points."""
    style = current()
    return size * style.small / REPORT.small


def legend(ax: "Axes", **options: Any) -> "Legend":
    """A legend without frame, its text as large as the style has it."""
    return ax.legend(**{"frameon": False, "fontsize": text(8), **options})


def legend_beside(fig: "Figure") -> "Legend":
    """A legend of all that is drawn on a figure's first axes, to the right of them; on a narrow page below."""
    handles, labels = fig.axes[0].get_legend_handles_labels()
    return fig.legend(handles, labels, loc="outside right center", frameon=False, fontsize=text(8))


def axes_or_new(ax: "Axes | None") -> "tuple[Figure, Axes]":
    """The axes that a `plot(ax=None)` method draws on, and their figure."""
    if ax is None:
        fig, (ax,) = new_figure()
        return fig, ax
    fig = ax.get_figure(root=True)
    assert fig is not None  # axes that a caller hands over belong to a figure
    return fig, ax


def literal(text: str) -> str:
    """Text that matplotlib shows as it is: no mathematics between dollars, no name hidden for an underscore.

    Control characters, and bytes of a file's name that are no UTF-8, at which it would stop, are shown by their codes.
    """
    return ("\u200b" if text.startswith("_") else "") + printable(text).replace("$", r"\$")


def room_above(ax: "Axes", lines: int, least: float) -> float:
    """How many times as high as what it shows an axis is, so that a legend of some lines is above it."""
    return max(least, 1 / (1 - min(0.75, (1.6 * lines + 1) * text(8) / _height(ax))))


def tick_labels(ax: "Axes", most: int) -> int:
    """How many labels, no more than `most`, a vertical axis has room for."""
    import matplotlib

    return max(2, min(most, int(_height(ax) / (1.6 * matplotlib.rcParams["font.size"]))))


def row_text(ax: "Axes", rows: int) -> float:
    """Size of the labels of so many rows beneath each other, in points: that of all labels, if there is room for it."""
    import matplotlib

    return min(matplotlib.rcParams["font.size"], 0.9 * _height(ax) / rows)


def _height(ax: "Axes") -> float:
    """About how high a panel's axis will be, in points."""
    import matplotlib

    fig, _ = axes_or_new(ax)
    grid = ax.get_gridspec() if ax.get_subplotspec() else None
    around = 8 * matplotlib.rcParams["font.size"]  # title, numbers and label of the axis, in two lines each
    return max(36.0, 72 * fig.get_figheight() / (grid.nrows if grid else 1) - around)
