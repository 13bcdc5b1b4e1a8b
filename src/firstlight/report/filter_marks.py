"""Dead and duplicate filters, as they are marked in pictures of a bank: an outline, and words for it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from firstlight.figures.pictures import show_tiles
from firstlight.inspection.measures import FilterFaults
from firstlight.utils.text import counted, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["dead", "duplicate"]
LINES: dict[Kind, str] = {"dead": "-", "duplicate": "--"}
_OUTLINES: dict[Kind, str] = {"dead": "outlined", "duplicate": "dashed outline"}
_NAMED = 3  # other filters of a group
_MOST = 12  # filters in a text


class Mark(NamedTuple):
    """What is wrong with a filter: its kind, and which others are like it."""

    kind: Kind
    others: str = ""

    @property
    def text(self) -> str:
        """In words: "duplicate, as 4 and 9"."""
        return f"{self.kind}, as {self.others}" if self.others else self.kind


def filter_marks(faults: FilterFaults | None) -> dict[int, Mark]:
    """Marks by number of filter."""
    if faults is None:
        return {}
    marks = {number: Mark("dead") for number in faults.dead}
    for group in faults.duplicates:
        for number in group:
            others = listed([other for other in group if other != number], _NAMED, ", ")
            marks[number] = Mark("duplicate", others)
    return marks


def marks_legend(marks: Mapping[int, Mark]) -> str:
    """What the outlines mean; empty where there are none."""
    kinds = {mark.kind for mark in marks.values()}
    text = "; ".join(f"{_OUTLINES[kind]}: {kind}" for kind in LINES if kind in kinds)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def marks_text(count: int, marks: Mapping[int, Mark]) -> str:
    """A picture of so many filters for those who cannot see it."""
    said = listed(sorted(marks), _MOST, show=lambda number: f"filter {number}: {marks[number].text}")
    return f"{counted(count, 'filter')}; {said}" if said else counted(count, "filter")


def show_marked(ax: "Axes", weight: np.ndarray, marks: Mapping[int, Mark]) -> None:
    """A bank of filters as pictures in rows, those with a mark outlined."""
    from matplotlib.patches import Rectangle

    count, _, height, width = weight.shape
    columns = int(np.ceil(np.sqrt(count * 1.6)))
    show_tiles(ax, weight, columns)
    for number, mark in marks.items():
        row, column = divmod(number, columns)
        corner = (column * (width + 1) - 1, row * (height + 1) - 1)
        outline = Rectangle(corner, width + 1, height + 1, fill=False, lw=1.6, ls=LINES[mark.kind], ec="black")
        outline.set_clip_on(False)
        ax.add_patch(outline)
