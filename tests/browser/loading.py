"""How long a page takes to open."""

from pathlib import Path

from playwright.sync_api import Browser

# Seconds from the start of the navigation until everything is loaded and something is painted.
_OPENED = """() => new Promise(resolve => {
  const look = () => {
    const painted = performance.getEntriesByName("first-contentful-paint")[0];
    const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
    painted && loaded ? resolve(Math.max(painted.startTime, loaded) / 1000) : setTimeout(look, 10);
  };
  look();
})"""


def seconds_to_open(browser: Browser, path: Path) -> float:
    """Until a page, in a window of its own, is loaded and its first content is painted."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.goto(path.as_uri())
    seconds = page.evaluate(_OPENED)
    context.close()
    return seconds
