"""Colours of figures on a light and on a dark page."""

import re
from importlib.resources import files

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from firstlight.figures.colours import ON_DARK, ON_LIGHT, REFERENCE, SERIES, TIME_COLOURS
from firstlight.figures.themes import VARIABLES, inverted, themed

TEMPLATES = files("firstlight.report") / "templates"
STYLES = "".join((TEMPLATES / name).read_text() for name in ("style.css", "figures.css"))
DARK_PAGE = "#1a1e23"
VISIBLE = 3.0  # contrast of what is no text, of WCAG AA


def luminance(colour: str) -> float:
    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_defines_every_variable_for_both_themes():
    assert re.search(rf"--card: {DARK_PAGE}", STYLES)
    for variable in {*VARIABLES.values(), "card"}:
        values = set(re.findall(rf"--{variable}: ([^;]*);", STYLES))
        assert len(values) == 2, variable


def test_every_shared_colour_has_a_variable():
    assert {to_hex(colour) for colour in (REFERENCE, *(colour for colour, *_ in SERIES))} <= VARIABLES.keys()


@pytest.mark.parametrize("place", np.linspace(0.12, 1, 7))
def test_lines_that_show_time_are_seen_in_the_dark_the_later_the_lighter(place):
    colour = to_hex(matplotlib.colormaps[TIME_COLOURS](place))
    assert contrast(inverted(colour), DARK_PAGE) >= VISIBLE
    if place < 1:
        later = to_hex(matplotlib.colormaps[TIME_COLOURS](place + 0.1))
        assert luminance(inverted(later)) > luminance(inverted(colour))


def test_a_gray_stays_gray_and_black_becomes_the_lightest():
    assert len(set(re.findall("..", inverted("#808080")[1:]))) == 1
    assert luminance(inverted("#000000")) > 0.9 > luminance(inverted("#404040")) > luminance(inverted("#c0c0c0"))


def test_what_lies_on_a_picture_keeps_its_colour():
    for colour in (ON_LIGHT, ON_DARK):
        assert themed(f"fill:{colour};opacity:0.5") == f"fill:{colour};opacity:0.5"


def test_colours_become_variables_and_all_else_stays():
    assert themed("fill:none;stroke:#000000;stroke-width:0.8") == "fill:none;stroke:var(--ink);stroke-width:0.8"
    assert themed("fill:#ffffff;stroke:#737373") == "fill:var(--card);stroke:var(--soft)"
    found = themed("stroke:#440154")
    assert found == f"stroke:#440154;stroke:light-dark(#440154,{inverted('#440154')})"
