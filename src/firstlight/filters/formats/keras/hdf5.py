"""HDF5 as Keras uses it: opened in a file or an archive, and read with nothing followed that leads out of it.

Links, virtual and external data, and filters that would be plug-ins are refused, and sizes are checked against what the
file holds before anything is read.
"""

import math
import tempfile
import zipfile
from contextlib import ExitStack
from io import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import IO, Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST
from firstlight.filters.formats.archives import open_archive, read_member
from firstlight.utils.given import LARGEST_JSON
from firstlight.utils.regular_file import open_file
from firstlight.utils.remote_paths import RemotePath
from firstlight.utils.text import listed, printable

_MOST_NAMES = 1 << 16
_UNPACKED = 1 << 29  # bytes to which the compressed weights of a .keras file may unfold
# HDF5 filters whose expansion is known: deflate, shuffle, checksum, lzf. All others are plug-ins, code from elsewhere.
_FILTERS = {1, 2, 3, 32000}


def open_hdf5(path: Path, stack: ExitStack) -> tuple[Any, str | None]:
    """The HDF5 part of a file, and the configuration in JSON where that lies beside it.

    Parameters
    ----------
    path : Path
        An HDF5 file, or a .keras archive.
    stack : ExitStack
        Keeps what is opened open.

    Returns
    -------
    Path or file-like
        What h5py opens.
    str or None
        The content of config.json.

    Raises
    ------
    SourceError
        An archive has no weights, or they are packed in an unusual way.
    zipfile.BadZipFile, OSError
        It cannot be opened, as in `open_archive`.
    """
    file = stack.enter_context(open_file(path))
    if file.read(2) != b"PK":
        return (file if isinstance(path, RemotePath) else path), None
    archive = stack.enter_context(open_archive(path))
    if "model.weights.h5" not in archive.NameToInfo:
        members = printable(listed(archive.namelist(), separator=", "), 200)
        raise SourceError(
            f"its members are {members}; expected model.weights.h5, as in a .keras file that is not sharded"
        )
    config = read_member(archive, "config.json").decode()
    info = archive.getinfo("model.weights.h5")
    if info.compress_type == zipfile.ZIP_STORED:
        # Read in place: the local header repeats the name and has an extra field of its own length.
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
        start = info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        return _Window(file, start, info.file_size), config
    if info.file_size > _UNPACKED or info.compress_type != zipfile.ZIP_DEFLATED:
        raise SourceError(
            f"model.weights.h5 is compressed, of {info.file_size:,} bytes; expected it stored, as Keras "
            f"does it, or deflated and at most {_UNPACKED:,}"
        )
    unpacked = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    with archive.open(info) as member:
        while block := member.read(1 << 20):
            unpacked.write(block)
    return unpacked, config


def child_of(group: Any, path: str) -> Any:
    """What lies at a path in a group, or None; refuses links, which may lead anywhere, with a SourceError."""
    import h5py

    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or not part or part in (".", ".."):
            return None
        link = group.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise SourceError(
                f"{part} in {group.name} is a link ({type(link).__name__}), which is not followed; expected "
                "the weights themselves: save the model again"
            )
        group = group[part]
    return group


def text_of(item: Any, name: str) -> str | None:
    """A string attribute of a group or dataset, or None; a ValueError where it is anything else, or too long."""
    if name not in item.attrs:
        return None
    if math.prod(item.attrs.get_id(name).shape or ()) != 1:
        raise ValueError(f"the attribute {name} is no single string")
    value = item.attrs[name]
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    if not isinstance(value, str) or len(value) > LARGEST_JSON:
        raise ValueError(f"the attribute {name} is no string of at most {LARGEST_JSON:,} characters")
    return value


def names_of(item: Any, name: str) -> list[str] | None:
    """A list of strings in an attribute; Keras cuts a long one into NAME0, NAME1 and so on."""
    parts = [name] if name in item.attrs else []
    while not (parts and parts[0] == name) and f"{name}{len(parts)}" in item.attrs:
        parts.append(f"{name}{len(parts)}")
    if not parts:
        return None
    found: list[str] = []
    for part in parts:
        if math.prod(item.attrs.get_id(part).shape or ()) > _MOST_NAMES:
            raise ValueError(f"the attribute {part} has more than {_MOST_NAMES:,} names")
        values = np.atleast_1d(item.attrs[part]).tolist()
        found += [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        if sum(map(len, found)) > LARGEST_JSON:
            raise ValueError(f"the attribute {name} is of more than {LARGEST_JSON:,} characters")
    return found


def numbers_of(dataset: Any) -> tuple[np.ndarray, str]:
    """The numbers of a dataset, float64, and how they are stored.

    Raises
    ------
    SourceError
        It is no dataset of this file, not of floating-point numbers, larger than any first layer, or the file does not
        hold what it declares.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise SourceError("holds something else; expected a weight")
    name, dtype, shape = dataset.name, dataset.dtype, dataset.shape
    if dataset.is_virtual or dataset.external:
        raise SourceError(f"{name} lies in another file, which is not read; expected it in this one")
    bfloat = dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None
    if not bfloat and (dtype.kind != "f" or dtype.itemsize > 8):
        raise SourceError(
            f"{name} holds numbers of type {dtype}; expected float16, bfloat16, float32 or float64: Keras "
            "stores no scale with a quantised convolution"
        )
    if shape is None or math.prod(shape) > LARGEST:
        raise SourceError(f"{name} declares the shape {shape}; expected at most {LARGEST:,} numbers")
    stored, needed = dataset.id.get_storage_size(), math.prod(shape) * dtype.itemsize
    layout = dataset.id.get_create_plist()
    filters = {layout.get_filter(number)[0] for number in range(layout.get_nfilters())}
    if not filters <= _FILTERS:
        raise SourceError(
            f"{name} is stored through the HDF5 filters {sorted(filters)}; expected it uncompressed, as Keras writes it"
        )
    if (stored < needed and not filters) or (needed and not stored):
        raise SourceError(f"{name} holds {stored:,} bytes where its shape {shape} needs {needed:,}: it is cut off")
    values = np.asarray(dataset[()])
    if bfloat:
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16).astype(np.float64), dtype_of(dataset)
    with np.errstate(invalid="ignore"):  # signalling NaN: the bank tells of it
        return values.astype(np.float64), dtype_of(dataset)


def dtype_of(dataset: Any) -> str:
    """How the numbers of a dataset are stored; Keras stores bfloat16 as two opaque bytes."""
    return "bfloat16" if dataset.dtype.kind == "V" else dataset.dtype.name


class _Window:
    """A part of a file as a file of its own, for h5py."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.file, self.start, self.size, self.position = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + {SEEK_CUR: self.position, SEEK_END: self.size}.get(whence, 0)
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        self.file.seek(self.start + self.position)
        data = self.file.read(max(0, min(count, self.size - self.position)))
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[:] = data + bytes(len(view) - len(data))  # zeros beyond the end, as HDF5 itself has it
        return len(data)
