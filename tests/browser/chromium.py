"""The browser that the pages are tested in: Chromium without a window, wherever it is found."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLE = "FIRSTLIGHT_CHROMIUM"
COMMANDS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


class NoBrowser(Exception):
    """Why the pages cannot be tested here."""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium, closed when the block ends.

    Until then Playwright's event loop counts as running in this thread: nothing else here can start one of its own.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(playwright), args=OPTIONS)
        yield browser
        browser.close()


def _executable(playwright: Playwright) -> str:
    if named := os.environ.get(VARIABLE):
        if not shutil.which(named):
            raise NoBrowser(f"{VARIABLE} is {named!r}; expected an executable Chromium")
        return named
    for command in COMMANDS:
        if found := shutil.which(command):
            return found
    own = playwright.chromium.executable_path
    if not Path(own).is_file():
        raise NoBrowser(
            f"no browser; expected {', '.join(COMMANDS)} on PATH, one named by {VARIABLE}, or Playwright's own "
            "(playwright install chromium)"
        )
    return own
