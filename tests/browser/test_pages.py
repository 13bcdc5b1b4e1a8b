"""Every page: it opens in silence and alone, is not wider than its window, and keeps nobody out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.axe import violations
from tests.browser.conftest import opening
from tests.browser.explorer import EXPLORER, ready
from tests.browser.pages import QUICK, SHOWN, Pages

SIZE = 6_000_000  # bytes
NARROW = 360  # pixels
# What is seen beyond the window's edges, unless it is in something that scrolls sideways.
_WIDE = """width => {
  const inside = element => element && (/auto|scroll|hidden/.test(getComputedStyle(element).overflowX)
    ? element : element.parentElement === document.body ? null : inside(element.parentElement));
  return [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    const beyond = box.width > 0 && (box.right > width + 0.5 || box.left < -0.5);
    return beyond && !element.closest(".skip") && !inside(element);
  }).map(element => element.outerHTML.slice(0, 120));
}"""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in SHOWN],
)
def page(request: pytest.FixtureRequest, browser: Browser, pages: Pages) -> Iterator[Page]:
    """Opened once for all tests below; that it said and requested nothing is asserted when it is closed."""
    with opening(browser, pages) as open_page:
        page = open_page(request.param)
        if page.locator(EXPLORER).count():
            ready(page)
        yield page


def test_it_is_one_file_of_bounded_size(page: Page):
    assert page.locator("h1").inner_text()
    assert Path(page.url.removeprefix("file://")).stat().st_size < SIZE


def test_identifiers_are_unique_and_links_lead_somewhere(page: Page):
    identifiers = page.evaluate("() => Array.from(document.querySelectorAll('[id]'), element => element.id)")
    assert len(identifiers) == len(set(identifiers))
    links = page.evaluate("() => Array.from(document.querySelectorAll('a'), link => link.getAttribute('href'))")
    assert {link.removeprefix("#") for link in links} <= set(identifiers)


def test_axe_finds_nothing_serious_wide_and_light(page: Page, axe: str):
    assert violations(page, axe) == []


def test_narrow_and_dark_it_fits_and_axe_finds_nothing_serious(page: Page, axe: str):
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW, "height": 800})
    # The charts follow their window with a short delay.
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=NARROW)
    assert page.evaluate(_WIDE, NARROW) == []
    assert violations(page, axe) == []


@pytest.mark.parametrize(
    "name", ["reproduction", "hostile-reproduction", pytest.param("recorded", marks=pytest.mark.slow)]
)
def test_nothing_of_a_reproduction_is_wider_than_a_telephone_even_opened(name, open_page):
    page: Page = open_page(name, width=NARROW)
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    if page.locator(EXPLORER).count():
        ready(page)
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=NARROW)
    assert page.evaluate(_WIDE, NARROW) == []
