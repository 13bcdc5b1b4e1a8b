"""Cards in somebody else's page, light or dark: readable, beside each other, and without a request or a script."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from tests.browser.conftest import watched

import firstlight as fl

EVIL = '"><script>alert(1)</script>\udcff <img src=x onerror=alert(1)> \u202eevil'
PAGE = """<!doctype html><html lang="en"><title>notebook</title><meta charset="utf-8"><style>
body {{ background: {background}; color: {text}; font: 13px sans-serif; margin: 10px }}
td {{ text-align: right }}</style>{cards}</html>"""
THEMES = {"light": ("rgb(255, 255, 255)", "rgb(0, 0, 0)"), "dark": ("rgb(17, 17, 17)", "rgb(225, 225, 225)")}


def cards() -> list[str]:
    rng = np.random.default_rng(0)
    banks = [fl.FilterBank(rng.normal(size=(8, 3, 3, 3)), source=name) for name in (EVIL, "b")]
    basis = fl.patch_statistics().basis(banks[0])
    profile = fl.energy_profile(banks[0], basis)
    things = (fl.inspect(banks[0]), fl.compare(banks), profile, fl.fit_formula(profile, basis), basis, banks[0])
    return [thing._repr_html_() for thing in (*things, fl.recorded("label-correlation"))]


@pytest.mark.parametrize("theme", THEMES)
def test_cards_take_the_colours_of_the_page(browser: Browser, tmp_path: Path, theme: str):
    background, colour = THEMES[theme]
    path = tmp_path / "cards.html"
    shown = cards()
    path.write_text(PAGE.format(background=background, text=colour, cards="".join(shown)), encoding="utf-8")
    with watched(browser, viewport={"width": 1000, "height": 800}) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("body > .firstlight").count() == len(shown)
        assert page.locator("script, img").count() == 0
        assert page.locator("svg").count() == len(shown) - 1
        fills = page.evaluate("() => [...document.querySelectorAll('svg text')].map(t => getComputedStyle(t).fill)")
        assert fills.count(colour) > 40
        assert set(fills) <= {colour, "rgb(1, 1, 1)", "rgb(254, 254, 254)"}  # the latter two on a heat map's cells
        ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)) > 10
        aligned = page.evaluate("() => [...document.querySelectorAll('td')].map(e => getComputedStyle(e).textAlign)")
        assert set(aligned) == {"left"}
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 1000
        page.locator("details").first.locator("summary").click()
        assert page.locator("details td").first.is_visible()
        assert re.search(r"\d reproduced, \d violated", page.locator("summary").first.inner_text())
