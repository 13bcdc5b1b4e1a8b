"""The notebooks, kept as plain Python (jupytext, percent format), are run and become pages with their outputs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def execute(path: Path) -> Any:
    """Run a notebook in a fresh kernel; returns it with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised.
    """
    notebook = jupytext.read(path)
    quiet = ["--IPKernelApp.log_level=ERROR"]  # it would warn of its port on the loopback interface
    NotebookClient(notebook, timeout=300, kernel_name="python3", extra_arguments=quiet).execute()
    return notebook


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and its pictures."""
    for path in sorted(NOTEBOOKS.glob("*.py")):
        pictures: dict[str, str] = {}
        parts = [part for cell in execute(path).cells for part in _markdown(cell, path.stem, pictures)]
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content="\n\n".join(parts)))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def _markdown(cell: Any, stem: str, pictures: dict[str, str]) -> Iterator[str]:
    """A cell as Markdown; pictures are put aside under their names."""
    if cell.cell_type != "code":
        yield cell.source
        return
    if "hide" in cell.metadata.get("tags", ()):
        return
    yield f"```python\n{cell.source}\n```"
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/svg+xml" in data:
            name = f"{stem}_{len(pictures) + 1}.svg"
            pictures[name] = data["image/svg+xml"]
            yield f"![{cell.metadata.get('alt', 'The figure that this code draws')}]({name})"
        elif "text/html" in data:  # a table; scoped styles are no part of it
            yield re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        elif text := data.get("text/plain", output.get("text", "")):
            yield f"```text\n{text.rstrip()}\n```"
