"""Light and dark: both legible, figures too."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page
from tests.browser.explorer import ready

LEGIBLE = 4.5  # contrast, of WCAG AA
_COLOURS = """() => {
  const style = getComputedStyle(document.body);
  const root = getComputedStyle(document.documentElement);
  const clear = colour => colour === "rgba(0, 0, 0, 0)";
  return [style.color, clear(style.backgroundColor) ? root.backgroundColor : style.backgroundColor];
}"""
# Of every element that has text of its own its colour, and that of whatever is behind it.
_TEXTS = """() => {
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : colour;
  };
  const seen = new Map();
  for (const element of document.querySelectorAll("body *:not(svg *, script, style)")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.disabled) continue;
    const colours = [getComputedStyle(element).color, behind(element)];
    seen.set(colours.join(), [...colours, element.outerHTML.slice(0, 100)]);
  }
  return [...seen.values()];
}"""


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB colours, (..., 3) in 0..255, as WCAG defines it."""
    linear = rgb / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Contrast of two luminances, 1 to 21."""
    return (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)


def body(page: Page) -> tuple[float, float]:
    """Luminance of the page's text and of what is behind it."""
    text, behind = map(of_colour, page.evaluate(_COLOURS))
    return text, behind


def of_colour(colour: str) -> float:
    """Luminance of a colour as CSS computes it."""
    numbers = colour.partition("(")[2].rstrip(")").split(",")[:3]
    return float(luminance(np.array([float(part) for part in numbers])))


def inked(figure: Locator) -> float:
    """The share of a figure's pixels that stand out legibly from its background."""
    picture = Image.open(io.BytesIO(figure.screenshot())).convert("RGB")
    pixels = np.asarray(picture).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    behind = luminance(colours[np.argmax(counts)].astype(np.float64))
    return float(counts[contrast(luminance(colours.astype(np.float64)), behind) >= LEGIBLE].sum() / counts.sum())


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_follows_the_system_and_its_button_overrides_that(dark, open_page):
    page: Page = open_page("reproduction", dark=dark)
    button = page.locator("[data-role=theme]")
    for expected in (dark, not dark, dark):
        text, behind = body(page)
        assert (text > behind) == expected
        assert contrast(np.array(text), np.array(behind)) >= 7
        button.click()


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_of_a_reproduction_is_legible(dark, open_page):
    page: Page = open_page("reproduction", dark=dark)
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    ready(page)
    texts = page.evaluate(_TEXTS)
    assert len(texts) > 8
    poor = [text for text in texts if contrast(np.array(of_colour(text[0])), np.array(of_colour(text[1]))) < LEGIBLE]
    assert poor == []


@pytest.mark.parametrize(
    "name", ["reproduction", *(pytest.param(name, marks=pytest.mark.slow) for name in ("inspection", "comparison"))]
)
def test_static_figures_are_as_legible_in_the_dark(name, open_page):
    shares = []
    for dark in (False, True):
        page: Page = open_page(name, dark=dark, java_script_enabled=False)
        figures = page.locator("svg:visible").all()
        shares.append([inked(figure) for figure in figures[:4]])
    light, in_the_dark = np.array(shares)
    assert (light > 0).all()
    assert (in_the_dark > 0.6 * light).all()


def test_the_chart_changes_with_the_theme(open_page):
    page: Page = open_page("inspection")
    ready(page)
    chart = page.locator("[data-role=profile-chart]").first
    light = inked(chart)
    page.locator("[data-role=theme]").click()
    page.wait_for_timeout(300)
    assert inked(chart) > 0.5 * light
