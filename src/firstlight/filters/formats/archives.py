"""Zip archives that nobody has vouched for, opened and read within bounds.

Python's own reader takes in the directory of an archive at once, however long that is said to be, and unfolds a member
to whatever it unfolds to. Here a directory is at most of LARGEST_DIRECTORY bytes, and no more of a member is unfolded
than was asked for. Nothing is ever extracted, so that the names of members lead nowhere.
"""

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from firstlight.errors import SourceError
from firstlight.utils.given import LARGEST_JSON
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import first_line

LARGEST_DIRECTORY = 1 << 24  # bytes: more than 100,000 tensors; the list takes ten times as much memory

# What zipfile raises where it takes fields for what they are not: names that are no UTF-8 and negative positions are
# ValueErrors, a format of the future is a NotImplementedError.
_BAD_DIRECTORY = (zipfile.BadZipFile, struct.error, ValueError, OverflowError, NotImplementedError)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip, but not one with a million members, whose directory alone would fill the memory.

    Raises
    ------
    zipfile.BadZipFile
        It is none, is damaged or cut off, or its directory is too long; the message is one line.
    OSError
        The system cannot read it.
    """
    with open_file(path) as whole:
        file = _BoundedFile(whole)
        try:
            archive = zipfile.ZipFile(cast(IO[bytes], file))
        except _BAD_DIRECTORY as error:
            raise zipfile.BadZipFile(first_line(error)) from None
        file.most = None
        with archive:
            yield archive


def read_member(archive: zipfile.ZipFile, name: str, span: tuple[int, int] | None = None) -> bytes:
    """A member of at most LARGEST_JSON bytes, or its bytes from `span[0]` to `span[1]`; it never unfolds to more.

    Parameters
    ----------
    archive : ZipFile
    name : str
        Of the member, looked up as it is.
    span : tuple of two int, optional
        First byte, and the one behind the last.

    Raises
    ------
    SourceError
        It is missing, too large, compressed in an unusual way, or shorter than declared.
    """
    if name not in archive.NameToInfo:
        raise SourceError(f"has no member {name!r}; expected one: the file is incomplete")
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unfold without a limit
        raise SourceError(f"{name} is compressed by method {info.compress_type}; expected it stored or deflated")
    start, stop = span or (0, info.file_size)
    if span is None and stop > LARGEST_JSON:
        raise SourceError(f"{name} declares {stop:,} bytes; expected at most {LARGEST_JSON:,}")
    if stop > info.file_size:
        raise SourceError(f"{name} holds {info.file_size:,} bytes; expected at least {stop:,}: it is cut off")
    with archive.open(info) as file:
        file.seek(start)
        data = file.read(stop - start)
    if len(data) != stop - start:
        raise SourceError(f"{name} ends after {start + len(data):,} bytes; expected {stop:,}: it is cut off")
    return data


class _BoundedFile:
    """A file that refuses to read much at once, until it is told to."""

    most: int | None = LARGEST_DIRECTORY

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if self.most is not None and size > self.most:
            raise zipfile.BadZipFile(f"its directory of members takes {size:,} bytes; expected at most {self.most:,}")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
