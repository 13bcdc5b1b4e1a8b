"""The files of a run: JSON, and tensors sealed by a digest."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from firstlight.errors import RunError
from firstlight.utils.budget import check_item
from firstlight.utils.given import json_file, json_of
from firstlight.utils.regular_file import NotAFile, open_file
from firstlight.utils.trouble import refuse_trouble
from firstlight.utils.whole_files import atomic_write, write_text

# safetensors writes several metadata keys in random order; one key keeps equal content equal in bytes.
METADATA_KEY = "firstlight"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a dict as indented JSON, which a person can read."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a dict from JSON.

    Raises
    ------
    RunError
        The file cannot be read, or holds something else.
    """
    try:
        values = json_file(path)
    except NotAFile:
        raise
    except (OSError, ValueError) as error:
        refuse_trouble(error, str(path))
        raise RunError(f"{path} cannot be read ({error}); expected JSON") from None
    if not isinstance(values, dict):
        raise RunError(f"{path} holds a {type(values).__name__}; expected a JSON object")
    return values


def write_tensors(path: Path, tensors: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    """Write arrays and a JSON-able dict as one safetensors file, sealed by a digest of both."""
    arrays = {name: np.array(array, order="C") for name, array in tensors.items()}
    text = json.dumps({"values": values, "sha256": _digest(arrays, values)}, allow_nan=False)
    with atomic_write(path) as file:
        file.write(safetensors.numpy.save(arrays, metadata={METADATA_KEY: text}))


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises
    ------
    RunError
        The file cannot be read, is cut short, or any bit of its content is not what was written.
    """
    try:
        open_file(path).close()  # of one that it may not open safetensors says that there is none
        with safetensors.safe_open(path, framework="numpy") as file:
            sealed = json_of((file.metadata() or {})[METADATA_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            values, digest = sealed["values"], sealed["sha256"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        refuse_trouble(error, str(path))
        raise RunError(f"{path} cannot be read ({error}); expected tensors that firstlight wrote") from None
    if _digest(arrays, values) != digest:
        raise RunError(f"{path} is damaged: its content does not match its digest")
    return arrays, values


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; raises `RunError` where it cannot be read."""
    try:
        with open_file(path) as file:
            check_item(str(path), os.fstat(file.fileno()).st_size)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse_trouble(error, str(path))
        raise RunError(f"{path} cannot be read ({error.strerror})") from None


def _digest(arrays: dict[str, np.ndarray], values: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
