"""fl.Report: what it takes, what it makes of it, and where it writes it."""

import html
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import firstlight as fl
from firstlight.errors import InputError
from firstlight.inspection.not_inspected import Failure
from firstlight.report.report import Report

WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 3, 3))


@pytest.fixture(scope="module")
def found() -> fl.Inspection:
    return fl.inspect(WEIGHT)


@pytest.fixture(scope="module")
def report(found) -> Report:
    return Report(found, height=321)


class Frames(HTMLParser):
    """All elements of a text, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_what_it_shows(found, report):
    many = [found, *(Failure(f"{name}.pt", f"{name}.pt does not exist") for name in ("a", "b", "c"))]
    comparison = fl.compare([WEIGHT, WEIGHT[::-1]], found.basis)
    reproduction = fl.recorded("label-correlation", console=Console(quiet=True))
    assert repr(report) == "Report(inspection of filters)"
    assert repr(Report(many)) == "Report(inspection of filters, a.pt, b.pt and 1 more)"
    assert repr(Report(comparison)) == "Report(comparison of 2 first layers)"
    assert repr(Report(reproduction)) == f"Report({reproduction.summary})"
    assert "c.pt does not exist" in Report(many).html
    assert "How alike the first layers of 2 networks are" in Report(comparison).html
    page = Report(reproduction).html
    assert all(claim.title in html.unescape(page) for claim in reproduction.claims)


def test_the_page_says_what_made_it(found, report):
    assert f"firstlight {fl.__version__}" in report.html
    assert "fl.Report(fl.inspect(...))" in report.html
    assert "by hand &lt;3" in Report(found, about="by hand <3").html


def test_in_a_notebook_it_is_one_frame_that_holds_the_whole_page(report):
    ((tag, attributes),) = Frames(report._repr_html_()).elements
    assert tag == "iframe"
    assert attributes["srcdoc"] == report.html
    assert attributes["height"] == "321"
    assert attributes["title"] == "firstlight: inspection of filters"
    assert "allow-same-origin" not in (attributes["sandbox"] or "")


def test_it_is_written_whole_or_not_at_all(report, tmp_path):
    path = tmp_path / "new" / "report.html"
    report.save_as_html(str(path))
    assert path.read_text() == report.html
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match=r"path is the folder .*; expected a file"):
        report.save_as_html(tmp_path)
    with pytest.raises(InputError, match=r"path is '.*/report\.html/x'; expected a file that can be written \(.*\)"):
        report.save_as_html(path / "x")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (None, "was given None; expected what inspect, compare or reproduce returned"),
        ("net.pt", "was given 'net.pt'; expected what inspect"),
        (WEIGHT, "was given a ndarray; expected what inspect"),
        ([], "was given a list with nothing in it; expected"),
        ([WEIGHT, "x"], "was given a list with ndarray, str; expected"),
        ([Failure("a.pt", "a.pt is empty")], "nothing could be inspected: a.pt is empty"),
    ],
)
def test_anything_else_is_refused(shown, said):
    with pytest.raises(InputError, match=said):
        Report(shown)


@pytest.mark.parametrize("height", [0, -5, 99, 600.0, "600", True])
def test_a_height_that_is_none_is_refused(found, height):
    with pytest.raises(InputError, match=r"height is .*; expected"):
        Report(found, height=height)


OPEN = """
import numpy as np, firstlight as fl
from firstlight.errors import RunError
from firstlight.report.report import Report
try:
    print(Report(fl.inspect(np.ones((4, 3, 3, 3)))).open_in_browser())
except RunError as error:
    print(error)
"""


@pytest.mark.parametrize("works", [True, False])
def test_it_opens_in_the_browser_that_the_system_names(works, tmp_path):
    """A program stands for the browser: what it was given to open is a whole page, where one can be opened."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n' if works else "#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    others = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    environment = {**others, "BROWSER": f"{program} %s", "TMPDIR": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    said = done.stdout.strip()
    if works:
        assert (tmp_path / "opened").read_text().strip() == Path(said).as_uri()
        assert Path(said).read_text().startswith("<!doctype html>")
    else:
        assert said.startswith("no web browser could be started; expected one to open ")
        assert "report.html" in said
