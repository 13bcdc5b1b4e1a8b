"""How a result shows itself in a notebook: a card with its name, a small table, and a picture.

A card stands in somebody else's page, light or dark: it brings no style sheet and no script, takes the page's own
colour for all that is text or frame, and its identifiers are made of its content, so that cards do not disturb each
other. Names come out of other people's files: whatever they hold is shown as text.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from firstlight.figures.inline_svg import Figures
from firstlight.figures.styles import NOTEBOOK, TEXT_COLOUR, use
from firstlight.figures.svg import svg
from firstlight.utils.text import printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

LARGEST = 60_000  # bytes of a card
_LONGEST = 400  # characters of a line in a table
_TAPS = 8000  # of pictures, with the lines between them
_MARKED = 150  # points of a line; more of them have no room for markers
_CELL = "text-align:left;vertical-align:top;padding:0.1em 1em 0.1em 0"  # which notebooks set otherwise


def card(
    title: str,
    rows: Iterable[tuple[str, str]],
    draw: "Callable[[], tuple[Figure, Any]] | None" = None,
    label: str = "",
    below: str = "",
) -> str:
    """HTML that shows a result.

    Parameters
    ----------
    title : str
        What it is.
    rows : iterable of pair of str
        Names and values.
    draw : callable, optional
        Draws the picture, as `plot` methods do, and returns the figure first.
    label : str, optional
        What the picture shows, for those who cannot see it.
    below : str, optional
        HTML that stands under both, such as of `table`.

    Returns
    -------
    str
        At most 60 KB: what is too large is left out.
    """
    head = f'<div style="font-weight:bold;margin-bottom:0.3em">{text(title)}</div>'
    body = table((), ((f'<b style="white-space:nowrap">{text(name)}</b>', text(value)) for name, value in rows))
    picture = "" if draw is None else _drawn(draw, label, head + body)
    room = LARGEST - 500 - len((head + body).encode())
    picture = picture if len(picture.encode()) <= room else "<p>The picture is too large for a notebook.</p>"
    below = below if len(below.encode()) <= room else "<p>The rest is too large for a notebook.</p>"
    sides = f'<div style="display:flex;flex-wrap:wrap;gap:0.5em 1.5em;align-items:flex-start">{body}{picture}</div>'
    return f'<div class="firstlight" style="margin:0.3em 0">{head}{sides}{below}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f'<th scope="col" style="{_CELL}">{text(header)}</th>' for header in headers)
    lines = ["".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) for row in rows]
    return (
        '<table style="border-collapse:collapse;margin:0;max-width:40em;overflow-wrap:anywhere">'
        + (f"<thead><tr>{head}</tr></thead>" if headers else "")
        + f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"
    )


def text(value: str) -> str:
    """Any text as HTML that shows it: control characters by their codes, long lines cut, line breaks kept."""
    return "<br>".join(escape(printable(line, _LONGEST)) for line in value.split("\n"))


def few(pictures: "np.ndarray") -> "np.ndarray":
    """The first of some pictures, (N, C, h, w): as many as a card has room for."""
    height, width = pictures.shape[2:]
    return pictures[: max(1, _TAPS // ((height + 1) * (width + 1)))]


def _drawn(draw: "Callable[[], tuple[Figure, Any]]", label: str, content: str) -> str:
    """The figure, in the colours of the page that it will stand in."""
    import numpy as np

    with use(NOTEBOOK), np.errstate(all="ignore"):  # of energies that are zero, infinite or NaN
        figure = draw()[0]
        for ax in figure.axes:
            for line in ax.lines:
                if np.size(line.get_xdata()) > _MARKED:
                    line.set_marker("")
        drawn = svg(figure)
    name = "fl" + hashlib.sha256((content + drawn).encode(errors="replace")).hexdigest()[:12]
    found = Figures(themed=False).inline(drawn, name, printable(label, _LONGEST)).replace(TEXT_COLOUR, "currentColor")
    return found.replace("<svg ", '<svg style="max-width:100%;height:auto;flex:none" ', 1)
