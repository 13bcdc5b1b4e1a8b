"""Panels of figures: each with all that belongs to it, where it was drawn, and none of the drawing lost."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

from firstlight.figures.axes import new_figure
from firstlight.figures.inline_svg import Figures
from firstlight.figures.panels import PLACE, name_panels
from firstlight.figures.svg import svg


def heat_maps(bars: str) -> Figure:
    """Two heat maps with numbers in them, and colour bars of each or of both."""
    fig, axes = new_figure(columns=2)
    for ax in axes:
        image = ax.imshow(np.eye(3))
        ax.set(title="a title", xlabel="across", ylabel="down")
        if bars == "each":
            fig.colorbar(image, ax=ax, label="value")
    if bars == "both":
        fig.colorbar(ScalarMappable(), ax=axes, label="value", location="bottom")
    return fig


def panels(fig: Figure) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(Figures().inline(svg(fig), "one", "a figure"))
    assert root.tag == "div"
    return list(root)


def view(panel: ElementTree.Element) -> np.ndarray:
    """Left, top, width and height of a panel, in points."""
    return np.array(panel.attrib["viewBox"].split(), dtype=float)


def test_one_panel_stays_one_picture():
    fig, (ax,) = new_figure()
    fig.colorbar(ax.imshow(np.eye(3)), ax=ax)
    text = svg(fig)
    assert PLACE not in text
    assert Figures().inline(text, "one", "a figure").startswith("<svg ")


@pytest.mark.parametrize(("bars", "count"), [("none", 2), ("each", 2), ("both", 3)])
def test_a_colour_bar_goes_with_its_only_picture(bars, count):
    found = panels(heat_maps(bars))
    assert [panel.tag for panel in found] == ["svg"] * count
    images = [len(list(panel.iter("image"))) for panel in found]
    assert images == {"none": [1, 1], "each": [2, 2], "both": [1, 1, 1]}[bars]


def test_a_legend_of_all_panels_comes_before_them_and_one_below_after():
    for place, expected in (("outside upper center", 0), ("outside lower center", 2)):
        fig, axes = new_figure(columns=2)
        for ax in axes:
            ax.plot([0, 1], label="a line")
        fig.legend(*axes[0].get_legend_handles_labels(), loc=place)  # type: ignore[arg-type]
        heights = [view(panel)[3] for panel in panels(fig)]
        assert int(np.argmin(heights)) == expected


def test_panels_lie_side_by_side_and_hold_what_is_drawn_there():
    fig = heat_maps("each")
    whole = ElementTree.fromstring(Figures(themed=False).inline(svg(fig), "one", "a figure"))
    left, right = (view(panel) for panel in panels(fig))
    assert left[0] + left[2] <= right[0] + 4  # the margins may touch
    assert right[0] + right[2] <= 72 * fig.get_figwidth() + 4
    for tag in ("use", "path", "image"):  # the background and its clip paths are the only things left out
        count = sum(len(list(panel.iter(tag))) for panel in panels(fig))
        assert len(list(whole.iter(tag))) - count == (1 if tag == "path" else 0)


def test_nothing_drawn_lies_outside_of_all_panels(tmp_path):
    fig = heat_maps("both")
    svg(fig)  # which lays it out
    named = name_panels(fig, FigureCanvasAgg(fig).get_renderer())
    places = [[float(value) for value in place.split()[1:]] for place in named.values()]
    fig.savefig(tmp_path / "figure.png", dpi=72)
    inked = np.asarray(Image.open(tmp_path / "figure.png").convert("L")) < 250
    assert inked.any()
    for left, top, width, height in places:
        inked[int(top) : int(top + height) + 1, int(max(left, 0)) : int(left + width) + 1] = False
    assert not inked.any()


def test_the_places_do_not_reach_a_notebook():
    text = svg(heat_maps("each"))
    assert PLACE in text
    found = Figures(themed=False).inline(text, "one", "a figure")
    assert not re.search(rf"{PLACE}|var\(|light-dark", found)


def test_a_colour_bar_above_all_pictures_comes_before_them():
    fig, axes = new_figure(rows=2, columns=2)
    for ax in axes:
        ax.imshow(np.eye(3))
    fig.colorbar(ScalarMappable(), ax=axes, location="top")
    assert int(np.argmin([view(panel)[3] for panel in panels(fig)])) == 0
