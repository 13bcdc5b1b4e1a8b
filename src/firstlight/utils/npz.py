"""Files of arrays, .npz, with a header of JSON: written whole or not at all, and read without running anything."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile

from firstlight.utils.addresses import without_credentials
from firstlight.utils.given import json_of
from firstlight.utils.regular_file import open_file
from firstlight.utils.whole_files import atomic_write


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
        if file.seekable():
            _pack(file, named, compressed)
        else:  # a pipe, which would get other bytes than a file
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
def open_npz(path: Path | str) -> Iterator[NpzFile]:
    """Open a file of arrays, each of which is read when it is asked for by its name.

    Where the file is damaged, this and the reading raise one of `damage.DAMAGE`.
    """
    # Opened here: np.load leaves a damaged file open.
    with open_file(path) as file:
        if not zipfile.is_zipfile(file):  # np.load would take it for a pickle, and advise to run that
            raise zipfile.BadZipFile("it is no archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            yield stored


def header_of(stored: NpzFile) -> Any:
    """The header that `write_npz` wrote."""
    return json_of(str(stored["header"]))
