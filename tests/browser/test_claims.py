"""Claims are folded under their verdict, open to all that is known of them, and are found by verdict and by word."""

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.pages import Pages

from firstlight.report.claim_facts import facts

FIRST = "reproduction"


def shown(page: Page) -> list[str]:
    """The ids of the claims that can be seen."""
    return [claim.get_attribute("data-claim") or "" for claim in page.locator("[data-claim]:visible").all()]


def told(page: Page) -> str:
    return page.locator("[data-role=shown]").inner_text()


def button(page: Page, name: str) -> Locator:
    return page.locator("[data-verdicts]", has_text=name)


@pytest.mark.parametrize("name", [FIRST, "nan-reproduction", "hostile-reproduction", "no-claims"])
def test_every_claim_opens_to_all_that_is_known_of_it(name, open_page, pages: Pages):
    page: Page = open_page(name)
    claims = pages.shown[name].claims
    folded = page.locator("details[data-claim]").all()
    assert [one.get_attribute("data-claim") for one in folded] == [claim.id for claim in claims]
    for claim, one in zip(claims, folded, strict=True):
        line = one.locator("summary").text_content() or ""
        assert all(said in line for said in (claim.id, claim.title, claim.verdict))
        known = one.text_content() or ""
        assert all(text in known for texts in facts(claim).values() for text in texts)
        assert "firstlight reproduce" in known


def test_one_verdict_alone_can_be_shown(open_page, pages: Pages):
    page: Page = open_page(FIRST)
    claims = pages.shown[FIRST].claims
    assert shown(page) == []
    for name, verdicts in (("Not reproduced", ("not reproduced", "violated")), ("Not tested", ("not tested",))):
        button(page, name).click()
        expected = [claim.id for claim in claims if claim.verdict in verdicts]
        assert shown(page) == expected
        assert told(page) == f"{len(expected)} of {len(claims)} claims shown."
        assert str(len(expected)) in button(page, name).inner_text()
        assert button(page, name).get_attribute("aria-pressed") == "true"
    button(page, "All").click()
    assert shown(page) == []  # folded as before
    assert page.locator("[aria-pressed=true]").count() == 1


def test_words_are_sought_in_all_that_is_known(open_page, pages: Pages):
    page: Page = open_page(FIRST)
    for words, expected in (("f1", "F1"), ("ResNet20  random", "F3.resnet20"), ("FORMULA fits", "F2"), ("banks", "F5")):
        page.locator("#search").fill(words)
        found = shown(page)
        assert expected in found
        assert told(page) == f"{len(found)} of {len(pages.shown[FIRST].claims)} claims shown."
        for name in found:
            known = page.locator(f'details[data-claim="{name}"], .experiment > summary').all_text_contents()
            assert all(word.lower() in " ".join(known).lower() for word in words.split())
    button(page, "Not tested").click()
    assert set(shown(page)) <= set(found)
    assert page.locator("[data-claim]:visible:not([data-verdict='not tested'])").count() == 0


def test_what_matches_nothing_is_said_to(open_page):
    page: Page = open_page(FIRST)
    hostile = "<img src=x onerror=alert(1)>"
    page.locator("#search").fill(hostile)
    assert shown(page) == []
    assert f"matches “{hostile}”: try other words, or All" in told(page)
    page.locator("#search").fill("")
    assert page.locator(".experiment:visible").count() == 1


def test_the_keyboard_reaches_filters_search_and_claims(open_page):
    page: Page = open_page(FIRST)
    page.locator("nav a[href='#claims']").click()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "formula":
            page.keyboard.press("Enter")
    assert [name.split()[0] for name in reached] == [
        *("All", "Not", "Inconclusive", "Not", "search", "Open", "formula", "claim-F1")
    ]
    page.keyboard.press("Enter")
    assert page.locator("#claim-F1 + dl").is_visible()


def test_everything_can_be_opened_and_folded_again(open_page):
    page: Page = open_page(FIRST)
    page.locator("[data-role=open-all]").click()
    expect(page.locator("details:not([open])")).to_have_count(0)
    page.locator("[data-role=open-all]").click()
    expect(page.locator("details[open]:not(.figures)")).to_have_count(0)
