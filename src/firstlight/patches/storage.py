"""Patch moments on disk: one .npz file with format version and provenance, whole or absent."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.files import atomic_write

# Format 1 had no dilation: it was 1.
FORMAT = 2
_READ = (1, FORMAT)
# What NumPy's and Python's readers of .npz files raise on damaged ones.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError, RuntimeError)
_DAMAGE += (zipfile.BadZipFile, zlib.error, MemoryError, SyntaxError, AttributeError)


def write_moments(path: str | Path, header: dict[str, Any], second: np.ndarray, first: np.ndarray) -> None:
    """Write sums and what they are sums of."""
    text = json.dumps({"format": FORMAT, **header})
    with atomic_write(path) as file:
        np.savez_compressed(file, header=np.array(text), second=second, first=first)


def read_moments(path: str | Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Read header, second and first moments, and check that they fit together.

    Raises
    ------
    InputError
        The file is missing, damaged, of another format version, or not a file of moments.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            second, first = arrays["second"], arrays["first"]
        version = header["format"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected moments written by PatchMoments.save") from None
    except _DAMAGE as error:
        raise InputError(
            f"{path}: not a whole file of patch moments ({type(error).__name__}: {error}); "
            "expected one written by PatchMoments.save"
        ) from None
    if type(version) is not int or version not in _READ:  # type: True is 1
        raise InputError(f"{path}: format {version!r}; expected {_READ[0]} to {FORMAT}: compute the moments again")
    if version == 1:
        header["dilation"] = 1
    if not _consistent(header, second, first):
        raise InputError(f"{path}: the moments contradict their header; the file is damaged: compute them again")
    return header, second, first


def _consistent(header: dict[str, Any], second: np.ndarray, first: np.ndarray) -> bool:
    for name, least in (("kernel_size", 1), ("channels", 1), ("stride", 1), ("dilation", 1), ("count", 0)):
        number = header.get(name)
        if type(number) is not int or not least <= number < 2**63:  # type: a bool is no number
            return False
    size = header["channels"] * header["kernel_size"] ** 2
    dtype = header.get("dtype")
    if not isinstance(header.get("provenance"), dict):
        return False
    if dtype not in (None, "uint8", "float64") or (dtype is None) != (header["count"] == 0):
        return False
    expected = np.float64 if dtype == "float64" else np.int64
    return (
        second.shape == (size, size)
        and first.shape == (size,)
        and second.dtype == expected
        and first.dtype == expected
        and bool(np.isfinite(second).all() and np.isfinite(first).all())
        and np.array_equal(second, second.T)
    )
