"""Claims lead to the figures that show them."""

import pytest
from playwright.sync_api import Page
from tests.browser.pages import Pages

LINK = "[data-role=claim-figure]"


@pytest.mark.parametrize("name", ["reproduction", "nan-reproduction", "hostile-reproduction", "no-claims"])
def test_every_claim_has_a_row_with_its_verdict_in_words(name, open_page, pages: Pages):
    page: Page = open_page(name)
    claims = pages.shown[name].claims
    rows = page.locator("tr[data-claim]")
    shown = {row.get_attribute("data-claim"): row.text_content() or "" for row in rows.all()}
    assert set(shown) == {claim.id for claim in claims}
    for claim in claims:
        assert claim.verdict in shown[claim.id]
        assert claim.title in shown[claim.id]


def test_their_links_lead_to_figures_that_come_into_view(open_page, pages: Pages):
    page: Page = open_page("reproduction")
    links = page.locator(LINK)
    assert links.count() >= sum(bool(claim.values) for claim in pages.shown["reproduction"].claims)
    targets = {link.get_attribute("href") or "" for link in links.all()}
    assert targets
    for target in targets:
        page.evaluate("() => window.scrollTo(0, 0)")
        page.locator(f'{LINK}[href="{target}"]').first.click()
        figure = page.locator(f'figure[id="{target.removeprefix("#")}"]')
        assert figure.count() == 1
        page.wait_for_function(
            """figure => {
              const box = figure.getBoundingClientRect();
              return box.height > 0 && box.top < innerHeight && box.bottom > 0;
            }""",
            arg=figure.element_handle(),
        )
