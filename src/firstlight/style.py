"""The one visual language of every figure: colours that survive colour blindness and gray, and shared axes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart by people with every common form of colour blindness.
MEASURED = "#0072B2"  # what networks did
PREDICTED = "#D55E00"  # what the closed form says
# Light to dark is early to late, in every figure that shows time.
TIME_COLOURS = "viridis_r"


def new_figure(rows: int = 1, columns: int = 1, width: float = 4.2, height: float = 3.0) -> "tuple[Figure, list[Axes]]":
    """A figure with a grid of axes, without pyplot's global state, so that no display is needed."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(wspace=0.06, hspace=0.06)
    fig = Figure(figsize=(width * columns, height * rows), layout=layout)
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return fig, list(axes.flat)


def axes_or_new(ax: "Axes | None") -> "tuple[Figure, Axes]":
    """The axes that a `plot(ax=None)` method draws on, and their figure."""
    if ax is None:
        fig, (ax,) = new_figure()
        return fig, ax
    fig = ax.get_figure(root=True)
    assert fig is not None  # axes that a caller hands over belong to a figure
    return fig, ax


def component_axis(ax: "Axes", size: int) -> None:
    """The horizontal axis that all profiles share: components by decreasing variance, counted from 1."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(0.5 - size / 100, size + 0.5 + size / 100)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("patch component, by decreasing variance")


def plot_over_time(profiles: "np.ndarray", labels: "Sequence[str]") -> "Figure":
    """Profiles (T, D) at several times on one log axis, each relative to its peak, light to dark."""
    import matplotlib
    import numpy as np

    fig, (ax,) = new_figure(width=6.5, height=3.6)
    colours = matplotlib.colormaps[TIME_COLOURS](np.linspace(0.12, 1, len(profiles)))
    numbers = np.arange(1, profiles.shape[1] + 1)
    for profile, label, colour in zip(profiles, labels, colours, strict=True):
        ax.plot(numbers, profile / profile.max(), color=colour, marker="o", ms=3, label=label)
    component_axis(ax, profiles.shape[1])
    ax.set(yscale="log", ylabel="predicted energy / peak energy")
    if labels:
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def svg(figure: "Figure") -> str:
    """A figure as SVG text, without date and with identifiers that do not change from call to call."""
    import io

    import matplotlib

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
    ax.imshow(tile(pictures, columns), interpolation="nearest")
    ax.set_axis_off()
