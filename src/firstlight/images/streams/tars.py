"""Tar files of encoded images, such as WebDataset's shards: read from front to back, and never unpacked to disk."""

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from firstlight.errors import InputError, SourceError
from firstlight.images.streams.choice import Choice
from firstlight.images.streams.encoded import Encoded, SourceInFile
from firstlight.utils.damage import DAMAGE
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import first_line, printable
from firstlight.utils.trouble import refuse_trouble

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# As `files_below` takes them: what ends so may be one.
TAR_ENDS = frozenset({".tar", ".gz", ".tgz"})
# One member, or one header of the archive, may take so many bytes of memory.
_MOST_BYTES = 1 << 28
_BLOCK = 512
# Images are compressed already; a file that unpacks to more than this is made to keep its reader busy.
_MOST_EXPANSION, _FREE_BYTES = 100, 1 << 26
_DAMAGE = (tarfile.TarError, *DAMAGE)


def is_tar(name: str) -> bool:
    """Whether the name is that of a tar file, compressed with gzip or not."""
    return name.lower().endswith(TAR_SUFFIXES)


class TarImages:
    """The images in a tar file, in its order: every regular member whose name ends like that of an image.

    Parameters
    ----------
    path : Path
        Plain, or compressed with gzip.
    only : tuple of str
        Patterns of the names to take; see `Choice`.
    """

    noun = "image"

    def __init__(self, path: Path, only: tuple[str, ...] = ()) -> None:
        self.path, self.name, self.only = path, printable(path.name), only

    def total(self) -> int:
        """Number of images, for which every header is read, but no image."""
        return sum(1 for _ in self._members(Choice(self.only)))

    def items(self) -> Iterator[Encoded]:
        """The images, one of them in memory at a time.

        Raises
        ------
        SourceError
            The file is damaged or cut off; all images before that place have been handed out.
        """
        choice = Choice(self.only)
        for archive, member in self._members(choice):
            with self._named():
                image = Encoded(printable(member.name), _content(archive, member))
            yield image
        if choice.left:
            yield Encoded("", choice.left)

    def _members(self, choice: Choice) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """The members that are images, each with the archive, which is at its place."""
        with self._named(), self._open() as file, tarfile.open(fileobj=cast(IO[bytes], file), mode="r:") as archive:
            while (member := archive.next()) is not None:
                # A list of all members would grow with the file.
                archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
                if (member.isreg() or member.issparse()) and choice.takes(member.name):
                    yield archive, member

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say which file is damaged, or cannot be read here."""
        try:
            yield
        except _DAMAGE as error:
            refuse_trouble(error, self.name)
            raise SourceError(f"{self.name} cannot be read as a tar file: {first_line(error)}") from None

    @contextlib.contextmanager
    def _open(self) -> Iterator["_BoundedFile"]:
        size = self.path.stat().st_size
        with open_file(self.path) as file:
            if not self.path.name.lower().endswith(".tar"):
                with gzip.open(file) as unpacked:
                    yield _BoundedFile(cast(IO[bytes], unpacked), _MOST_EXPANSION * size + _FREE_BYTES)
            elif size % _BLOCK:  # tarfile takes a header that is cut off for the end
                raise tarfile.ReadError(f"it is no whole number of blocks of {_BLOCK} bytes: cut off")
            else:
                yield _BoundedFile(file, size)


class TarFiles:
    """The images in tar files, named with the file that they lie in.

    Parameters
    ----------
    path : Path
        A tar file, or the folder that they lie in.
    files : sequence of str
        Their names relative to the folder.
    """

    noun = "image"
    only: tuple[str, ...] = ()

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        self.name, self.files = printable(path.resolve().name), files
        self.root = path if path.is_dir() else path.parent

    def total(self) -> int | None:
        """Number of images; None where files must be unpacked to know."""
        plain = all(name.lower().endswith(".tar") for name in self.files)
        return sum(TarImages(self.root / name, self.only).total() for name in self.files) if plain else None

    def items(self) -> Iterator[Encoded]:
        """The images, file by file."""
        for name in self.files:
            yield from SourceInFile(TarImages(self.root / name, self.only), printable(name)).items()


def tar_folder(folder: Path, files: Sequence[str], split: str | None) -> TarFiles:
    """The tar files below a folder, or those of a split: in a folder of that name, or whose name begins with it.

    Raises
    ------
    InputError
        There is no such split.
    """
    chosen = [name for name in files if split is None or _belongs(name, split)]
    if not chosen:
        raise InputError(f"split is {split!r}, but no tar file in {folder} is called so, like {files[0]}")
    return TarFiles(folder, chosen)


def _belongs(name: str, split: str) -> bool:
    *folders, file = name.split("/")
    return split in folders or file.startswith(split)


class _BoundedFile(io.RawIOBase):
    """A file that refuses to read as much at once, or as far, as only a forged header asks for."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._end = file, end

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_BYTES:
            raise tarfile.ReadError(f"a header asks for {size:,} bytes at once, more than {_MOST_BYTES:,}")
        self._refuse_beyond(self._file.tell())
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._refuse_beyond(offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _refuse_beyond(self, place: int) -> None:
        if place > self._end:
            raise tarfile.ReadError(f"it leads to byte {place:,}, beyond the {self._end:,} that it may have: cut off")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | str:
    """The bytes of a member, or why there are none."""
    if member.issparse():
        return "a sparse file, which no image is"
    if member.size > _MOST_BYTES:
        return f"{member.size:,} bytes, more than {_MOST_BYTES:,}"
    file = archive.extractfile(member)
    assert file is not None  # it is regular
    return file.read()
