"""The rooms of the source and the arrows between them, drawn from the imports: `python -m tools.rooms CONTRIBUTING.md`.

The rooms and their order are those of the layers contract in `pyproject.toml`; what a room is for, and which of its
modules to read first, says its docstring. An arrow that others imply is left out of the drawing, and marked in the
table beneath it.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import grimp

from firstlight.utils.whole_files import write_text

PACKAGE = "firstlight"
ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- rooms: begin (make rooms) -->", "<!-- rooms: end -->"

Arrow = tuple[str, str]  # who imports, and what


def rooms() -> list[str]:
    """The rooms, from the highest to the lowest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    return layers["layers"]


def about(room: str) -> tuple[str, str]:
    """What a room is for, and the module to read first: out of its docstring."""
    folder = ROOT / "src" / PACKAGE / room
    alone = folder.with_suffix(".py")
    words = ast.get_docstring(ast.parse((folder / "__init__.py" if folder.is_dir() else alone).read_text())) or ""
    first = re.search(r"^Read first: `(.+)`\.$", words, re.MULTILINE)
    return words.splitlines()[0], f"{room}/{first[1]}" if first else alone.name


def arrows() -> set[Arrow]:
    """Which rooms import from which others; what only type checkers import counts, too."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    pairs = {
        (module.split(".")[1], other.split(".")[1])
        for module in graph.modules - {PACKAGE}
        for other in graph.find_modules_directly_imported_by(module) - {PACKAGE}
    }
    return {(start, end) for start, end in pairs if start != end}


def implied(arrow: Arrow, others: Collection[Arrow]) -> bool:
    """Whether an arrow's end can be reached by other arrows."""
    reached: set[str] = set()
    waiting = [end for start, end in others if start == arrow[0] and end != arrow[1]]
    while waiting:
        room = waiting.pop()
        if room not in reached:
            reached.add(room)
            waiting += [end for start, end in others if start == room]
    return arrow[1] in reached


def drawing(order: Sequence[str], found: Collection[Arrow]) -> str:
    """The rooms as a Mermaid diagram, then as a table: a row imports from the columns that are marked.

    Parameters
    ----------
    order : sequence of str
        From the highest room to the lowest: a mark left of the diagonal is an import upwards.
    found : collection of (str, str)
    """
    lines = ["```mermaid", "flowchart TD"]
    drawn = {arrow for arrow in found if not implied(arrow, found)}
    lines += [f"    {start} --> {end}" for start in order for end in order if (start, end) in drawn]
    width = max(map(len, order))
    table = [" " * width + "".join(f"{name[:4]:>6}" for name in order)]
    for row in order:
        marks = ["·" if row == column else "x" if (row, column) in found else "" for column in order]
        table.append(f"{row:<{width}}" + "".join(f"{mark:>6}" for mark in marks))
    return "\n".join([*lines, "```", "", "```text", *map(str.rstrip, table), "```"])


def section() -> str:
    """What CONTRIBUTING shows between its markers."""
    order = rooms()
    described = [f"| `{room}` | {purpose} | `{first}` |" for room in order for purpose, first in [about(room)]]
    head = ["| room | what for | read first |", "|---|---|---|"]
    return "\n".join([*head, *described, "", drawing(order, arrows())])


def renewed(page: str) -> str:
    """A page with the section as it is now."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{section()}\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_text(target, renewed(target.read_text()))
