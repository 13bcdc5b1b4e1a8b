"""A report inside somebody else's page, as a notebook shows it: it works, and neither disturbs the other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page
from tests.browser.conftest import watched
from tests.browser.explorer import EXPLORER, part, read, sweep
from tests.browser.pages import Pages

from firstlight.report.report import Report

OUTER = """<!doctype html><html lang="en"><title>outer</title>
<style>* {{ color: red !important; letter-spacing: 9px }} table, h1, figure {{ display: none }}</style>
<p id="before">before</p><div id="cell">{cell}</div><p id="after">after</p></html>"""


@pytest.fixture
def notebook(browser: Browser, pages: Pages, tmp_path: Path) -> Iterator[Callable[[str], tuple[Page, Frame]]]:
    """Opens a report of what a page shows inside an outer page; returns that page and the frame."""
    with watched(browser, viewport={"width": 1200, "height": 900}) as context:

        def open_in_notebook(name: str) -> tuple[Page, Frame]:
            pages.path(name)
            path = tmp_path / "notebook.html"
            path.write_text(OUTER.format(cell=Report(pages.shown[name], height=700)._repr_html_()))
            page = context.new_page()
            page.goto(path.as_uri())
            return page, page.frames[1]

        yield open_in_notebook


def test_the_report_works_inside_another_page(notebook):
    _, frame = notebook("inspection")
    assert frame.locator("h1").is_visible()
    assert frame.evaluate("() => getComputedStyle(document.querySelector('h1')).letterSpacing") == "normal"
    frame.locator(EXPLORER).scroll_into_view_if_needed()
    frame.wait_for_selector(f"{EXPLORER}[data-ready=true]")
    explorer = frame.locator(EXPLORER)
    readings = sweep(explorer, 5)
    assert readings[0].tau < readings[-1].tau
    part(explorer, "best-fit").click()
    assert readings[0].tau < read(explorer).tau < readings[-1].tau


def test_the_other_page_is_left_as_it_was(notebook):
    page, frame = notebook("comparison")
    frame.locator(EXPLORER).scroll_into_view_if_needed()
    frame.wait_for_selector(f"{EXPLORER}[data-ready=true]")
    assert page.title() == "outer"
    assert page.evaluate("() => typeof Plotly") == "undefined"
    assert page.locator("style").count() == 1
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert box["height"] == 700
    assert frame.evaluate("() => { try { return parent.document.title } catch { return 'closed' } }") == "closed"


def test_links_lead_to_claims_and_to_figures_inside_the_frame(notebook):
    page, frame = notebook("reproduction")
    for links in (".headline a", "details[open] [data-role=claim-figure]"):
        link = frame.locator(links).first
        link.click()
        frame.wait_for_function(
            "id => { const box = document.getElementById(id).getBoundingClientRect(); "
            "return box.top >= 0 && box.top < 100 && document.activeElement.id === id; }",
            arg=(link.get_attribute("href") or "").removeprefix("#"),
        )
    assert page.title() == "outer"
    assert len(page.frames) == 2
    assert frame.locator("h1").count() == 1
