"""Files of arrays, .npz, with a header of JSON: written whole or not at all, and read without running anything."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile

from firstlight.utils.whole_files import atomic_write


def write_npz(
    path: Path | str, arrays: Mapping[str, np.ndarray], header: Any = None, *, compressed: bool = True
) -> None:
    """Write arrays, and a header in JSON's types if one is given, atomically."""
    named: dict[str, Any] = dict(arrays) if header is None else {"header": np.array(json.dumps(header)), **arrays}
    write = np.savez_compressed if compressed else np.savez
    with atomic_write(path) as file:
        write(file, allow_pickle=False, **named)


@contextmanager
def open_npz(path: Path | str) -> Iterator[NpzFile]:
    """Open a file of arrays, each of which is read when it is asked for by its name.

    Where the file is damaged, this and the reading raise one of `damage.DAMAGE`.
    """
    # Opened here: np.load leaves a damaged file open.
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):  # np.load would take it for a pickle, and advise to run that
            raise zipfile.BadZipFile("it is no archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            yield stored


def header_of(stored: NpzFile) -> Any:
    """The header that `write_npz` wrote."""
    return json.loads(str(stored["header"]))
