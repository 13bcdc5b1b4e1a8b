"""Styles: sizes that fit columns and slides, settings that do not leak, and figures drawn the same for all else."""

import matplotlib
import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh

from firstlight.errors import InputError
from firstlight.figures.axes import legend, new_figure, points, room_above, text
from firstlight.figures.pictures import cells
from firstlight.figures.styles import PAPER, REPORT, SLIDES, STYLES, current, use

SIDES = st.floats(0.5, 30, allow_nan=False)


@given(SIDES, SIDES, st.integers(1, 4), st.integers(1, 6))
def test_every_figure_fits_a_page_or_a_slide(width, height, rows, columns):
    for style, wide, high in ((PAPER, {3.25, 6.75}, 8.5), (SLIDES, {12.0}, 6.75)):
        found = style.size(width * columns, height * rows)
        assert found[0] in wide
        assert 0 < found[1] <= high
    assert REPORT.size(width, height) == (width, height)


@given(st.integers(1, 5), st.integers(1, 12))
def test_panels_are_folded_only_where_a_row_is_too_long_and_none_is_lost(rows, columns):
    for style in (REPORT, PAPER, SLIDES):
        found = style.grid(rows, columns)
        assert found[0] * found[1] >= rows * columns
        if rows > 1 or columns <= style.most:
            assert found == (rows, columns)
        else:
            assert found[1] <= style.most


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_settings_are_those_of_before_afterwards_even_after_an_error(style):
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"lines.linewidth": 9.0}):
        mine = dict(matplotlib.rcParams)
        with use(style):
            assert current() is style
            assert matplotlib.rcParams["pdf.fonttype"] == 42
            assert matplotlib.rcParams["lines.linewidth"] < 9
        assert dict(matplotlib.rcParams) == mine
        with pytest.raises(InputError), use(style):
            raise InputError("in the middle of a figure")
        assert dict(matplotlib.rcParams) == mine
        assert current() is REPORT
    assert dict(matplotlib.rcParams) == before


def test_outside_of_a_style_the_users_own_settings_hold():
    with matplotlib.rc_context({"axes.labelsize": 3.0}), use(REPORT):
        assert matplotlib.rcParams["axes.labelsize"] == 3.0
    assert points(4) == 4
    assert text(8) == 8


def test_a_folded_row_has_its_panels_in_order_and_no_empty_ones():
    with use(SLIDES):
        fig, axes = new_figure(columns=5)
        assert points(4) > 4
        assert text(8) == SLIDES.small
    assert len(axes) == 5
    assert fig.axes == axes
    assert [ax.get_position().y0 > 0.4 for ax in axes] == [True, True, True, False, False]


def test_cells_are_shapes_in_print_and_pixels_in_the_report():
    values = np.arange(6.0).reshape(2, 3)
    with use(PAPER):
        _, (ax,) = new_figure()
        drawn = cells(ax, values, vmin=0, vmax=5)
    assert isinstance(drawn, QuadMesh)
    _, (pixels,) = new_figure()
    cells(pixels, values, vmin=0, vmax=5)
    assert (ax.get_xlim(), ax.get_ylim()) == (pixels.get_xlim(), pixels.get_ylim()) == ((-0.5, 2.5), (1.5, -0.5))
    np.testing.assert_array_equal(drawn.get_array(), values)


@pytest.mark.parametrize("style", [REPORT, PAPER, SLIDES], ids=lambda style: style.name)
@pytest.mark.parametrize("lines", [1, 3, 5])
def test_a_legend_lies_above_the_data(style, lines):
    with use(style):
        fig, axes = new_figure(rows=2, columns=2, width=4.6, height=3.6)
        for ax in axes:
            for line in range(lines):
                ax.plot([0, 1], [1, 1], label=f"line {line}")
            ax.set(ylim=(0, room_above(ax, lines, 1.1)), xlabel="x", ylabel="y", title="t")
            legend(ax, loc="upper right")
        FigureCanvasAgg(fig).draw()
        for ax in axes:
            drawn = ax.get_legend()
            assert drawn is not None
            assert drawn.get_window_extent().y0 > ax.transData.transform((0, 1))[1]
