"""Files of arrays, .npz, with a header of JSON: written whole or not at all, and read without running anything."""

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile

from firstlight.utils.addresses import without_credentials
from firstlight.utils.budget import check_item
from firstlight.utils.given import json_of
from firstlight.utils.regular_file import open_file
from firstlight.utils.targets import is_stream
from firstlight.utils.whole_files import atomic_write

_DEFLATE = 1040  # times their bytes that compressed ones may become, a little more than deflate can
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def write_npz(
    path: Path | str, arrays: Mapping[str, np.ndarray], header: Any = None, *, compressed: bool = False
) -> None:
    """Write arrays, and a header in JSON's types if one is given, atomically.

    Without compression the same arrays are the same bytes on every machine, whatever library compresses there.
    """
    named: dict[str, Any] = (
        dict(arrays) if header is None else {"header": np.array(without_credentials(json.dumps(header))), **arrays}
    )
    with atomic_write(path) as file:
        if not is_stream(path):
            _pack(file, named, compressed)
        else:  # a pipe would get other bytes than a file, and a device has no places to go back to
            packed = io.BytesIO()
            _pack(packed, named, compressed)
            file.write(packed.getbuffer())


def _pack(file: IO[bytes], arrays: Mapping[str, Any], compressed: bool) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980, whenever it is written
            member.create_system = 3  # Unix, wherever it is written
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)


@contextmanager
def open_npz(path: Path | str) -> "Iterator[_Bounded]":
    """Open a file of arrays, each of which is read when it is asked for by its name.

    Where the file is damaged, this and the reading raise one of `damage.DAMAGE`; where an array takes too much memory,
    the reading raises `OverBudget`.
    """
    # Opened here: np.load leaves a damaged file open.
    with open_file(path) as file:
        if not zipfile.is_zipfile(file):  # np.load would take it for a pickle, and advise to run that
            raise zipfile.BadZipFile("it is no archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            yield _Bounded(stored, path)


class _Bounded(Mapping[str, Any]):
    """The arrays of an open file; what one takes, and whether the file has it, is seen before it is read."""

    def __init__(self, stored: NpzFile, path: Path | str) -> None:
        self._stored, self._path, self.files = stored, path, stored.files

    def __getitem__(self, name: str) -> Any:
        assert self._stored.zip is not None  # it is open
        if name in self.files and f"{name}.npy" in self._stored.zip.NameToInfo:
            member = self._stored.zip.getinfo(f"{name}.npy")
            if member.file_size > _DEFLATE * member.compress_size:
                raise zipfile.BadZipFile(f"{name} declares more than it can hold, {member.file_size:,} bytes")
            check_item(f"{name} in {self._path}", member.file_size, member.compress_size)
            with self._stored.zip.open(member) as content:
                read = _HEADERS.get(npy.read_magic(content))
                shape, _, dtype = read(content) if read else ((), False, np.dtype("u1"))
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size:
                raise EOFError(f"{name} has {member.file_size:,} bytes, too few for {dtype} of shape {shape}")
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def header_of(stored: Mapping[str, Any]) -> Any:
    """The header that `write_npz` wrote."""
    return json_of(str(stored["header"]))
