"""Figures inside a page: smaller, apart from each other, and with every reference still to be found."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.figures.axes import new_figure
from firstlight.figures.inline_svg import Figures
from firstlight.figures.svg import svg

XMLNS = 'xmlns="http://www.w3.org/2000/svg"'


def drawing(label: str = "a & <b>") -> str:
    """Lines with markers, words, a picture and a clip path: whatever figures are made of."""
    fig, (left, right) = new_figure(columns=2)
    left.plot(np.linspace(0, 1, 20), np.random.default_rng(0).normal(size=20), marker="o", label=label)
    left.legend()
    right.imshow(np.random.default_rng(1).uniform(size=(4, 4)))
    return svg(fig)


def test_all_that_a_figure_refers_to_is_on_the_page_and_only_once():
    figures = Figures()
    one, two = figures.inline(drawing(), "one", "a figure"), figures.inline(drawing("c"), "two", "a figure")
    page = f"<page>{one}{two}{figures.letters}</page>"
    root = ElementTree.fromstring(page)
    names = [element.get("id") for element in root.iter() if element.get("id")]
    wanted = {found for pair in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page) for found in pair if found}
    assert len(names) == len(set(names))
    assert wanted == set(names)  # nothing dangles, and nothing is named in vain
    assert len(wanted) > 5


def test_figures_share_their_letters():
    figures = Figures()
    figures.inline(drawing(), "one", "a figure")
    before = figures.letters
    assert 'd="M' in before
    figures.inline(drawing(), "two", "a figure")
    assert figures.letters == before
    assert Figures().letters == ""


def test_a_figure_becomes_smaller_and_keeps_all_its_marks():
    text = drawing()
    found = Figures().inline(text, "one", "a figure")
    assert len(found) < 0.7 * len(text)
    assert len(re.findall("<use", found)) == len(re.findall("<use", text))
    assert len(re.findall("<image", found)) == len(re.findall("<image", text)) == 1
    for gone in ("<style", "<metadata", "<!--", "<?xml", "xmlns"):
        assert gone not in found


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_coordinates_move_by_less_than_a_hundredth_of_a_point(values):
    path = "M " + " L ".join(f"{value:.6f} {value:.6f}" for value in values)
    found = Figures().inline(f'<svg {XMLNS}><path d="{path}"/></svg>', "one", "a figure")
    match = re.search(r'd="([^"]*)"', found)
    assert match is not None
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", match[1])]
    np.testing.assert_allclose(numbers, np.repeat(values, 2), atol=0.00501)


def test_scales_keep_their_digits():
    text = f'<svg {XMLNS}><g transform="translate(1.23456 2) scale(0.015625 -0.1)"><path d="M0 0"/></g></svg>'
    assert 'transform="translate(1.23 2) scale(0.015625 -0.1)"' in Figures().inline(text, "one", "a figure")


def test_one_font_for_two_outlines_is_not_mixed_up():
    one, two = (
        f'<svg {XMLNS}><defs><path id="Font-1a" d="M{x} 0"/></defs><use href="#Font-1a"/></svg>' for x in (1, 2)
    )
    figures = Figures()
    assert "<path" not in figures.inline(one, "one", "a figure")
    found = figures.inline(two, "two", "a figure")
    assert 'd="M2 0"' in found
    assert re.findall(r'id="([^"]*)"', found) == re.findall(r'href="#([^"]*)"', found) == ["two-Font-1a"]


@pytest.mark.parametrize("label", ['"><script>alert(1)</script>', "a\nb", "τ ∝ λ"])
def test_its_name_for_those_who_cannot_see_it_is_text(label):
    found = Figures().inline(drawing(), "one", label)
    assert ElementTree.fromstring(found).get("aria-label") == label
    assert "<script" not in found
