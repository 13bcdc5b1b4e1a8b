"""The notebooks with their outputs are what their sources give, and say nothing of the machine that ran them."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tools.notebooks import run, sources, unrun

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import examples  # noqa: E402  # pyright: ignore[reportMissingImports]

SOURCES = sources()
QUICK = ("beyond_eq3", "gallery", "recorded_claims")  # which train nothing


def written(source: Path) -> Any:
    return nbformat.read(source.with_suffix(".ipynb"), 4)


def texts(cell: Any) -> list[str]:
    """What the outputs of a cell say: streams and tables as words, and of a picture that it is one."""
    return [_text(output) for output in cell.get("outputs", ())]


def _text(output: Any) -> str:
    data = output.get("data", {})
    if "image/svg+xml" in data:
        return "picture"
    if "text/html" in data:  # without what styles it, and marks that are drawn anew each time
        html = re.sub(r"<(style|svg).*?</\1>", "", data["text/html"], flags=re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", html).split())
    return re.sub(r" at 0x[0-9a-f]+", "", data.get("text/plain", output.get("text", "")))


def test_every_notebook_is_written_and_none_is_left_over():
    assert {path.stem for path in (DOCS / "notebooks").glob("*.ipynb")} == {path.stem for path in SOURCES}
    assert len(SOURCES) >= 2


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_has_the_cells_of_its_source_with_outputs(source: Path):
    notebook = written(source)
    nbformat.validate(notebook)
    expected = [(cell.cell_type, cell.source, cell.metadata) for cell in unrun(source).cells]
    assert [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells] == expected
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "pip" in code[0].source
    for cell in code:
        assert ("picture" in texts(cell)) == ("alt" in cell.metadata)
        assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in cell.outputs)
    assert not re.search(rf"{DOCS.parent}|/home/|/tmp/|/root/|site-packages", nbformat.writes(notebook))


@pytest.mark.recorded
@pytest.mark.parametrize(
    "source",
    [pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in SOURCES],
)
def test_a_notebook_shows_what_it_shows_when_it_is_run(source: Path):
    for shown, made in zip(written(source).cells, run(source).cells, strict=True):
        ours, theirs = texts(made), texts(shown)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert examples.same(other, one), f"{other}\nis now\n{one}\nif that is right: make notebooks"


def test_a_figure_of_the_gallery_takes_three_lines():
    (gallery,) = [path for path in SOURCES if path.stem == "gallery"]
    figures = [cell for cell in unrun(gallery).cells if "alt" in cell.metadata]
    assert len(figures) >= 10
    assert all(len(ast.parse(cell.source).body) == 3 for cell in figures)
    assert all(len(cell.source.splitlines()) == 3 for cell in figures)


def test_what_needs_no_torch_does_not_import_it():
    (recorded,) = [path for path in SOURCES if path.stem == "recorded_claims"]
    assert "torch" not in "\n".join(cell.source for cell in unrun(recorded).cells if cell.cell_type == "code")
