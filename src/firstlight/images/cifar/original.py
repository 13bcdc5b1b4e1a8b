"""The original CIFAR batches: plain bytes, and Python pickles that are read without unpickling freely."""

import io
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.utils.regular_file import open_file

_IMAGE_BYTES = 3 * 32 * 32


def decode_binary(content: bytes, label_bytes: int) -> Pixels:
    """Decode a binary batch: records of `label_bytes` labels, the last one the class, and 3 x 32 x 32 bytes.

    Raises
    ------
    SourceError
        When the content is not a whole number of records.
    """
    record = label_bytes + _IMAGE_BYTES
    if not content or len(content) % record:
        raise SourceError(f"batch has {len(content)} bytes; expected a multiple of {record}: the file is cut off")
    table = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return Pixels(_channels_last(table[:, label_bytes:]), table[:, label_bytes - 1].copy())


def decode_python(content: bytes, label_key: bytes) -> Pixels:
    """Decode a Python batch (a pickled dictionary) without running anything the pickle names.

    Only the few names that a CIFAR batch needs are known, and they stand for inert records of shape, dtype
    and raw bytes; every other name is refused.

    Raises
    ------
    SourceError
        When the pickle is damaged, is no CIFAR batch, or names anything else.
    """
    try:
        batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    except SourceError:
        raise
    except Exception as error:  # a hostile or damaged pickle can fail in any way; none of them is ours
        raise SourceError(f"not a readable Python batch ({type(error).__name__}: {error})") from None
    if not isinstance(batch, dict):
        raise SourceError(f"Python batch holds a {type(batch).__name__}; expected a dictionary")
    data, labels = batch.get(b"data"), batch.get(label_key)
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise SourceError(f"Python batch has no array b'data' or no list {label_key!r}")
    if not all(type(label) is int and 0 <= label <= 255 for label in labels):
        raise SourceError(f"Python batch has labels in {label_key!r} that are not class numbers")
    return Pixels(_channels_last(data.to_table()), np.array(labels, dtype=np.uint8))


def join(parts: Iterable[Pixels]) -> Pixels:
    """Concatenate batches in their order."""
    images, labels = zip(*parts, strict=True)
    return Pixels(np.concatenate(images), np.concatenate(labels))


def is_original(definition: CifarDefinition, folder: Path) -> bool:
    """Tell by the names of files whether a folder holds the training batches, Python or binary."""
    forms = (definition.python_files["train"], definition.binary_files["train"])
    return any(all(os.path.isfile(folder / name) for name in names) for names in forms)


def read_folder(definition: CifarDefinition, folder: Path, split: str) -> Pixels | None:
    """Read original batches, Python or binary, that lie in `folder`; None when it holds none of this split.

    Raises
    ------
    SourceError
        When there are batches but they cannot be read or are not the data set's.
    """
    for names in (definition.python_files[split], definition.binary_files[split]):
        if all(os.path.isfile(folder / name) for name in names):
            pixels = join(_read(folder / name, definition) for name in names)
            definition.check(split, pixels)
            return pixels
    return None


def decode_batch(definition: CifarDefinition, name: str, content: bytes) -> Pixels:
    """Decode a batch, binary or Python by its name.

    Raises
    ------
    SourceError
        With its name, when it is damaged or no batch.
    """
    try:
        if name.endswith(".bin"):
            return decode_binary(content, definition.label_bytes)
        return decode_python(content, definition.label_key)
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from None


def _read(path: Path, definition: CifarDefinition) -> Pixels:
    try:
        with open_file(path) as file:
            return decode_batch(definition, path.name, file.read())
    except OSError as error:
        raise SourceError(f"{path.name}: {error}") from None


def _channels_last(table: np.ndarray) -> np.ndarray:
    """Rows of 3 x 32 x 32 bytes, as contiguous (N, 32, 32, 3)."""
    return np.ascontiguousarray(table.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class _Dtype:
    """Stands for numpy.dtype; remembers its code only."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: of no consequence to bytes."""


class _Array:
    """Stands for numpy.ndarray; remembers what the pickle says of it."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_table(self) -> np.ndarray:
        """(N, 3072) uint8, or SourceError."""
        match self.state:
            case (_, (int(rows), int(columns)), _Dtype(code="u1"), False, bytes(raw)) if (
                columns == _IMAGE_BYTES and len(raw) == rows * columns
            ):
                return np.frombuffer(raw, dtype=np.uint8).reshape(rows, columns)
        raise SourceError("Python batch's b'data' is not a uint8 array of shape (N, 3072)")


def _reconstruct(*_: Any) -> _Array:
    """Stands for NumPy's function of that name, which makes an empty array that a state is then set on."""
    return _Array()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands for _codecs.encode, by which Python 3 writes bytes in protocol 2."""
    return text.encode("latin1")


# What CIFAR batches name: the original ones, and those that NumPy 1 and 2 write under Python 3.
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _BatchUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _STAND_INS[module_name, global_name]
        except KeyError:
            raise SourceError(
                f"the pickle names {module_name}.{global_name}, which no CIFAR batch needs: it is refused"
            ) from None
