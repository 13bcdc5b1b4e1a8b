"""Patch moments and lags on disk: one .npz file with format version and provenance, whole or absent.

A file of lags is a file of the moments of the same patches that holds more.
"""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.damage import DAMAGE
from firstlight.utils.nearest import nearest_path
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.regular_file import NotAFile, open_file
from firstlight.utils.text import first_line
from firstlight.utils.trouble import refuse_trouble
from firstlight.utils.version import __version__

# Format 1 had no dilation: it was 1.
FORMAT = 2
_READ = (1, FORMAT)
# Of what a file of lags holds beside the moments.
LAGS_FORMAT = 1


class FileKind(NamedTuple):
    """What a file holds, who writes it, and its arrays beside those of the moments."""

    what: str
    writer: str
    beside: tuple[str, ...] = ()


MOMENTS = FileKind("patch moments", "PatchMoments.save")
LAGS = FileKind("lags", "ImageLags.save", ("lag_second", "lag_first", "lag_count", "pixel_second", "pixel_first"))


def stamped(provenance: dict[str, str]) -> dict[str, str]:
    """What a reader should know about sums, with the version that writes them; not when, so that files can be equal."""
    return {"firstlight": __version__, **provenance}


def write_sums(path: str | Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write sums and what they are sums of."""
    write_npz(path, arrays, {"format": FORMAT, **header})


def read_sums(path: str | Path, kind: FileKind) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read header and arrays; whether they fit together is not looked at.

    Raises
    ------
    InputError
        The file is missing, damaged, of another format version, or not of that kind.
    """
    try:
        with open_npz(path) as stored:
            header = header_of(stored)
            lacking = [name for name in kind.beside if name not in stored.files]
            arrays = {name: stored[name] for name in ("second", "first", *kind.beside) if name not in lacking}
        version, lags_version = header["format"], header.get("lags_format")
    except NotAFile:
        raise
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file{nearest_path(Path(path))}; expected {kind.what} written by {kind.writer}"
        ) from None
    except DAMAGE as error:
        refuse_trouble(error, str(path))
        cause = first_line(error, kind=True)
        raise InputError(
            f"{path}: not a whole file of {kind.what} ({cause}); expected one written by {kind.writer}"
        ) from None
    if type(version) is not int or version not in _READ:  # type: True is 1
        raise InputError(f"{path}: format {version!r}; expected {_READ[0]} to {FORMAT}: compute the moments again")
    if version == 1:
        header["dilation"] = 1
    if lacking:
        raise InputError(
            f"{path}: holds patch moments alone, and no pairs of patches; expected a file written by {kind.writer}: "
            "sum up the images again, with a max_distance"
        )
    if kind is LAGS and (type(lags_version) is not int or lags_version != LAGS_FORMAT):
        raise InputError(f"{path}: lags of format {lags_version!r}; expected {LAGS_FORMAT}: sum them up again")
    return header, arrays


def is_moments(path: Path) -> bool:
    """Whether a file looks like one of moments, with lags or without; what it holds is not read."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return {"header.npy", "second.npy", "first.npy"} <= set(archive.namelist())
    except DAMAGE as error:  # whoever reads it as data then tells what
        refuse_trouble(error, str(path))
        return False
