"""Pages open soon, and show what they can where no script runs, and on paper."""

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.explorer import ready
from tests.browser.loading import seconds_to_open
from tests.browser.pages import Pages

SOON = 2.0  # seconds


@pytest.mark.parametrize("name", ["thirty", "comparison-thirty"])
def test_thirty_networks_open_in_two_seconds(name, browser: Browser, pages: Pages):
    """The best of a few: what else the machine does meanwhile is not the page's doing."""
    path = pages.path(name)
    assert any(seconds_to_open(browser, path) < SOON for _ in range(8))


@pytest.mark.parametrize("name", ["several", "components-768", "comparison", "reproduction", "no-claims"])
def test_without_javascript_figures_and_tables_are_there(name, open_page):
    page: Page = open_page(name, java_script_enabled=False)
    assert "no-js" in (page.locator("html").get_attribute("class") or "")
    while (folded := page.locator("details:not([open]) > summary:visible")).count():
        folded.first.click()
    for shown in page.locator("figure, table, [data-role=static] svg").all():
        assert shown.is_visible()
    for role in ("tau", "best-fit", "play", "play-formula", "theme", "finder"):  # which would do nothing
        assert not page.locator(f"[data-role={role}]:visible").count()


def test_in_print_the_static_figures_stand_in(open_page):
    page: Page = open_page("reproduction")
    explorer = ready(page)
    chart, static = explorer.locator("[data-role=profile-chart]"), page.locator("[data-role=static] svg")
    assert chart.is_visible()
    assert not static.first.is_visible()
    page.emulate_media(media="print")
    assert not chart.is_visible()
    for figure in static.all():
        assert figure.is_visible()
