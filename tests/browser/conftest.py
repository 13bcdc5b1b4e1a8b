"""A browser for all tests of this folder, and pages opened in it: each must load in silence and without a network."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page
from tests.browser.axe import NoAxe, axe_script
from tests.browser.chromium import NoBrowser, open_browser
from tests.browser.pages import Pages

INSIST = "FIRSTLIGHT_BROWSER"  # set to 1, a missing browser is an error
LOCAL = ("data:", "blob:", "about:")  # what a browser makes up itself
PATIENCE = 60_000  # milliseconds: a guard against hanging, not a measurement


def _unavailable(reason: Exception) -> NoReturn:
    if os.environ.get(INSIST) == "1":
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


# Of this package, not of the session: while Playwright runs, no other test could start an event loop in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        with open_browser() as browser:
            yield browser
    except NoBrowser as reason:
        _unavailable(reason)


@pytest.fixture(scope="package")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="package")
def axe() -> str:
    try:
        return axe_script()
    except NoAxe as reason:
        _unavailable(reason)


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A context whose pages must not say anything, ask anything, or request anything but one file each."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    heard: list[str] = []
    requests: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        heard.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: heard.append(f"error: {error.error}"))
    context.on("dialog", dismissed)
    context.on("request", lambda request: requests.append(request.url))
    yield context
    opened = len(context.pages)
    context.close()
    assert heard == []
    assert len([url for url in requests if not url.startswith(LOCAL)]) == opened


class Open(Protocol):
    """Opens a page by name."""

    def __call__(
        self, name: str, *, dark: bool = False, width: int = 1200, clock: bool = False, **options: Any
    ) -> Page: ...


@contextmanager
def opening(browser: Browser, pages: Pages) -> Iterator[Open]:
    """Pages, each in a context of its own; what they said and requested is judged when all are closed."""
    closing: list[Callable[[], object]] = []

    def open_one(name: str, *, dark: bool = False, width: int = 1200, clock: bool = False, **options: Any) -> Page:
        context = watched(
            browser, color_scheme="dark" if dark else "light", viewport={"width": width, "height": 800}, **options
        )
        page = context.__enter__().new_page()
        closing.append(lambda: context.__exit__(None, None, None))
        if clock:  # which the test may then move on
            page.clock.install()
        page.goto(pages.path(name).as_uri())
        return page

    yield open_one
    for close in closing:
        close()


@pytest.fixture
def open_page(browser: Browser, pages: Pages) -> Iterator[Open]:
    with opening(browser, pages) as open_one:
        yield open_one
