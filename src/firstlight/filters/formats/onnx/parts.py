"""An ONNX file taken apart: its graph is parsed, its weights are only located.

The library's parser copies the whole file, and spends up to a hundred bytes of memory on one byte of an empty message.
So the outermost layers of the file are walked here, as protobuf lays them out: weights stay where they are until one is
asked for, and what is handed to the parser has been counted first.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, overload

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST
from firstlight.filters.formats.refusals import readable
from firstlight.utils.regular_file import open_file
from firstlight.utils.remote_paths import RemotePath
from firstlight.utils.text import printable

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import GraphProto, TensorProto

    M = TypeVar("M", bound=Message)

LARGEST_FILE = 2**31 - 1  # protobuf's own limit
MOST_FIELDS = 500_000  # a network of 10,000 nodes has some 300,000
_UNCOUNTED = 1 << 20  # bytes of messages that are too few to do harm
_LARGEST_TENSOR = 10 * LARGEST + (1 << 20)  # a small negative number can take ten bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types


@dataclass
class OnnxParts:
    """A model file: its graph without the initialisers, and where in the file each of those lies.

    Attributes
    ----------
    data : mmap or _Window
        The file.
    graph : GraphProto
        Without initialisers.
    spans : dict of str to (int, int)
        Where each initialiser starts and ends.
    functions : set of (str, str)
        Domain and name of the functions that the model defines itself.
    """

    data: "mmap.mmap | _Window"
    graph: "GraphProto"
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    functions: set[tuple[str, str]] = field(default_factory=set)

    def initializer(self, name: str) -> "TensorProto":
        """One of `spans`, parsed; data in a file of its own is still missing."""
        from onnx import TensorProto

        start, end = self.spans[name]
        if end - start > _LARGEST_TENSOR:
            raise SourceError(f"{shown(name)} has {end - start:,} bytes; expected at most {_LARGEST_TENSOR:,}")
        return parse(TensorProto, self.data[start:end], f"tensor {shown(name)}")


def open_onnx(path: Path) -> OnnxParts:
    """Map a model into memory and parse its graph.

    Raises
    ------
    SourceError
        It is not a whole ONNX file, or a larger one than there can be.
    """
    from onnx import FunctionProto, GraphProto, ModelProto, TensorProto

    with readable(), open_file(path) as file:
        size = path.stat().st_size
        if not 0 < size <= LARGEST_FILE:
            raise SourceError(f"has {size:,} bytes; expected an ONNX model, of 1 to {LARGEST_FILE:,} bytes")
        remote = isinstance(path, RemotePath)
        data = _Window(open_file(path)) if remote else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    walk = _FieldCounter(data)
    parts = OnnxParts(data, GraphProto())
    pieces: list[bytes] = []
    for number, wire, _, start, end in walk.fields(0, size):
        if (number, wire) == (ModelProto.FUNCTIONS_FIELD_NUMBER, _BYTES):
            domain = walk.text(start, end, FunctionProto.DOMAIN_FIELD_NUMBER)
            parts.functions.add((domain, walk.text(start, end, FunctionProto.NAME_FIELD_NUMBER)))
        elif (number, wire) == (ModelProto.GRAPH_FIELD_NUMBER, _BYTES):
            for inner, kind, begin, first, last in walk.fields(start, end):
                if (inner, kind) == (GraphProto.INITIALIZER_FIELD_NUMBER, _BYTES):
                    parts.spans[walk.text(first, last, TensorProto.NAME_FIELD_NUMBER)] = (first, last)
                else:
                    pieces.append(data[begin:last])
    if not pieces:
        raise SourceError("holds no graph: the file is damaged or not an ONNX model")
    parts.graph = parse(GraphProto, b"".join(pieces), "graph")
    return parts


def parse(kind: "type[M]", data: bytes, what: str) -> "M":
    """Parse a message, once it is known that it cannot grow out of bounds.

    Raises
    ------
    SourceError
        It would, or it is damaged.
    """
    from google.protobuf.message import DecodeError

    if len(data) > _UNCOUNTED:
        _FieldCounter(data).everything(kind)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise SourceError(f"the {what} cannot be parsed: the file is damaged or not an ONNX model") from None


def decoded(name: str | bytes) -> str:
    """A name as text; the parser leaves one that is not UTF-8 as bytes."""
    return name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")


def shown(name: str) -> str:
    """A name out of a file as a message can show it."""
    return printable(name, 160)


class _Window:
    """A file that cannot be mapped, whose bytes are fetched as they are asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @overload
    def __getitem__(self, part: int) -> int: ...
    @overload
    def __getitem__(self, part: slice) -> bytes: ...
    def __getitem__(self, part: int | slice) -> int | bytes:
        start, stop = (part.start, part.stop) if isinstance(part, slice) else (part, part + 1)
        self._file.seek(start)
        data = self._file.read(stop - start)
        return data if isinstance(part, slice) else data[0]

    def __len__(self) -> int:
        return self._file.seek(0, os.SEEK_END)


class _FieldCounter:
    """Looks at the fields of nested messages without parsing them, up to a number that no network needs."""

    def __init__(self, data: bytes | mmap.mmap | _Window) -> None:
        self.data = data
        self.left = MOST_FIELDS

    def fields(self, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Of each field of a message: number, wire type, where it begins, and where its content starts and ends."""
        while position < end:
            self.spend(1)
            begin = position
            key, start = self.varint(position, end)
            wire = key & 7
            if wire == _BYTES:
                length, start = self.varint(start, end)
                position = start + length
            elif wire == _VARINT:
                _, position = self.varint(start, end)
            elif wire in (_FIXED32, _FIXED64):
                position = start + (4 if wire == _FIXED32 else 8)
            else:
                raise SourceError(f"no field starts at byte {begin:,}: the file is damaged or not an ONNX model")
            if position > end:
                raise SourceError(
                    f"the field at byte {begin:,} declares {position - start:,} bytes where {end - start:,} are left: "
                    "the file is cut off, damaged or not an ONNX model"
                )
            yield key >> 3, wire, begin, start, position

    def text(self, start: int, end: int, wanted: int) -> str:
        """The string in one field of a message; empty where it has none."""
        for number, wire, _, first, last in self.fields(start, end):
            if (number, wire) == (wanted, _BYTES):
                return decoded(self.data[first : min(last, first + 4096)])
        return ""

    def everything(self, kind: "type[Message]") -> None:
        """Look at all messages inside one, without recursion."""
        stack = [(kind.DESCRIPTOR, 0, len(self.data))]
        while stack:
            descriptor, start, end = stack.pop()
            for number, wire, _, first, last in self.fields(start, end):
                known = descriptor.fields_by_number.get(number)
                if wire != _BYTES or known is None:
                    continue
                if known.message_type is not None:
                    stack.append((known.message_type, first, last))
                elif known.cpp_type != known.CPPTYPE_STRING:
                    self.spend((last - first) // 64)  # packed numbers take up to eight times their bytes

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise SourceError(f"holds more than {MOST_FIELDS:,} fields; expected a network, which has fewer")

    def varint(self, position: int, end: int) -> tuple[int, int]:
        if position < end and (byte := self.data[position]) < 128:
            return byte, position + 1
        value = shift = 0
        while position < end and shift < 64:
            byte = self.data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise SourceError(f"a number is not complete at byte {position:,}: the file is cut off, damaged or not ONNX")
