"""Pictures of components and filters, and matrices, as cells on axes."""

from typing import TYPE_CHECKING, Any

from firstlight.figures.styles import current

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.image import AxesImage


def tile(pictures: "np.ndarray", columns: int | None = None) -> "np.ndarray":
    """Lay small pictures, (N, C, h, w) with zero as neutral, out on one RGBA canvas, transparent between them.

    Each picture is scaled by its own largest magnitude, so that grey is zero. Pictures of other than three
    channels are shown by their mean over channels.
    """
    import numpy as np

    count, channels, height, width = pictures.shape
    if channels != 3:
        pictures = np.repeat(pictures.mean(axis=1, keepdims=True), 3, axis=1)
    columns = columns or int(np.ceil(np.sqrt(count * 1.6)))
    rows = -(-count // columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, 4))
    canvas[..., 3] = 0
    for index, picture in enumerate(pictures):
        largest = np.abs(picture).max()
        shown = 0.5 + 0.5 * picture / (largest if largest > 0 else 1.0)
        y, x = index // columns * (height + 1), index % columns * (width + 1)
        canvas[y : y + height, x : x + width, :3] = shown.transpose(1, 2, 0)
        canvas[y : y + height, x : x + width, 3] = 1
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
    values : ndarray, shape (rows, columns) or (rows, columns, 4)
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
