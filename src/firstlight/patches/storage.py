"""Patch moments and lags on disk: one .npz file with format version and provenance, whole or absent.

A file of lags is a file of the moments of the same patches that holds more.
"""

import datetime
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.text import first_line
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
    """What a reader should know about sums, with the version that writes them and the time."""
    written = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"firstlight": __version__, "written": written, **provenance}


def write_sums(path: str | Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write sums and what they are sums of."""
    write_npz(path, arrays, {"format": FORMAT, **header})


def read_sums(path: str | Path, kind: FileKind) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read header and arrays, and check that they fit together.

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
        version = header["format"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {kind.what} written by {kind.writer}") from None
    except DAMAGE as error:
        cause = first_line(error, kind=True)
        raise InputError(
            f"{path}: not a whole file of {kind.what} ({cause}); expected one written by {kind.writer}"
        ) from None
    if type(version) is not int or version not in _READ:  # type: True is 1
        raise InputError(f"{path}: format {version!r}; expected {_READ[0]} to {FORMAT}: compute the moments again")
    if version == 1:
        header["dilation"] = 1
    if not _consistent(header, arrays["second"], arrays["first"]):
        raise InputError(f"{path}: the moments contradict their header; the file is damaged: compute them again")
    if lacking:
        raise InputError(
            f"{path}: holds patch moments alone, and no pairs of patches; expected a file written by {kind.writer}: "
            "sum up the images again, with a max_distance"
        )
    if kind is LAGS:
        _check_lags(path, header, arrays)
    return header, arrays


def is_moments(path: Path) -> bool:
    """Whether a file looks like one of moments, with lags or without; what it holds is not read."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"header.npy", "second.npy", "first.npy"} <= set(archive.namelist())


def _check_lags(path: str | Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    version = header.get("lags_format")
    if type(version) is not int or version != LAGS_FORMAT:
        raise InputError(f"{path}: lags of format {version!r}; expected {LAGS_FORMAT}: sum them up again")
    if not _lags_consistent(header, arrays):
        raise InputError(f"{path}: the lags contradict their header; the file is damaged: sum them up again")


def _consistent(header: dict[str, Any], second: np.ndarray, first: np.ndarray) -> bool:
    for name, least in (("kernel_size", 1), ("channels", 1), ("stride", 1), ("dilation", 1), ("count", 0)):
        if not _is_whole(header.get(name), least):
            return False
    size = header["channels"] * header["kernel_size"] ** 2
    dtype = header.get("dtype")
    if not isinstance(header.get("provenance"), dict):
        return False
    if dtype not in (None, "uint8", "float64") or (dtype is None) != (header["count"] == 0):
        return False
    return are_sums(dtype, second, first, (), size)


def _lags_consistent(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> bool:
    """Whether the lags fit their header and the moments, which fit each other."""
    if not (_is_whole(header.get("max_distance"), 0) and _is_whole(header.get("pixels"), 0)):
        return False
    if (header["stride"], header["dilation"]) != (1, 1):
        return False
    distance, count, pixels = header["max_distance"], header["count"], header["pixels"]
    lag_second, lag_first, lag_count, pixel_second, pixel_first = (arrays[name] for name in LAGS.beside)
    size, dtype = header["channels"] * header["kernel_size"] ** 2, header["dtype"]
    return (
        lag_count.shape == (2 * distance,)
        and lag_count.dtype == np.int64
        # Patches in pairs lie in the images, and there are fewer pairs the farther they are apart.
        and bool((lag_count >= (1 if count else 0)).all() and (lag_count <= 2 * count).all())
        and count <= pixels
        and (count == 0) == (pixels == 0)
        and are_sums(dtype, lag_second, lag_first, (2 * distance,), size)
        and are_sums(dtype, pixel_second, pixel_first, (), header["channels"])
    )


def are_sums(dtype: str | None, second: np.ndarray, first: np.ndarray, shifts: tuple[int, ...], size: int) -> bool:
    """Whether these can be second and first moments of `size` numbers, one of each for all shifts."""
    expected = np.float64 if dtype == "float64" else np.int64
    return (
        second.shape == (*shifts, size, size)
        and first.shape == (*shifts, size)
        and second.dtype == expected
        and first.dtype == expected
        and bool(np.isfinite(second).all() and np.isfinite(first).all())
        and np.array_equal(second, second.swapaxes(-1, -2))
    )


def _is_whole(number: Any, least: int) -> bool:
    return type(number) is int and least <= number < 2**63  # type: a bool is no number
