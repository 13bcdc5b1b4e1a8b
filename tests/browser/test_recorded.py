"""The page of everything that was recorded, as `firstlight reproduce --recorded` writes it."""

import re

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.axe import violations
from tests.browser.explorer import part, ready, sweep
from tests.browser.loading import seconds_to_open
from tests.browser.pages import Pages
from tests.browser.test_loading import SOON
from tests.browser.test_pages import SIZE
from tests.browser.truth import networks

pytestmark = pytest.mark.slow
TALLEST = 8_000  # pixels, folded, 1200 wide
MOST_PAGES = 12  # on paper, as long as nothing is opened


def test_the_whole_record_on_one_page(open_page, pages: Pages, axe: str):
    page: Page = open_page("recorded")
    assert pages.path("recorded").stat().st_size < SIZE
    explorer = ready(page)
    expected = networks(pages.shown["recorded"])
    assert part(explorer, "network").locator("option").count() == len(expected)
    for number in (0, len(expected) - 1):
        part(explorer, "network").select_option(index=number)
        for reading in sweep(explorer, 9):
            assert reading.correlation == pytest.approx(expected[number].correlation(reading.tau), abs=1e-6)
    claims = pages.shown["recorded"].claims
    assert page.locator("[data-claim]").count() == len(claims)
    figures = {f"#{name}" for name in page.evaluate("() => Array.from(document.querySelectorAll('figure'), f => f.id)")}
    assert {link.get_attribute("href") for link in page.locator("[data-role=claim-figure]").all()} <= figures
    assert violations(page, axe) == []


def test_it_opens_soon_and_is_short_as_long_as_it_is_folded(open_page, browser: Browser, pages: Pages):
    assert any(seconds_to_open(browser, pages.path("recorded")) < SOON for _ in range(8))
    page: Page = open_page("recorded")
    ready(page)
    assert page.evaluate("() => document.documentElement.scrollHeight") < TALLEST


def test_the_first_screen_holds_the_sentences_the_counts_the_picture_and_the_table(open_page):
    page: Page = open_page("recorded", width=1200)
    page.set_viewport_size({"width": 1200, "height": 900})
    parts = page.locator(".said, .brief .tally, .brief svg, .headline tbody")
    assert parts.count() == 3 + 1 + 1 + 12
    for part_of_it in parts.all():
        box = part_of_it.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900


def test_on_paper_it_has_twelve_pages_with_every_claim(open_page):
    page: Page = open_page("recorded")
    ready(page)
    pdf = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= MOST_PAGES
    page.emulate_media(media="print")
    for claim in page.locator("[data-claim] > summary").all():
        assert claim.is_visible()
    assert not page.locator("figure[id]:visible").count()
