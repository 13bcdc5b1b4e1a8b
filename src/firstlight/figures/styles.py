"""How figures look where they are shown: in the report, in a paper's columns, on slides.

A figure is drawn in the style that `use` has put in place. Outside of it that is `REPORT`, which leaves matplotlib's
settings as they are.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Style:
    """Sizes and settings of figures.

    Attributes
    ----------
    name : str
    scale : float
        Of lines and markers, relative to the report's.
    small : float
        Text of legends and of numbers within a figure, in points.
    rc : mapping
        Settings of matplotlib in place of its defaults; empty for the caller's own.
    widths : tuple of float
        Widths in inches that a figure may have, narrow to wide; empty for the width that it asks for.
    single : float
        A figure that asks for no more inches than this has the first of `widths`.
    heights : pair of float
        Lowest and highest figure, in inches.
    taller : float
        Panels are so much higher than their share of the width would make them, to leave room for the text.
    stretch : float
        No figure is more than so many times as high as in the report.
    most : int
        Panels side by side; more are put into further rows.
    dpi : int
        Of a PNG.
    vector : bool
        Whether pictures and heat maps are cells with sharp edges at every size, instead of pixels.
    titles : bool
        Whether a figure of one panel keeps its title, which the caption says in a paper.
    """

    name: str
    scale: float = 1.0
    small: float = 8.0
    rc: Mapping[str, Any] = field(default_factory=dict, repr=False)
    widths: tuple[float, ...] = ()
    single: float = 0.0
    heights: tuple[float, float] = (0.0, math.inf)
    taller: float = 1.0
    stretch: float = 1.0
    most: int = 1000
    dpi: int = 200
    vector: bool = False
    titles: bool = True

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns in which so many panels are put; those of a real grid stay where they are."""
        if rows == 1 and columns > self.most:
            rows = math.ceil(columns / self.most)
            columns = math.ceil(columns / rows)
        return rows, columns

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Inches of a figure that asks for these."""
        if not self.widths:
            return width, height
        chosen = self.widths[0] if width <= self.single else self.widths[-1]
        low, high = self.heights
        times = min(self.taller * chosen / width, self.stretch)
        return chosen, min(max(times * height, low), high)


# What a file needs whatever its style: text of a PDF as embedded TrueType fonts, which journals ask for and editors can
# change; text of an SVG as paths, which look the same where the font is missing; the same bytes every time.
_FILES = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "firstlight"}


def _text(size: float, **others: Any) -> dict[str, Any]:
    names = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "figure.titlesize")
    return {**_FILES, **dict.fromkeys(names, size), **others}


def _lines(width: float) -> dict[str, Any]:
    """Frames and ticks of a width in points, and lines twice as thick."""
    rc: dict[str, Any] = {"axes.linewidth": width, "lines.linewidth": 2 * width, "patch.linewidth": width}
    for axis in ("xtick", "ytick"):
        rc |= {f"{axis}.major.width": width, f"{axis}.minor.width": 0.75 * width}
        rc |= {f"{axis}.major.size": 5 * width, f"{axis}.minor.size": 3 * width, f"{axis}.major.pad": 5 * width}
    return rc


REPORT = Style("report", most=3)
# Columns of 3.25 and a text width of 6.75 inches are those of ICML; STIX, which comes with matplotlib, goes with Times.
PAPER = Style(
    "paper",
    scale=0.6,
    small=7.0,
    rc=_text(8, **_lines(0.5), **{"font.family": ["STIXGeneral", "DejaVu Sans"], "mathtext.fontset": "stix"})
    | {"axes.titlepad": 4, "axes.labelpad": 2, "legend.handlelength": 2.2, "legend.labelspacing": 0.3},
    widths=(3.25, 6.75),
    single=6.0,
    heights=(1.5, 8.5),
    taller=1.05,
    stretch=0.85,
    most=3,
    dpi=300,
    vector=True,
    titles=False,
)
# 12 x 6.75 inches, 16:9, is a slide of 13.33 x 7.5 inches with a margin; lower figures leave room for a heading.
SLIDES = Style(
    "slides",
    scale=1.7,
    small=14.0,
    rc=_text(16, **_lines(1.25)) | {"axes.titlesize": 18, "axes.titlepad": 10},
    widths=(12.0,),
    heights=(4.8, 6.75),
    taller=1.25,
    stretch=2.0,
    most=3,
    dpi=200,
    vector=True,
)
# Stands in for the colour of a page's text, which only the page knows.
TEXT_COLOUR = "#010203"
_TEXTS = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
# In a notebook's page, light or dark: without a background, and with text that takes the page's colour and fonts.
NOTEBOOK = Style(
    "notebook",
    rc=_text(9)
    | {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"], "figure.facecolor": "none", "axes.facecolor": "none"}
    | dict.fromkeys(_TEXTS, TEXT_COLOUR),
)
STYLES = {style.name: style for style in (PAPER, SLIDES)}

_CURRENT: ContextVar[Style] = ContextVar("style", default=REPORT)


def current() -> Style:
    """The style that figures are drawn in now."""
    return _CURRENT.get()


@contextmanager
def use(style: Style) -> Iterator[Style]:
    """Draw figures in a style; matplotlib's settings are afterwards what they were before."""
    import matplotlib.style

    token = _CURRENT.set(style)
    try:
        if style.rc:
            with matplotlib.style.context(dict(style.rc), after_reset=True):
                yield style
        else:
            yield style
    finally:
        _CURRENT.reset(token)
