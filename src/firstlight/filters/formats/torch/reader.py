"""PyTorch checkpoints and TorchScript archives, read without torch and without running anything that they hold."""

import io
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST, TensorEntry, TensorFile
from firstlight.filters.formats.dtypes import item_size, to_float64
from firstlight.filters.formats.refusals import named, readable
from firstlight.filters.formats.torch.globals import ELEMENT_SIZES, allowed, is_hostile, is_script
from firstlight.filters.formats.torch.pickle_values import Call, Global, Malformed, Mapping
from firstlight.filters.formats.torch.pickles import read_pickle
from firstlight.filters.formats.torch.records import (
    LegacyStorages,
    Storages,
    ZipArchive,
    ZipStorages,
    read_exactly,
)
from firstlight.filters.formats.torch.values import Storage, StoredTensor, named_tensors, storage_of, tensor_of
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import counted, listed, printable

# Bytes of the longest pickle that is read; that of a ResNet-50 with its optimizer has 70,000.
_MAX_PICKLE = 1 << 25
# Bytes between the first and the last number of a tensor that is not contiguous.
_MAX_SPAN = 1 << 28
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Opcodes of each pickle before the one with the tensors.
_MAX_HEADER = 1000
_TAR_MARK = slice(257, 262)
# Storage types of quantised numbers -> the integers that they are.
_PLAIN = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
_INTEGERS = 1 << 63


def read_torch(path: Path, source: str) -> TensorFile:
    """List the tensors of a file of torch.save or torch.jit.save, in any of its formats since PyTorch 0.1.10.

    Parameters
    ----------
    path : Path
        The file. Its numbers are not read before :meth:`TensorEntry.read`, and then only those of one tensor.
    source : str
        What messages and the result call it.

    Returns
    -------
    TensorFile
        In the order of the file, with names such as "state_dict.module.conv1.weight" and, where an unnamed container
        stands, its index. Tensors without values that could be read (complex, sparse, meta) say so when they are read.

    Raises
    ------
    SourceError
        It is no such file, it is damaged, it would need code to be run, or it holds no tensors.
    """
    try:
        with named(source), readable(), open_file(path) as file:
            is_zip = file.read(2) == b"PK"
        return _read_zip(path, source) if is_zip else _read_legacy(path, source)
    except Malformed as error:
        raise SourceError(f"{source} is damaged, or torch.save did not write it: it has {error}") from error


def _read_zip(path: Path, source: str) -> TensorFile:
    archive = ZipArchive(path, source)
    # The pickle is in the archive's one folder; a copy deeper down is somebody's attachment.
    pickles = sorted((n for n in archive.records if f"/{n}".endswith("/data.pkl")), key=lambda name: name.count("/"))
    if not pickles:
        raise SourceError(
            f"{source} is a zip archive without data.pkl; expected a file of torch.save or torch.jit.save"
        )
    folder = pickles[0].removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder", limit=10) if f"{folder}byteorder" in archive.records else b"little"
    if order not in (b"little", b"big"):
        raise Malformed("an unknown byte order")
    names = _Names()

    def root(name: str) -> Any:
        return read_pickle(
            io.BytesIO(archive.read(f"{folder}{name}.pkl", limit=_MAX_PICKLE)), source, names, storage_of
        )

    data = root("data")
    entries = _entries(data, source, ZipStorages(archive, f"{folder}data/", order == b"big"))
    notes = names.notes()
    if f"{folder}constants.pkl" in archive.records:
        # Freezing a module turns its weights into constants of its code.
        constants = Mapping(["constants", root("constants")])
        found = _entries(constants, source, ZipStorages(archive, f"{folder}constants/", order == b"big"))
        if found and not entries:
            notes.append("the module was frozen, so that its weights are constants without names")
        entries += found
    return _listed(source, entries, data, notes)


def _read_legacy(path: Path, source: str) -> TensorFile:
    with named(source), readable(), open_file(path) as file:
        stream = io.BytesIO(file.read(_MAX_PICKLE))
        _check_legacy(stream, source)
        storages: dict[str, Storage] = {}
        names = _Names()

        def persistent(identity: Any) -> Storage | Global:
            match identity:
                case ("module", Global() as network, *_):  # with the source code of its class
                    return network
            storage = storage_of(identity)
            return storages.setdefault(storage.key, storage) and storage

        data = read_pickle(stream, source, names, persistent)
        keys = read_pickle(stream, source)
        known = isinstance(keys, list) and all(isinstance(key, str) and key in storages for key in keys)
        if not known or len(set(keys)) < len(keys):
            raise Malformed("a list of storages that its tensors do not use")
        positions, position = {}, stream.tell()
        for key in keys:
            # Each storage follows the number of its elements.
            count = int.from_bytes(read_exactly(file, position, 8) or b"", "little")
            size = count * ELEMENT_SIZES[storages[key].dtype]
            positions[key] = (position + 8, size)
            position += 8 + size
        if position > path.stat().st_size:
            raise SourceError(f"{source} is cut off: it ends before its tensors do")
        if _MAGIC.to_bytes(10, "little") in (read_exactly(file, position, 16) or b""):
            raise SourceError(
                f"{source} is several files of torch.save one after the other, of which any may have the first layer; "
                f"expected one: `head -c {position}` of it is the first, `tail -c +{position + 1}` what lies behind"
            )
    entries = _entries(data, source, LegacyStorages(path, source, positions))
    return _listed(source, entries, data, names.notes())


def _check_legacy(stream: io.BytesIO, source: str) -> None:
    """Go past what announces this format."""
    head = bytes(stream.getbuffer()[:512])
    if head[_TAR_MARK] == b"ustar":
        raise SourceError(f"{source} was saved by PyTorch before 0.1.10; expected a newer file: load and save it again")
    if _MAGIC.to_bytes(10, "little") not in head[:32]:
        kind = "a pickle that torch.save did not write" if head.startswith(b"\x80") else "no PyTorch file"
        raise SourceError(f"{source} is {kind}; expected one of torch.save or torch.jit.save, or .safetensors")
    magic, protocol, _ = (read_pickle(stream, source, limit=_MAX_HEADER) for _ in range(3))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise Malformed("an unknown version of its format")


class _Names:
    """Lets a pickle name what torch.load(weights_only=True) lets it, and what else is no attack: that is noted."""

    def __init__(self) -> None:
        self.packages: dict[str, None] = {}

    def __call__(self, found: Global) -> bool:
        if not (allowed(found) or is_script(found) or found.module == "torch.jit._pickle"):
            if is_hostile(found):
                return False
            self.packages[found.module.partition(".")[0]] = None
        return True

    def notes(self) -> list[str]:
        packages = [printable(name, 40) for name in self.packages if name not in ("builtins", "collections")]
        if not packages:
            return []
        shown = listed(packages, most=4, separator=", ")
        return [f"the file holds objects of {shown}: only the tensors in them were read, and nothing of theirs was run"]


def _entries(root: Any, source: str, storages: Storages) -> list[TensorEntry]:
    return [
        TensorEntry(
            name,
            tensor.shape,
            f"quantized {_PLAIN.get(tensor.dtype, tensor.dtype)}" if tensor.quantizer else tensor.dtype,
            partial(_values, tensor, storages, f"{source}: {name}"),
        )
        for name, tensor in named_tensors(root)
    ]


def _listed(source: str, entries: list[TensorEntry], root: Any, notes: list[str] | None = None) -> TensorFile:
    if not entries:
        raise SourceError(
            f"{source} holds no tensors but {_described(root)}; expected a state dict: "
            "torch.save(model.state_dict(), path)"
        )
    return TensorFile(source, tuple(entries), ordered=True, notes=tuple(notes or ()))


def _described(value: Any) -> str:
    match value:
        case Mapping() if value.flat:
            keys = [printable(key, 40) if isinstance(key, str) else type(key).__name__ for key in value.flat[:10:2]]
            return f"a dict of {', '.join(keys)}{' and more' if len(value.flat) > 10 else ''}"
        case Mapping():
            return "an empty dict"
        case list() | tuple():
            return f"a {type(value).__name__} of {counted(len(value), 'value')}"
        case Call() if is_script(value.function):
            return f"a {printable(value.function.name, 200)} module without parameters"
        case Call():
            return f"what {printable(value.function.path, 200)} makes"
    return f"a value of type {type(value).__name__}"


def _values(tensor: StoredTensor, storages: Storages, label: str) -> np.ndarray:
    """The numbers of one tensor, float64, rescaled when it is quantised."""
    numbers = _stored(tensor, storages, label)
    if not tensor.quantizer:
        return -numbers if tensor.negative else numbers
    match tensor.quantizer:
        case (float(scale), int(zero_point)) if abs(zero_point) < _INTEGERS:
            pass
        case (scales, zero_points, int(axis)) if 0 <= axis < len(tensor.shape):
            along = [tensor.shape[axis] if i == axis else 1 for i in range(len(tensor.shape))]
            scale = _vector(scales, tensor.shape[axis], storages, label).reshape(along)
            zero_point = _vector(zero_points, tensor.shape[axis], storages, label).reshape(along)
        case _:
            raise SourceError(f"{label} is damaged: its scale and zero point make no sense")
    with np.errstate(over="ignore", invalid="ignore"):
        return (numbers - zero_point) * scale


def _vector(value: Any, length: int, storages: Storages, label: str) -> np.ndarray:
    """Scales or zero points, one a channel."""
    if isinstance(value, list) and len(value) == length:
        if all(isinstance(n, float) or (isinstance(n, int) and abs(n) < _INTEGERS) for n in value):
            return np.array(value, dtype=np.float64)
    else:
        try:
            tensor = tensor_of(value)
        except Malformed as error:
            raise SourceError(f"{label} is damaged: it has {error}") from error
        if tensor is not None and tensor.shape == (length,):
            return _stored(tensor, storages, label)
    raise SourceError(f"{label} is damaged: its scales or zero points are not one a channel")


def _stored(tensor: StoredTensor, storages: Storages, label: str) -> np.ndarray:
    """The numbers as they are in the storage, float64, in the tensor's shape."""
    if tensor.storage is None:
        raise SourceError(f"{label} {tensor.missing}")
    dtype = _PLAIN.get(tensor.dtype, tensor.dtype)
    try:
        item = item_size(dtype)
    except SourceError as error:
        raise SourceError(f"{label}: {error}") from error
    if math.prod(max(n, 1) for n in tensor.shape) > LARGEST:
        raise SourceError(f"{label} is larger than any first layer")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape)
    # A dimension of one element may have any stride.
    strides = [step if n > 1 else 0 for n, step in zip(tensor.shape, tensor.strides, strict=True)]
    span = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, strides, strict=True))
    if (tensor.offset + span) * item > tensor.storage.size:
        raise SourceError(f"{label} is damaged: it reaches beyond its storage")
    if span * item > _MAX_SPAN:
        raise SourceError(f"{label} lies scattered over {span * item:,} bytes, more than are read at once")
    raw = storages.read(tensor.storage, tensor.offset * item, span * item)
    if storages.big_endian:
        raw = np.frombuffer(raw, np.uint8).reshape(span, item)[:, ::-1].tobytes()
    elements = np.ndarray(tensor.shape, np.dtype((np.void, item)), raw, strides=[step * item for step in strides])
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes an ordinary one
        return to_float64(elements.tobytes(), dtype, tensor.shape)
