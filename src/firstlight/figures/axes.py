"""The one visual language of every figure: colours that survive colour blindness and gray, and shared axes."""

from typing import TYPE_CHECKING, Any

from firstlight.figures.styles import REPORT, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend

# A line as matplotlib takes it: by name, or as an offset and lengths on and off.
LineStyle = str | tuple[int, tuple[int, ...]]

# Okabe and Ito (2008): told apart by people with every common form of colour blindness.
MEASURED = "#0072B2"  # what networks did
PREDICTED = "#D55E00"  # what the closed form says
REFERENCE = "0.45"  # what nothing was trained for: a random initialisation, chance, an ideal
# Several things of one kind, such as networks: told apart by colour, and in gray by marker and line.
SERIES: tuple[tuple[str, str, LineStyle], ...] = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", (0, (5, 1))),
    ("#56B4E9", "P", (0, (3, 1, 1, 1))),
    ("#000000", "X", (0, (1, 1))),
)
# Light to dark is early to late, in every figure that shows time.
TIME_COLOURS = "viridis_r"


def new_figure(rows: int = 1, columns: int = 1, width: float = 4.2, height: float = 3.0) -> "tuple[Figure, list[Axes]]":
    """A figure with a grid of axes, without pyplot's global state, so that no display is needed.

    Parameters
    ----------
    rows, columns
        Of panels. A single row or column of them may be folded where the style has no room for it.
    width, height
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


def axes_or_new(ax: "Axes | None") -> "tuple[Figure, Axes]":
    """The axes that a `plot(ax=None)` method draws on, and their figure."""
    if ax is None:
        fig, (ax,) = new_figure()
        return fig, ax
    fig = ax.get_figure(root=True)
    assert fig is not None  # axes that a caller hands over belong to a figure
    return fig, ax


def literal(text: str) -> str:
    """Text that matplotlib shows as it is: no mathematics between dollars, no name hidden for an underscore."""
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")


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
    """Draw the mean over seeds of (S, n) values as a line of `SERIES[index]`, and their range as a band."""
    colour, marker, line = SERIES[index % len(SERIES)]
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
        legend(ax, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def svg(figure: "Figure") -> str:
    """A figure as SVG text, without date and with identifiers that do not change from call to call."""
    import io

    import matplotlib

    # Laid out once: savefig would do it twice, and again for the PNG, which is most of the time that a figure takes.
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "firstlight"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def tile(pictures: "np.ndarray", columns: int | None = None) -> "np.ndarray":
    """Lay small pictures, (N, C, h, w) with zero as neutral, out on one RGB canvas.

    Each picture is scaled by its own largest magnitude, so that gray is zero. Pictures of other than three
    channels are shown by their mean over channels.
    """
    import numpy as np

    count, channels, height, width = pictures.shape
    if channels != 3:
        pictures = np.repeat(pictures.mean(axis=1, keepdims=True), 3, axis=1)
    columns = columns or int(np.ceil(np.sqrt(count * 1.6)))
    rows = -(-count // columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, 3))
    for index, picture in enumerate(pictures):
        largest = np.abs(picture).max()
        shown = 0.5 + 0.5 * picture / (largest if largest > 0 else 1.0)
        y, x = index // columns * (height + 1), index % columns * (width + 1)
        canvas[y : y + height, x : x + width] = shown.transpose(1, 2, 0)
    return canvas


def show_tiles(ax: "Axes", pictures: "np.ndarray", columns: int | None = None) -> None:
    """Show small pictures on axes, without ticks or frame."""
    cells(ax, tile(pictures, columns))
    ax.set_aspect("equal")
    ax.set_axis_off()


def cells(
    ax: "Axes", values: "np.ndarray", extent: "tuple[float, float, float, float] | None" = None, **options: Any
) -> "AxesImage | QuadMesh":
    """Draw a matrix as a grid of flat cells: pixels in the report, shapes that stay sharp in the other styles.

    Parameters
    ----------
    ax : Axes
    values : ndarray, shape (rows, columns) or (rows, columns, 3)
        Numbers to be mapped to colours, or colours.
    extent : (left, right, bottom, top), optional
        Where the edges of the matrix are, its first row at the top. Default: as `imshow`, half a cell around (0, 0).
    **options
        Of `imshow` and `pcolormesh`: cmap, vmin, vmax.

    Returns
    -------
    AxesImage or QuadMesh
        For a colour bar.
    """
    import numpy as np

    rows, columns = values.shape[:2]
    left, right, bottom, top = extent or (-0.5, columns - 0.5, rows - 0.5, -0.5)
    edges = left, right, bottom, top
    if not current().vector:
        return ax.imshow(values, interpolation="nearest", aspect="auto", extent=edges, **options)
    x, y = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
    # Viewers of PDF smooth the edges of shapes: a hair of their own colour closes the gaps between them.
    drawn = ax.pcolormesh(x, y, values, edgecolors="face", linewidth=0.1, **options)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    return drawn
