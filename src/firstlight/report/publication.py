"""Figures in publication form: drawn in a style, encoded as SVG, PDF or PNG, with the same bytes every time."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from firstlight.experiments.results import FigureEntry
from firstlight.figures.styles import Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Drawn:
    """A figure in publication form.

    Attributes
    ----------
    name : str
        Such as "formula/profile_against_formula".
    title, caption : str
    inches : pair of float
        Width and height.
    files : dict of format to bytes
    """

    name: str
    title: str
    caption: str
    inches: tuple[float, float]
    files: dict[Format, bytes]

    def file_name(self, kind: Format) -> str:
        """Such as "formula_profile_against_formula.pdf"."""
        return f"{self.name.replace('/', '_')}.{kind}"


def drawn(name: str, entry: FigureEntry, style: Style, formats: Iterable[Format]) -> Drawn:
    figure = entry.figure
    if not style.titles and len(figure.axes) == 1:
        figure.axes[0].set_title("")
    fold_labels(figure)
    width, height = figure.get_size_inches()
    files: dict[Format, bytes] = {kind: encoded(figure, kind, style, entry) for kind in formats}
    return Drawn(name, entry.title, entry.caption, (float(width), float(height)), files)


def fold_labels(figure: "Figure") -> None:
    """Break names of axes and panels that are longer than their axes into two lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        box = ax.get_window_extent()
        for label, room in ((ax.xaxis.label, box.width), (ax.yaxis.label, box.height), (ax.title, box.width)):
            drawn = label.get_window_extent()
            if max(drawn.width, drawn.height) > room:
                label.set_text(_folded(label.get_text()))


def _folded(text: str) -> str:
    """A label in two lines of about one length; spaces within mathematics do not count, and it is folded only once."""
    places = [place for place, letter in enumerate(text) if letter == " " and text[:place].count("$") % 2 == 0]
    if "\n" in text or not places:
        return text
    middle = min(places, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def encoded(figure: "Figure", kind: Format, style: Style, about: FigureEntry | None = None) -> bytes:
    """A figure as a file of a format, with what it shows in the file's metadata; in the style that is in use."""
    # Laid out once: savefig would do it again for every format, and it is most of the time that a figure takes.
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)
    title, caption = (about.title, about.caption) if about else ("", "")
    metadata: dict[Format, dict[str, Any]] = {
        "pdf": {"Title": title, "Subject": caption, "CreationDate": None},
        "svg": {"Title": title, "Description": caption, "Date": None},
        "png": {"Title": title, "Description": caption},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=style.dpi, metadata=metadata[kind])
    return buffer.getvalue()
