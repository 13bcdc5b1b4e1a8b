"""The pages of the documentation name all that is public, and quote the record as it is."""

import re
from pathlib import Path

import pytest

import firstlight as fl

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_every_public_name_is_in_the_reference():
    pages = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    documented = re.findall(r"^::: (firstlight\.[\w.]+)$", pages, re.MULTILINE)
    assert {path.rpartition(".")[2] for path in documented} >= set(fl.__all__) - {"__version__"}
    overview = (DOCS / "reference" / "index.md").read_text()
    assert {path for path in documented if f"[{path}]" not in overview} == set()


def test_every_public_function_and_class_has_an_example():
    children = {"InputError", "RunError", "SourceError"}  # of FirstlightError, whose example is theirs
    public = set(fl.__all__) - {"__version__"} - children
    assert {name for name in public if ">>>" not in (getattr(fl, name).__doc__ or "")} == set()


@pytest.mark.recorded
def test_figures_quoted_from_the_record_are_in_it():
    """Links of the kind [0.986 ± 0.001](reproducibility/formula.md) say what that page says."""
    quotes = [
        (page.name, *quote)
        for page in PAGES
        for quote in re.findall(r"\[((?:below )?\d[^\]]*)\]\((reproducibility(?:/[\w-]+)?\.md)\)", page.read_text())
    ]
    assert len(quotes) >= 20
    wrong = [quote for quote in quotes if not re.search(rf"(?<![\d.]){re.escape(quote[1])}(?!\d)", _read(quote[2]))]
    assert wrong == []


def _read(name: str) -> str:
    return (DOCS / name).read_text()


def test_every_promise_is_held_by_a_test_that_is_there():
    root = DOCS.parent
    text = (DOCS / "promises.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", text)
    rows = [line for line in text.splitlines() if line.startswith("| ") and "held by" not in line]
    assert len(named) >= len(rows) > 15
    missing = [name for name in named if f"def {name[1] or ''}" not in (root / name[0]).read_text()]
    assert missing == []
    assert [row for row in rows if "`tests/" not in row] == []
