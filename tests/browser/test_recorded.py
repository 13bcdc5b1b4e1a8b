"""The page of everything that was recorded, as `firstlight reproduce --recorded` writes it."""

import pytest
from playwright.sync_api import Page
from tests.browser.axe import violations
from tests.browser.explorer import part, ready, sweep
from tests.browser.pages import Pages
from tests.browser.test_claims import LINK
from tests.browser.test_pages import SIZE
from tests.browser.truth import networks

pytestmark = pytest.mark.slow


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
    assert page.locator("tr[data-claim]").count() == len(claims)
    figures = {f"#{name}" for name in page.evaluate("() => Array.from(document.querySelectorAll('figure'), f => f.id)")}
    assert {link.get_attribute("href") for link in page.locator(LINK).all()} <= figures
    assert violations(page, axe) == []
