"""Static figures: legible on a telephone, dark on a dark page, light on paper."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Page
from tests.browser.conftest import Open

NAMES = [
    "reproduction",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("recorded", "inspection", "comparison", "several", "comparison-thirty")
    ),
]
WHITEST = 0.05  # of a dark page
_DRAWN = ".drawing svg:visible, [data-role=static] svg:visible"
# How far the figures go to the right, and their smallest text: a letter's group is scaled by a hundredth of it.
_MEASURES = """figures => {
  const sizes = [], edges = [];
  for (const figure of figures) {
    edges.push(figure.getBoundingClientRect().right);
    for (const letter of figure.querySelectorAll("use[href^='#L']")) {
      const {a, b, c, d} = letter.parentNode.getScreenCTM();
      sizes.push(100 * Math.sqrt(Math.abs(a * d - b * c)));
    }
  }
  return [Math.max(...edges), Math.min(...sizes)];
}"""


def opened(open_page: Open, name: str, **options) -> Page:
    """A page without scripts, so that every chart is the static one, and nothing of it folded."""
    page = open_page(name, java_script_enabled=False, **options)
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
    return page


def white_share(page: Page) -> float:
    """The share of a page that is white."""
    width, height = page.evaluate("() => [innerWidth, document.documentElement.scrollHeight]")
    white = 0
    for top in range(0, height, 2000):
        clip = FloatRect(x=0, y=top, width=width, height=min(2000, height - top))
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB"))
        white += int((pixels.min(axis=2) >= 240).sum())
    return white / (width * height)


@pytest.mark.parametrize(("width", "least"), [(400, 8), (360, 7)])
@pytest.mark.parametrize("name", NAMES)
def test_on_a_telephone_no_figure_is_too_wide_and_its_text_can_be_read(name, width, least, open_page):
    page = opened(open_page, name, width=width)
    edge, smallest = page.locator(_DRAWN).evaluate_all(_MEASURES)
    assert edge <= width
    assert smallest >= least  # pixels


@pytest.mark.parametrize("name", NAMES)
def test_in_the_dark_nothing_is_a_white_slab(name, open_page):
    assert white_share(opened(open_page, name, dark=True)) < WHITEST
    assert white_share(opened(open_page, name)) > 10 * WHITEST  # it would be seen


@pytest.mark.parametrize("width", [400, 1200])
def test_panels_lie_beneath_each_other_on_a_telephone_and_as_drawn_elsewhere(width, open_page):
    page = opened(open_page, "reproduction", width=width)
    boxes = [panel.bounding_box() for panel in page.locator(".panels").first.locator("> svg").all()]
    assert len(boxes) > 1
    tops = [box["y"] for box in boxes if box]
    assert len(tops) == len(boxes)
    assert tops == sorted(set(tops)) if width == 400 else len(set(np.round(tops, -1))) < len(tops)


@pytest.mark.slow
def test_paper_is_light_whatever_the_theme(open_page):
    page = opened(open_page, "reproduction", dark=True)
    dark = white_share(page)
    page.emulate_media(media="print", color_scheme="dark")
    assert white_share(page) > 10 * max(dark, WHITEST)
