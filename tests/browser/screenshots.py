"""Pictures of all pages, for people to look at: `python -m tests.browser.screenshots [NAME ...]`.

Each page in light and dark, 400 pixels wide, and as on paper, into `test-screenshots/`, which git ignores.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser
from tests.browser.chromium import open_browser
from tests.browser.explorer import EXPLORER, ready
from tests.browser.pages import SHOWN, Pages

FOLDER = Path(__file__).parents[2] / "test-screenshots"
TALLEST = 12_000  # pixels; what is further down is left out
LOOKS = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 400, "height": 800}},
    "print": {"viewport": {"width": 800, "height": 1100}},
}


def take(browser: Browser, page_file: Path, name: str) -> None:
    """Pictures of one page."""
    for look, options in LOOKS.items():
        context = browser.new_context(**options, reduced_motion="reduce")
        page = context.new_page()
        page.goto(page_file.as_uri())
        if page.locator(EXPLORER).count():
            ready(page)
        if look == "print":
            page.emulate_media(media="print")
        # A window as tall as the page: everything is in view, so that everything is drawn.
        height = min(TALLEST, page.evaluate("() => document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": options["viewport"]["width"], "height": height})
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / f"{name}-{look}.png")
        context.close()


def main(names: list[str]) -> None:
    """Pictures of the named pages; of all where none is named."""
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        pages = Pages(Path(folder))
        for name in names or SHOWN:
            take(browser, pages.path(name), name)
            print(f"{FOLDER.name}/{name}-*.png", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
