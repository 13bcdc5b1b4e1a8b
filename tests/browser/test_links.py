"""Every link within a page brings its target to the top and focuses it, whatever is folded; and there is a way back."""

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.conftest import opening
from tests.browser.pages import Pages

NEAR = 100  # pixels from the top of the window
WIDTHS = (1200, pytest.param(400, marks=pytest.mark.slow))
# Every link is followed twice, from where it stands, first with everything else folded.
_FOLLOW = """async near => {
  const settled = () => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 60)));
  const missed = [];
  const links = [...document.querySelectorAll('a[href^="#"]')];
  for (const link of links) {
    for (const one of document.querySelectorAll("details")) one.open = one.matches(".figures") || one.contains(link);
    const target = document.getElementById(link.getAttribute("href").slice(1));
    for (const time of ["first", "second"]) {
      link.scrollIntoView({block: "center"});
      link.focus();
      await settled();
      link.click();
      await settled();
      const top = target.getBoundingClientRect().top;
      const parent = target.closest("details");
      if (!(top > -near && top < near) || document.activeElement !== target || (parent && !parent.open)) {
        const focused = document.activeElement.outerHTML.slice(0, 80);
        missed.push(`${link.getAttribute("href")}, ${time}: ${top}, focus on ${focused}`);
      }
    }
  }
  return [links.length, missed];
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "name",
    ["reproduction", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hostile-inspections", "recorded"))],
)
def test_every_link_lands_at_its_target_also_the_second_time(name, width, browser: Browser, pages: Pages):
    with opening(browser, pages) as open_page:
        page: Page = open_page(name, width=width)
        followed, missed = page.evaluate(_FOLLOW, NEAR)
        assert missed == []
        assert followed > 3


def test_the_way_back_leads_to_where_the_link_is(open_page):
    page: Page = open_page("reproduction")
    page.locator(".headline a").first.click()
    assert page.evaluate("() => scrollY") > 500
    page.go_back()
    page.wait_for_function("() => scrollY < 100")
    page.go_forward()
    page.wait_for_function("() => Math.abs(document.querySelector(':target').getBoundingClientRect().top) < 100")


@pytest.mark.parametrize("scripts", [True, False])
def test_an_address_leads_to_a_claim(scripts, open_page, pages: Pages):
    page: Page = open_page("reproduction", java_script_enabled=scripts)
    page.goto(f"{pages.path('reproduction').as_uri()}#claim-F1")
    claim = page.locator("#claim-F1")
    assert claim.is_visible()
    box = claim.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < NEAR
    assert page.locator("#claim-F1 + dl").is_visible() == scripts


def test_a_link_to_what_is_filtered_away_shows_everything_again(open_page):
    page: Page = open_page("reproduction")
    page.locator("#search").fill("F5")
    assert not page.locator("#claim-F1").is_visible()
    page.locator(".headline a[href='#claim-F1']").click()
    assert page.locator("#claim-F1 + dl").is_visible()
    assert page.locator("#search").input_value() == ""


def test_what_is_sought_in_the_page_is_unfolded(open_page, pages: Pages):
    """As the browser does when it finds words, or follows an address that names some."""
    page: Page = open_page("reproduction")
    page.goto(f"{pages.path('reproduction').as_uri()}#:~:text=fitted%20likewise")
    page.wait_for_function("() => document.querySelector('.claim[open]')")
