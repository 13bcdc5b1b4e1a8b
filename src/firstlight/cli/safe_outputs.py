"""What a command may write to: nothing that it reads, and no file that is not an earlier output of its kind."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from firstlight.errors import InputError, OutputError
from firstlight.utils.given import user_path
from firstlight.utils.partials import PARTIAL
from firstlight.utils.regular_file import open_file
from firstlight.utils.targets import is_stream
from firstlight.utils.whole_files import check_target

Force = Annotated[
    bool, Parameter(negative=(), help="Replace files that are there and are no earlier output of this command.")
]
_FIGURE = 1 << 24  # bytes of a figure in which its maker is named
_PAGE = b'<!doctype html>\n<html lang="en" class="no-js">\n<head>\n<meta charset="utf-8">\n'
_MOST_FOLDERS = 1000  # below that of such a source
_NAMES_FILES = (".onnx", ".json")  # sources that name other files, which are read as well


class Target(NamedTuple):
    """An option, the file that it names, and whether a file is an earlier output."""

    option: str
    path: Path | None
    is_ours: Callable[[Path], bool]


def json_target(path: Path | None, *first: str, option: str = "--json", indent: int = 1) -> Target:
    """Where JSON goes that begins with one of some keys; indented by one blank, as few others write it."""
    begun = [start + f'"{key}":' for key in first for start in ("{\n" + " " * indent, "[\n {\n  ")]

    def is_ours(path: Path) -> bool:
        head = _beginning(path)
        return head == b"[]\n" or head.startswith(tuple(start.encode() for start in begun))

    return Target(option, path, is_ours)


def html_target(path: Path | None, option: str = "--html") -> Target:
    """Where a page goes."""
    return Target(option, path, lambda path: _beginning(path).startswith(_PAGE))


def csv_target(path: Path | None, *columns: str, option: str = "--csv") -> Target:
    """Where a table goes that begins with these columns."""
    header = ",".join(columns).encode()
    return Target(option, path, lambda path: _beginning(path).startswith(header))


def matrix_target(path: Path | None) -> Target:
    """Where a table goes whose rows are named as its columns."""

    def is_ours(path: Path) -> bool:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            corner, *columns = next(rows)
            return corner == "source" and columns == [row[0] for row in islice(rows, len(columns) + 1)]

    return Target("--csv", path, is_ours)


def drawn_target(option: str, path: Path) -> Target:
    """Where a figure goes: what matplotlib drew before."""
    return Target(option, path, lambda path: b"matplotlib" in _beginning(path, _FIGURE).lower())


def check_outputs(targets: Sequence[Target], inputs: Iterable[object] = (), force: bool = False) -> None:
    """Refuse, before any work, outputs that cannot be written or that would destroy what they are not.

    Raises
    ------
    InputError
        An output is read by the command, by whatever path; is named twice; or holds something else, without force.
    OutputError
        It cannot be written.
    """
    sources = [path for one in inputs if one is not None and os.path.lexists(path := str(user_path(str(one))))]
    given = [(target, target.path) for target in targets if target.path is not None]
    for number, (target, path) in enumerate(given):
        for other, before in given[:number]:
            if _are_one(path, before):
                raise InputError(
                    f"{other.option} and {target.option} are both {path}; expected two files: name another"
                )
        if str(path) != "-":
            _check(target, path, sources, force)


def check_folder(option: str, folder: Path, inputs: Iterable[object] = ()) -> None:
    """Refuse, before any work, what cannot be a folder to write into, or is one that is read.

    Raises
    ------
    InputError
        It is a file, standard output, a folder that the command reads, or cannot be written into.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{option} is {folder}, a file; expected a folder: name one")
    if str(folder) == "-":
        raise InputError(f"{option} is -, but several files are written; expected a folder: name one")
    if any(one is not None and _is_same(folder, user_path(str(one))) for one in inputs):
        raise InputError(f"{option} is {folder}, which this command reads; expected another folder: name one")
    try:
        check_target(folder / f"{PARTIAL}of-this-folder")  # a name that nothing there has
    except OutputError as error:
        raise InputError(
            f"{option} is {folder}, which cannot be written ({error.strerror}); expected a folder that can: name one"
        ) from None


def _check(target: Target, path: Path, sources: list[str], force: bool) -> None:
    reads = f"{target.option} is {path}, which this command reads; expected another file: name one"
    if any(_is_same(path, source) for source in sources):
        raise InputError(reads)
    check_target(path)
    if is_stream(path) or not path.exists():
        return
    with suppress(OSError, ValueError, LookupError, csv.Error, StopIteration):  # it is no text, or no table
        if not path.stat().st_size or target.is_ours(path):
            return
    if any(_is_same(path, file) for source in sources for file in _files_of(source, path)):
        raise InputError(reads)
    if not force:
        raise InputError(
            f"{target.option} is {path}, a file that is no earlier output of this command; expected a new one: name "
            "another, or give --force to replace it"
        )


def _files_of(source: str, path: Path) -> Iterator[str]:
    """The files that are read with a source and may be an output: of a folder, or named in a file."""
    if os.path.isdir(source):
        if os.path.realpath(path).startswith(os.path.join(os.path.realpath(source), "")):
            yield str(path)
        for folder, _, files in islice(os.walk(source), _MOST_FOLDERS):  # a link there may lead to it
            yield from (os.path.join(folder, file) for file in files)
    elif os.path.isfile(source) and source.lower().endswith(_NAMES_FILES):
        with open_file(source) as file:
            named = file.read()
        for place in {os.path.dirname(os.path.abspath(source)), os.path.dirname(os.path.realpath(source))}:
            for folder, _, files in islice(os.walk(place), _MOST_FOLDERS):
                yield from (os.path.join(folder, file) for file in files if os.fsencode(file) in named)


def _are_one(path: Path, other: Path) -> bool:
    """Whether two outputs would be mixed; a device takes any number."""
    if path == other and str(path) == "-":
        return True
    path, other = (Path("/dev/stdout") if str(one) == "-" else one for one in (path, other))
    if path.is_char_device():
        return False
    path, other = (Path(os.path.realpath(one)) for one in (path, other))
    return path == other or path in other.parents or other in path.parents or _is_same(path, other)


def _is_same(path: Path, other: str | Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(path, other)
    return False


def _beginning(path: Path, count: int = 4096) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
