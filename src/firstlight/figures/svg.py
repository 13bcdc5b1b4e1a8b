"""A figure as an SVG, in text and as files."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.figures.panels import name_panels, with_places
from firstlight.utils.whole_files import atomic_write, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg(figure: "Figure") -> str:
    """A figure as SVG text, without date and with identifiers that do not change from call to call.

    Where its panels lie is written beside them. Letters that its font lacks are boxes in it: names of files may
    hold any.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # Laid out once: savefig would do it twice, and again for the PNG, which is most of the time that a figure takes.
    # Both the layout and the places of the panels come of one renderer, which remembers how large each text is.
    renderer = FigureCanvasAgg(figure).get_renderer()
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "firstlight"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine(None)
        places = name_panels(figure, renderer)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return with_places(buffer.getvalue(), places)


def write_figure(figure: "Figure", drawn: str, stem: Path) -> None:
    """Write a figure, and the SVG that was drawn of it, as `stem.svg` and `stem.png` (200 dots an inch)."""
    write_text(stem.with_suffix(".svg"), drawn)
    with atomic_write(stem.with_suffix(".png")) as file:
        figure.savefig(file, format="png", dpi=200)
