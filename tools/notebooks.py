"""The notebooks with their outputs, `docs/notebooks/NAME.ipynb`, from the plain Python that they are kept as.

`make notebooks` runs every `docs/notebooks/NAME.py` (jupytext, percent format) in a fresh kernel, and writes what it
shows; `python -m tools.notebooks FILE ...` those that are named.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

from firstlight.utils.whole_files import write_text

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def sources() -> list[Path]:
    """The notebooks as plain Python."""
    return sorted(FOLDER.glob("*.py"))


def unrun(path: Path) -> Any:
    """A notebook without outputs, its cells numbered and nothing in it that only jupytext needs."""
    notebook = jupytext.read(path)
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number}"
    return notebook


def run(path: Path) -> Any:
    """A notebook with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised.
    """
    notebook = unrun(path)
    quiet = ["--IPKernelApp.log_level=ERROR"]  # it would warn of its port on the loopback interface
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", extra_arguments=quiet, record_timing=False)
    client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)  # not which Python ran it
    for cell in notebook.cells:
        if cell.cell_type == "code":  # without the progress that is displayed where something takes long
            cell.outputs = [output for output in cell.outputs if output.output_type != "display_data"]
    return notebook


def write(paths: Sequence[Path]) -> None:
    """Run notebooks, and write each beside its source."""
    for path in paths:
        write_text(path.with_suffix(".ipynb"), nbformat.writes(run(path)) + "\n")


if __name__ == "__main__":
    write([Path(argument) for argument in sys.argv[1:]] or sources())
