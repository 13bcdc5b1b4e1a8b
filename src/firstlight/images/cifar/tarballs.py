"""The original CIFAR archives, read where they lie: nothing of them is unpacked to disk."""

import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from firstlight.errors import SourceError
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.images.cifar.original import decode_batch, join
from firstlight.utils.budget import check_item
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import first_line

# What reading a damaged or foreign archive can raise.
_ARCHIVE_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError)


def archive_names(definition: CifarDefinition) -> tuple[str, str]:
    """What the archives of the Python and of the binary version are called."""
    binary = definition.archive_url.rsplit("/", 1)[-1]
    return binary.replace("binary", "python"), binary


def read_archive(definition: CifarDefinition, path: Path, split: str) -> Pixels | None:
    """Read a split from an original archive, Python or binary by its name; None where there is no such file.

    Raises
    ------
    SourceError
        When it cannot be read or is not the data set's.
    """
    if not os.path.isfile(path):
        return None
    pixels = decode_archive(definition, path, split)
    definition.check(split, pixels)
    return pixels


def decode_archive(definition: CifarDefinition, path: Path, split: str) -> Pixels:
    """The same, whatever the images are.

    Raises
    ------
    SourceError
        When it is damaged, or lacks a batch.
    """
    folder, files = definition.binary_folder, definition.binary_files
    if "python" in path.name:
        folder, files = definition.python_folder, definition.python_files
    names = [f"{folder}/{name}" for name in files[split]]
    contents = dict(members(path, names))
    return join(decode_batch(definition, name, contents[name]) for name in names)


def members(path: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Read the named plain files straight from a compressed tar archive.

    Raises
    ------
    SourceError
        When it is damaged, or lacks one of them.
    """
    missing = set(names)
    try:
        with open_file(path) as packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in missing and member.isfile() else None
                if file is not None:
                    missing.remove(member.name)
                    check_item(f"{member.name} in {path}", member.size)
                    with file:
                        content = file.read()
                    yield member.name, content
    except _ARCHIVE_ERRORS as error:
        raise SourceError(f"the archive is damaged ({first_line(error)})") from None
    if missing:
        raise SourceError(f"the archive has no plain file {min(missing)}")
