"""Cards: text stays text, nothing is left to the page, and cards do not disturb each other."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.figures.axes import axes_or_new
from firstlight.figures.notebook import LARGEST, card, few, table, text

EVIL = [
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "\udcff",
    "\x00\x1b[31m",
    "\u202eevil",
    "]]>",
    "$x_1$",
]


def drawing(values: np.ndarray, label: str = "measured"):
    def draw():
        fig, ax = axes_or_new(None)
        ax.plot(values, marker="o", label=label)
        ax.legend()
        return fig, ax

    return draw


def identifiers(html: str) -> set[str]:
    return set(re.findall(r' id="([^"]*)"', html))


@given(st.text() | st.sampled_from(EVIL), st.text() | st.sampled_from(EVIL))
def test_whatever_a_name_holds_is_text(title, value):
    found = card(title, [(title, value)])
    root = ElementTree.fromstring(found.replace("<br>", "<br/>"))
    assert {element.tag for element in root.iter()} <= {"div", "table", "tbody", "tr", "td", "b", "br"}
    assert not any(name != "style" for element in root.iter() for name in element.attrib if element is not root)
    assert found.encode().decode() == found
    lines = [line for line in title.split("\n") if line.isprintable() and len(line) <= 400]
    shown = "".join(root.itertext())
    assert all(line in shown for line in lines)


@pytest.mark.parametrize("name", EVIL)
def test_names_within_a_picture_are_text_too(name):
    found = card("a", [], drawing(np.arange(3.0), name.replace("\udcff", "?").replace("\x00", "?")), name)
    root = ElementTree.fromstring(found)
    assert root.find(".//svg") is not None
    assert not {"script", "img", "style"} & {element.tag for element in root.iter()}
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]


def test_text_takes_the_colour_of_the_page_and_curves_keep_theirs():
    found = card("a", [], drawing(np.arange(3.0)))
    assert "currentColor" in found
    assert "#010203" not in found
    assert "#000000" not in found
    assert "#ffffff" not in found  # no background
    assert "#1f77b4" in found
    assert '">measured</text>' in found
    assert found.count("measured") == 1


def test_every_reference_is_found_in_its_own_card_and_other_cards_have_other_names():
    one, two = (card("a", [], drawing(np.arange(count) * 1.0)) for count in (3, 4))
    for html in (one, two):
        wanted = {name for pair in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', html) for name in pair if name}
        assert wanted == identifiers(html)
        assert len(wanted) > 1
    assert not identifiers(one) & identifiers(two)
    assert one == card("a", [], drawing(np.arange(3) * 1.0))
    assert not identifiers(one) & identifiers(card("b", [], drawing(np.arange(3) * 1.0)))


@pytest.mark.parametrize("values", [np.zeros(3), np.full(3, np.nan), np.array([1.0, np.inf, np.nan]), np.empty(0)])
def test_what_is_no_number_is_no_error(values):
    assert "<svg" in card("a", [], drawing(values))


def test_what_is_too_large_is_left_out_and_said():
    noise = np.random.default_rng(0).uniform(size=(300, 300))

    def draw():
        fig, ax = axes_or_new(None)
        ax.imshow(noise, interpolation="none")
        return fig, ax

    found = card("a", [("b", "c")], draw, below=table((), [("x" * 100_000,)]))
    assert len(found.encode()) <= LARGEST
    assert "<svg" not in found
    assert "too large" in found
    assert "c</td>" in found
    long = card("x" * 10_000, [("y" * 10_000, "z" * 10_000)])
    assert len(long.encode()) < 5000


def test_a_line_of_many_points_has_no_markers():
    few_points, many = (card("a", [], drawing(np.arange(count) * 1.0)) for count in (100, 1000))
    assert few_points.count("<use") > 100
    assert many.count("<use") < 50


def test_as_many_pictures_as_there_is_room_for():
    assert len(few(np.zeros((64, 3, 3, 3)))) == 64
    assert len(few(np.zeros((512, 3, 16, 16)))) == 27
    assert len(few(np.zeros((4, 3, 224, 224)))) == 1


def test_lines_are_kept_and_controls_shown_by_their_codes():
    assert text("a <b>\nτ\x07") == "a &lt;b&gt;<br>τ\\u0007"


def test_neither_pyplot_nor_settings_of_the_user_matter():
    code = (
        "import sys, firstlight as fl, numpy as np; from firstlight.profile import EnergyProfile; "
        "profile = EnergyProfile(np.arange(27.0), 3); repr(profile); assert 'matplotlib' not in sys.modules; "
        "one = profile._repr_html_(); assert 'matplotlib.pyplot' not in sys.modules; import matplotlib; "
        "matplotlib.rcParams.update({'font.size': 30, 'axes.facecolor': 'red'}); assert profile._repr_html_() == one; "
        "assert matplotlib.rcParams['font.size'] == 30"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
