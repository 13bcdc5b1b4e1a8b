"""Dead and duplicate filters: outlined where they lie, and in words."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from firstlight.figures.axes import new_figure
from firstlight.inspection.measures import FilterFaults
from firstlight.report.filter_marks import filter_marks, marks_legend, marks_text, show_marked

FAULTS = FilterFaults(dead=(7,), duplicates=((0, 4), (1, 2, 3, 5, 6)))


def test_marks_say_what_is_wrong_and_which_others_are_alike():
    marks = filter_marks(FAULTS)
    assert sorted(marks) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [marks[number].text for number in (7, 4, 1)] == [
        "dead",
        "duplicate, as 0",
        "duplicate, as 2, 3, 5, and 1 more",
    ]
    assert marks_legend(marks) == "Outlined: dead; dashed outline: duplicate."
    assert marks_text(9, {7: marks[7], 4: marks[4]}) == "9 filters; filter 4: duplicate, as 0; filter 7: dead"


@pytest.mark.parametrize("faults", [None, FilterFaults((), ())])
def test_where_nothing_is_wrong_nothing_is_said(faults):
    marks = filter_marks(faults)
    assert marks == {}
    assert marks_legend(marks) == ""
    assert marks_text(1, marks) == "1 filter"


def test_an_outline_lies_around_its_filter():
    _, (ax,) = new_figure()
    weight = np.zeros((9, 3, 3, 3))
    show_marked(ax, weight, filter_marks(FilterFaults((5,), ((0, 1),))))
    dead, *duplicates = (patch for patch in ax.patches if isinstance(patch, Rectangle))
    # Nine filters lie in rows of four, three cells and a gap apart; this is the second of row two.
    assert (dead.get_xy(), dead.get_width(), dead.get_height()) == ((3, 3), 4, 4)
    assert [patch.get_linestyle() for patch in (dead, *duplicates)] == ["-", "--", "--"]
