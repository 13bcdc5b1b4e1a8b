"""Names that try to be more than names are shown as they are, and nothing of them runs."""

import pytest
from playwright.sync_api import Page
from tests.browser.explorer import EXPLORER, part, ready
from tests.browser.pages import HOSTILE, Pages

from firstlight.utils.visible import visible

# What the hostile names would add to the page.
ADDED = "img[src=x], [onload], [onerror], a[href*='hostile'], title ~ script ~ title"


@pytest.mark.parametrize("name", ["hostile-inspections", "hostile-comparison", "hostile-reproduction"])
def test_hostile_names_are_inert(name, open_page, pages: Pages):
    page: Page = open_page(name)
    title = page.title()
    scripts = page.locator("script").count()
    if page.locator(EXPLORER).count():
        explorer = ready(page)
        select = part(explorer, "network")
        for number in range(select.locator("option").count() if select.count() else 0):
            select.select_option(index=number)
            part(explorer, "profile-chart").hover()
    for button in page.locator("[data-role=filter]").all()[:5]:
        button.focus()
    assert page.locator(ADDED).count() == 0
    assert page.evaluate("() => document.title") == title != "run"
    assert page.locator("script").count() - scripts in (0, 1)  # Plotly's, unpacked


@pytest.mark.parametrize("name", ["hostile-inspections", "hostile-comparison"])
def test_hostile_names_are_legible(name, open_page):
    # Of what is far below the window, innerText knows nothing.
    text = open_page(name).evaluate(
        "() => { document.querySelectorAll('script').forEach(one => one.remove()); return document.body.textContent; }"
    )
    for hostile in HOSTILE:
        assert visible(hostile) in text


@pytest.mark.parametrize("name", ["nan-profile", "nan-reproduction", "no-claims"])
def test_what_is_no_number_is_not_shown_as_one(name, open_page):
    page: Page = open_page(name)
    assert "undefined" not in page.locator("body").inner_text()
    if page.locator(EXPLORER).count():
        explorer = ready(page)
        assert "NaN" not in part(explorer, "correlation").inner_text()
