"""Tensors of an ONNX file as float64, from the file itself or from one beside it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST
from firstlight.filters.formats.beside import beside
from firstlight.filters.formats.onnx.parts import decoded, shown
from firstlight.utils.regular_file import open_file

if TYPE_CHECKING:
    from onnx import TensorProto

_BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6}


@dataclass(frozen=True)
class Constant:
    """Numbers of a graph.

    Attributes
    ----------
    values : ndarray, float64
    dtype : str
        How they are stored, such as "float16"; "quantized int8" where a scale belongs to them.
    name : str
        Of the tensor that they are stored in.
    """

    values: np.ndarray
    dtype: str
    name: str


def stored(tensor: "TensorProto", name: str, model: Path) -> Constant:
    """Read one tensor.

    Parameters
    ----------
    tensor : TensorProto
        Its data may lie in a file of its own.
    name : str
        What messages call it.
    model : Path
        The model, beside which such files must lie.

    Raises
    ------
    SourceError
        It holds something other than what it declares, is larger than any first layer, or lies outside the folder.
    """
    from onnx import helper, numpy_helper

    dims = tuple(tensor.dims)
    if len(dims) > 8 or any(dim < 0 for dim in dims):
        raise SourceError(f"{shown(name)} has shape {dims[:9]}; expected up to 8 dimensions, none negative")
    if (count := math.prod(dims)) > LARGEST:
        raise SourceError(
            f"{shown(name)} declares {count:,} numbers; expected at most {LARGEST:,}: no first layer is so large"
        )
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        raise SourceError(f"{shown(name)} holds numbers of an unknown kind, {tensor.data_type}") from None
    if dtype.kind in "cO":
        kind = "text" if dtype.kind == "O" else dtype.name
        raise SourceError(f"{shown(name)} holds {kind}; expected real numbers")
    needed = -(-count * _BITS.get(dtype.name, 8 * dtype.itemsize) // 8)
    if tensor.data_location == tensor.EXTERNAL:
        tensor = _inlined(tensor, name, model, needed)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != needed:
        raise SourceError(
            f"{shown(name)} holds {len(tensor.raw_data):,} bytes where {dtype.name} of shape {dims} needs {needed:,}: "
            "it is cut off or damaged"
        )
    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError):  # as many numbers as it likes, of a range that it likes
        raise SourceError(
            f"{shown(name)} does not hold the {count:,} {dtype.name} that its shape {dims} needs"
        ) from None
    return Constant(values.astype(np.float64), dtype.name, name)


def _inlined(tensor: "TensorProto", name: str, model: Path, needed: int) -> "TensorProto":
    """The tensor with its data, out of a file in the model's folder."""
    from onnx import TensorProto

    where = {decoded(entry.key): decoded(entry.value) for entry in tensor.external_data}
    location = where.get("location", "")
    offset, length = (_whole(where.get(key, default), name) for key, default in (("offset", "0"), ("length", "")))
    try:
        path = beside(model, location)
        if path is None:
            raise SourceError(
                f"the data of {shown(name)} are in {shown(location)!r}, outside the model's folder; expected a file in "
                "it: copy the model and its data into one folder"
            )
        if not path.is_file():
            raise SourceError(f"the data of {shown(name)} are in {shown(location)!r}, which is not a file")
        size = path.stat().st_size
        if length not in (None, needed) or (offset or 0) + needed > size:
            raise SourceError(
                f"the data of {shown(name)} need {needed:,} bytes; {shown(location)!r} of {size:,} bytes is said to "
                f"hold {'all' if length is None else f'{length:,}'} from byte {offset or 0:,} on: it is cut off or "
                "not of this model"
            )
        with open_file(path) as file:
            file.seek(offset or 0)
            raw = file.read(needed)
    except (OSError, RuntimeError, ValueError) as error:  # symbolic links in a circle; zero bytes in a name
        reason = getattr(error, "strerror", None) or "no such path can be"
        raise SourceError(
            f"the data of {shown(name)} are in {shown(location)!r}, which cannot be read ({reason}); expected it "
            "beside the model"
        ) from None
    return TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=raw)


def _whole(value: str, name: str) -> int | None:
    """An offset or length; None where the file does not say."""
    if not value:
        return None
    if not value.isdecimal() or len(value) > 18:
        raise SourceError(f"the data of {shown(name)} start or end at {shown(value)!r}; expected a number of bytes")
    return int(value)
