"""Folders of image files, and single ones."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from firstlight.errors import SourceError
from firstlight.images.streams.choice import Choice
from firstlight.images.streams.encoded import Encoded, gone
from firstlight.utils.remote_paths import RemotePath
from firstlight.utils.text import printable
from firstlight.utils.trouble import insist, trouble_of


class ImageFiles:
    """All image files under a folder, or one file.

    Everything below the folder is taken, ``train`` and ``test`` alike, in the order of the names of files and
    folders; names that begin with a dot are passed over, and links are followed, but into each folder only once.

    Parameters
    ----------
    path : Path
        A folder, or a file.
    only : tuple of str
        Patterns of the names to take; see `Choice`.
    """

    noun = "file"

    def __init__(self, path: Path, only: tuple[str, ...] = ()) -> None:
        self.path, self.only = path, only
        self.name = printable(path.name or path.resolve().name or str(path))

    def total(self) -> int:
        """Number of files that look like images."""
        return sum(not isinstance(item.content, Counter) for item in self.items())

    def items(self) -> Iterator[Encoded]:
        """The files, named relative to the folder."""
        if not self.path.is_dir():
            yield Encoded(printable(self.path.name), self.path)
            return
        choice = Choice(self.only)
        for relative in files_below(self.path, choice.takes):
            yield Encoded(printable(relative), self.path / relative)
        if choice.left:
            yield Encoded("", choice.left)


def files_below(folder: Path, takes: Callable[[str], bool]) -> Iterator[str]:
    """The files below a folder that are taken by their paths relative to it, in a fixed order; hidden ones are none.

    At any time the names in as many folders are held as lie within each other.

    Yields
    ------
    str
        Path relative to the folder.

    Raises
    ------
    MachineError
        This machine cannot list one of the folders.
    SourceError
        Nobody can, or it is gone.
    """
    seen: set[tuple[int, int]] = set()
    open_folders = [iter([("", True)])]
    while open_folders:
        relative, is_folder = next(open_folders[-1], (None, False))
        if relative is None:
            open_folders.pop()
        elif not is_folder:
            yield relative
        else:
            place = printable(str(folder / relative))
            try:
                open_folders.append(iter(insist(partial(_listing, folder, relative, seen, takes), place)))
            except FileNotFoundError:
                raise gone(place) from None
            except OSError as error:
                raise SourceError(f"{place}: the folder cannot be listed ({error.strerror or error})") from None


def _listing(
    root: Path, relative: str, seen: set[tuple[int, int]], takes: Callable[[str], bool]
) -> list[tuple[str, bool]]:
    """Sorted (relative path, is a folder) of what matters in one folder; nothing if it was listed before."""
    if isinstance(root, RemotePath):
        found = [(name, is_folder) for name, is_folder in (root / relative).listed() if not name.startswith(".")]
        return _sorted(found, relative, takes)
    status = os.stat(root / relative)
    if (status.st_dev, status.st_ino) in seen:
        return []
    with os.scandir(root / relative) as entries:
        found = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
    seen.add((status.st_dev, status.st_ino))
    return _sorted(found, relative, takes)


def _sorted(found: list[tuple[str, bool]], relative: str, takes: Callable[[str], bool]) -> list[tuple[str, bool]]:
    found.sort(key=lambda pair: os.fsencode(pair[0]))
    prefix = f"{relative}/" if relative else ""
    return [(prefix + name, is_folder) for name, is_folder in found if is_folder or takes(prefix + name)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link that leads to itself
        if trouble_of(error):
            raise
        return False
