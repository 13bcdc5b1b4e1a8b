"""The interactive pages: how large they are, and how soon they open in Chromium."""

import tempfile
import time
from pathlib import Path

from tests.browser.chromium import open_browser
from tests.browser.loading import seconds_to_open
from tests.browser.pages import Pages

from benchmarks.measure import table

REPEATS = 5
NAMES = {
    "inspection": "inspect, 1 network",
    "thirty": "inspect, 30 networks",
    "comparison-thirty": "compare, 31 networks",
    "components-768": "inspect, 768 components",
    "recorded": "reproduce, everything recorded",
}


def run() -> str:
    """Make every page, and open each in a new window; the best of five."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        pages = Pages(Path(folder))
        for name, what in NAMES.items():
            start = time.perf_counter()
            path = pages.path(name)
            made = time.perf_counter() - start
            opened = min(seconds_to_open(browser, path) for _ in range(REPEATS))
            rows.append([what, f"{path.stat().st_size / 1e6:.2f}", f"{made:.1f}", f"{opened:.2f}"])
    return table(["page", "MB", "s to measure and write", "s to open (load and first paint)"], rows)
