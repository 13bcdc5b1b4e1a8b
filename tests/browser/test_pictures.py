"""Components and filters are the pictures that they are; pointing at one, or moving to it, shows it large."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator
from tests.browser.conftest import Open, opening
from tests.browser.explorer import part, ready
from tests.browser.pages import Pages

import firstlight as fl
from firstlight.patches.spectra import frequencies

Shown = tuple[Locator, fl.Inspection]
_PIXELS = """canvas => Array.from(
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)"""


@pytest.fixture(scope="module", params=["inspection", "components-768"])
def shown(request: pytest.FixtureRequest, browser: Browser, pages: Pages) -> Iterator[Shown]:
    with opening(browser, pages) as open_page:
        explorer = ready(open_page(request.param))
        yield explorer, pages.shown[request.param]


def pixels(canvas: Locator, side: int) -> np.ndarray:
    """The colours of a canvas, (side, side, 3)."""
    return np.array(canvas.evaluate(_PIXELS)).reshape(side, side, 4)[..., :3]


def coloured(picture: np.ndarray) -> np.ndarray:
    """A picture (3, k, k) as colours 0..255, grey being zero."""
    return 255 * (0.5 + 0.5 * picture / np.abs(picture).max()).transpose(1, 2, 0)


def test_every_component_is_drawn_below_the_axis(shown: Shown):
    explorer, found = shown
    buttons = part(explorer, "component-strip").locator("button")
    assert buttons.count() == found.basis.size
    for index in (0, 1, found.basis.size - 1):
        drawn = pixels(buttons.nth(index).locator("canvas"), found.basis.kernel_size)
        np.testing.assert_allclose(drawn, coloured(found.basis.images[index]), atol=0.51)


def test_pointing_at_a_component_says_what_it_is(shown: Shown):
    explorer, found = shown
    frequency = frequencies(found.basis.images)
    buttons, detail = part(explorer, "component-strip").locator("button"), part(explorer, "component-detail")
    for index in (2, 5):
        buttons.nth(index).hover()
        text = detail.inner_text()
        assert f"Component {index + 1} of {found.basis.size}" in text
        assert f"variance {float(f'{found.basis.variance[index]:.3g}'):g}" in text
        assert f"{frequency[index]:.2f} cycles/pixel" in text
        drawn = pixels(detail.locator("canvas"), found.basis.kernel_size)
        np.testing.assert_allclose(drawn, coloured(found.basis.images[index]), atol=0.51)


def test_the_arrow_keys_go_from_picture_to_picture(shown: Shown):
    explorer, found = shown
    strip, detail = part(explorer, "component-strip"), part(explorer, "component-detail")
    explorer.page.mouse.move(0, 0)  # what scrolls below the pointer is pointed at, too
    strip.locator("button[tabindex='0']").focus()
    for key, number in (("Home", 1), ("ArrowRight", 2), ("End", found.basis.size), ("ArrowLeft", found.basis.size - 1)):
        explorer.page.keyboard.press(key)
        assert f"Component {number} of" in detail.inner_text()
    assert strip.locator("button[tabindex='0']").count() == 1


def test_a_filter_is_shown_large_with_its_own_profile(shown: Shown):
    explorer, found = shown
    part(explorer, "filters").scroll_into_view_if_needed()
    filters, detail = part(explorer, "filter"), part(explorer, "filter-detail")
    filters.first.wait_for()
    for index in (0, 7):
        filters.nth(index).hover()
        assert f"Filter {index}" in detail.inner_text()
        drawn = pixels(filters.nth(index).locator("canvas"), found.basis.kernel_size)
        np.testing.assert_allclose(drawn, coloured(found.bank.weight[index]), atol=0.6)
        energy = fl.energy_profile(found.bank.weight[index : index + 1], found.basis).energy
        points = detail.locator("polyline").last.get_attribute("points") or ""
        heights = np.array([-float(y) for y in re.findall(r",(\S+)", points)])
        assert len(heights) == found.basis.size
        assert np.corrcoef(heights, energy)[0, 1] > 0.999
        assert f"most to component {np.argmax(energy) + 1}." in detail.inner_text()


def test_dead_and_duplicate_filters_are_outlined_and_said(open_page: Open):
    explorer = ready(open_page("faulty"))
    part(explorer, "filters").scroll_into_view_if_needed()
    filters = part(explorer, "filter")
    filters.first.wait_for()
    assert explorer.locator("[data-mark]").count() == 4
    expected = {
        3: ("Filter 3, dead, trained", "solid"),
        5: ("Filter 5, duplicate, as 9, trained", "dashed"),
        9: ("Filter 9, duplicate, as 5, trained", "dashed"),
        10: ("Filter 10, trained", "none"),
    }
    for index, (label, outline) in expected.items():
        one = filters.nth(index)
        assert one.get_attribute("aria-label") == label
        assert one.evaluate("one => getComputedStyle(one).outlineStyle") == outline
    legend = part(explorer, "filters-legend")
    assert legend.inner_text() == "Outlined: dead; dashed outline: duplicate."
    filters.nth(3).hover()
    assert part(explorer, "filter-detail").locator("strong").inner_text() == "Filter 3, dead"
