"""The house: every room and module has a name of its own, says what it is for, and stays small enough to read."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import firstlight

SOURCE = Path(firstlight.__file__).parent
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
MOST_LINES = 300
SAME_EVERYWHERE = {"__init__.py"}
SECTIONS = {"Parameters", "Other Parameters", "Attributes"}


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def kind_of_family(path: Path) -> str | None:
    """The family whose members are alike on purpose: a module of the same name in each of its packages."""
    match path.relative_to(SOURCE).parts:
        case ("cli", _):
            return "a command is called as what it works on"
        case ("experiments", _, "claims.py" | "figures.py"):
            return "the parts of an experiment"
        case ("filters", "formats", _, "reader.py" | "graph.py"):
            return "the parts of a format"
    return None


def shared_names(paths: list[Path]) -> dict[str, list[str]]:
    """File names that modules of different rooms share, and these modules; families count once, the commands not."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if path.name not in SAME_EVERYWHERE and not kind_of_family(path):
            found[path.name].append(name(path))
    return {shared: sorted(those) for shared, those in found.items() if len(those) > 1}


def untyped(source: str) -> Iterator[tuple[int, str]]:
    """Line of an object and what its numpydoc sections name without a type, or with words in its place."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            parts = re.split(r"\n(\w[\w ]*)\n-{3,}\n", text)
            for title, body in zip(parts[1::2], parts[2::2], strict=True):
                if title in SECTIONS:
                    for entry in re.findall(r"^\S.*", body, re.MULTILINE):
                        if not re.fullmatch(r"\*\*\w+|[\w*, ]+ : .*[^.;]", entry):
                            yield node.lineno, entry


def test_the_top_holds_only_what_every_room_uses():
    top = {path.name for path in SOURCE.iterdir() if path.is_file()}
    assert top == {"__init__.py", "__init__.pyi", "errors.py", "profile.py", "py.typed"}


def test_no_two_modules_of_different_rooms_share_a_name():
    assert shared_names(MODULES) == {}


def test_shared_names_are_found():
    paths = ["utils/store.py", "training/store.py", "cli/store.py", "images/other.py", "utils/__init__.py"]
    assert shared_names([SOURCE / path for path in paths]) == {"store.py": ["training/store.py", "utils/store.py"]}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_for_and_is_short(path: Path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name != "cli"], ids=name)
def test_what_a_docstring_names_has_a_type(path: Path):
    """But for commands: there the help shows the types."""
    assert list(untyped(path.read_text())) == []


def test_untyped_entries_are_found():
    source = '''
def read(path, size, **options):
    """Read.

    Parameters
    ----------
    path
        Where.
    size : how much, in bytes.
    count : int, optional
    **options
        Others.

    Returns
    -------
    bytes
    """
'''
    assert list(untyped(source)) == [(2, "path"), (2, "size : how much, in bytes.")]
