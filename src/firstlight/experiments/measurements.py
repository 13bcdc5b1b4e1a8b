"""Small numbers that were measured on large data, kept on disk: measured once, and readable without the data."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import RunError
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import open_npz, write_npz
from firstlight.utils.trouble import refuse_trouble

logger = logging.getLogger(__name__)

FORMAT = 1


class NotRecordedError(RunError):
    """A record lacks a measurement: it was made by another version."""


class Measurements:
    """A folder of measured arrays, one `.npz` file a measurement, named by what was measured.

    Parameters
    ----------
    folder : Path
        Made when something is first written.
    recorded : bool
        Whether the folder is a record, to which nothing is added.

    Attributes
    ----------
    used : set of str
        Names of the files that were read or written through this object.
    """

    def __init__(self, folder: Path, recorded: bool = False) -> None:
        self.folder = folder
        self.recorded = recorded
        self.used: set[str] = set()

    def path(self, name: str, key: Mapping[str, Any]) -> Path:
        """The file of a measurement, which may not be there."""
        return self.folder / f"{name}-{hashlib.sha256(_text(name, key).encode()).hexdigest()[:12]}.npz"

    def get(
        self, name: str, key: Mapping[str, Any], measure: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Return the arrays of a measurement, from the folder if it has them, else by measuring.

        Parameters
        ----------
        name : str
            What is measured; begins the file's name.
        key : mapping
            All that the result depends on, in JSON's types: the data's fingerprint, parameters.
        measure : callable
            Returns arrays by name; called where the folder has none, or only a damaged file.

        Raises
        ------
        RunError
            A record lacks the measurement, or its file is damaged.
        """
        text = _text(name, key)
        path = self.path(name, key)
        self.used.add(path.name)
        if path.exists():
            logger.debug("%s: read from %s", name, path)
            try:
                return _read(path, text)
            except DAMAGE as error:
                refuse_trouble(error, str(path))
                if self.recorded:
                    raise RunError(f"{path} is damaged ({error}): restore the record") from None
                logger.warning("%s is damaged (%s) and measured again", path, error)
        if self.recorded:
            raise NotRecordedError(f"the record has no {path.name}, it was made by another version: run the experiment")
        logger.debug("%s: measured, and kept in %s", name, path)
        arrays = {part: np.asarray(array) for part, array in measure().items()}
        write_npz(path, {**arrays, "key": np.array(text), "digest": np.array(_digest(arrays))}, compressed=True)
        return arrays


def _text(name: str, key: Mapping[str, Any]) -> str:
    return json.dumps({"format": FORMAT, "name": name, **key}, sort_keys=True)


def _read(path: Path, text: str) -> dict[str, np.ndarray]:
    with open_npz(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if str(arrays.pop("key")) != text:
        raise ValueError("it holds another measurement")
    if str(arrays.pop("digest")) != _digest(arrays):
        raise ValueError("its content does not match its digest")
    return arrays


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
