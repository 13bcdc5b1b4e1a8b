"""Constants of an ONNX graph: stored, or computed from what is stored by an operator or two."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST
from firstlight.filters.formats.onnx.graph import Graph, Node
from firstlight.filters.formats.onnx.parts import OnnxParts, decoded, shown
from firstlight.filters.formats.onnx.stored import Constant, stored

_DEEPEST = 16  # operators between what is stored and what is used
_MOST_NUMBERS = 2 * LARGEST  # in all constants of a model together, those on the way included
_FOLLOWED = {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "DequantizeLinear", "QuantizeLinear"}
_ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


class Constants:
    """Reads the constants of a graph, each once.

    Parameters
    ----------
    graph : Graph
    parts : OnnxParts
        The model that the graph is of.
    model : Path
        The file of the model.
    """

    def __init__(self, graph: Graph, parts: OnnxParts, model: Path) -> None:
        self.graph, self.parts, self.model = graph, parts, model
        self.inputs = {put.name for put in graph.inputs}
        self.sparse = {decoded(tensor.values.name) for tensor in parts.graph.sparse_initializer}
        self.known: dict[str, Constant] = {}
        self.left = _MOST_NUMBERS

    def read(self, name: str, depth: int = 0) -> Constant:
        """The numbers of a tensor.

        Raises
        ------
        SourceError
            They depend on the network's input, are computed in a way that is not followed, or are not there.
        """
        if name not in self.known:
            if depth > _DEEPEST:
                raise SourceError(f"{shown(name)} is computed by more than {_DEEPEST} operators in a row")
            found = self._read(name, depth)
            self.left -= found.values.size
            if self.left < 0:
                raise SourceError(f"{shown(name)} is computed from more than {_MOST_NUMBERS:,} numbers")
            self.known[name] = found
        return self.known[name]

    def numbers(self, node: Node, attribute: str, position: int) -> tuple[int, ...] | None:
        """Whole numbers that older graphs keep in an attribute and newer ones in an input; None where absent."""
        if (found := node.ints(attribute)) is not None or not node.input(position):
            return found
        values = self.read(node.input(position)).values
        if values.size > 64 or not np.isfinite(values).all():
            raise SourceError(f"{attribute} of {node} is not a few finite numbers")
        return tuple(int(value) for value in values.ravel())

    def origin(self, name: str) -> tuple[str, tuple[int, ...] | None]:
        """The tensor that a computed one is stored in, found without reading numbers, and its declared shape."""
        for _ in range(_DEEPEST):
            node = self.graph.producer.get(name)
            if name in self.parts.spans or node is None or node.op not in _FOLLOWED | _ARITHMETIC.keys():
                break
            # Of two factors the larger; one that is itself computed counts as such.
            name = max(node.inputs[:2], key=self._size) if node.op in _ARITHMETIC else node.input(0)
        return name, self._dims(name)

    def _size(self, name: str) -> float:
        dims = self._dims(name)
        return math.inf if dims is None else math.prod(dims)

    def _dims(self, name: str) -> tuple[int, ...] | None:
        if name in self.parts.spans:
            return tuple(self.parts.initializer(name).dims)
        node = self.graph.producer.get(name)
        value = node.attribute("value") if node is not None and node.op == "Constant" else None
        return tuple(value.t.dims) if value is not None else None

    def _read(self, name: str, depth: int) -> Constant:
        if name in self.parts.spans:
            return stored(self.parts.initializer(name), name, self.model)
        node = self.graph.producer.get(name)
        if node is None:
            reason = "is stored as a sparse tensor" if name in self.sparse else "is not in the file"
            raise SourceError(f"{shown(name)} {'is an input of the network' if name in self.inputs else reason}")
        if node.op == "Constant" and node.domain == "":
            return self._of_constant(node, name)
        if node.input(0) and node.domain in ("", "com.microsoft"):
            first = self.read(node.input(0), depth + 1)
            try:
                return self._computed(node, first, depth)
            except (ValueError, IndexError, OverflowError):  # NumPy's, for shapes and axes that do not fit
                raise SourceError(f"{shown(name)} cannot be computed by {node}: its shapes do not fit") from None
        raise SourceError(f"{shown(name)} is computed by {shown(node.op)}, which is not followed")

    def _computed(self, node: Node, first: Constant, depth: int) -> Constant:
        values, op = first.values, node.op
        others = [self.read(name, depth + 1) if name else None for name in node.inputs[1:3]]
        second, third = (*others, None, None)[:2]
        if op == "Identity":
            return first
        if op == "Cast":
            return replace(first, values=_cast(values, node.number("to", 1)))
        if op == "Transpose":
            return replace(first, values=np.transpose(values, node.ints("perm")))
        if op == "Reshape" and second is not None:
            shape = (int(size) for size in second.values.ravel()[:9])
            # A zero keeps the length that is there.
            return replace(first, values=values.reshape([size or values.shape[i] for i, size in enumerate(shape)]))
        if op == "Squeeze":
            return replace(first, values=np.squeeze(values, self.numbers(node, "axes", 1)))
        if op == "Unsqueeze" and (axes := self.numbers(node, "axes", 1)) is not None:
            return replace(first, values=np.expand_dims(values, axes))
        if op in _ARITHMETIC and second is not None:
            if math.prod(np.broadcast_shapes(values.shape, second.values.shape)) > LARGEST:
                raise SourceError(f"{node} makes more than {LARGEST:,} numbers: no first layer is so large")
            larger = first if values.size >= second.values.size else second
            return replace(larger, values=_ARITHMETIC[op](values, second.values))
        if op in ("DequantizeLinear", "QuantizeLinear") and second is not None:
            axis, block = node.number("axis", 1), node.number("block_size", 0)
            if op == "DequantizeLinear":
                return dequantized(first, second, third, axis, block)
            return replace(first, values=_quantized(values, second, third, axis, block))
        raise SourceError(f"{shown(node.outputs[0])} is computed by {shown(node.op)}, which is not followed")

    def _of_constant(self, node: Node, name: str) -> Constant:
        for attribute in node.proto.attribute:
            if attribute.name == "value" and attribute.type == attribute.TENSOR:
                return stored(attribute.t, name, self.model)
            if attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
                dtype = "float32" if "float" in attribute.name else "int64"
                single, several = (
                    (attribute.f, attribute.floats) if dtype == "float32" else (attribute.i, attribute.ints)
                )
                values = np.array(several if attribute.name.endswith("s") else single, dtype=np.float64)
                return Constant(values, dtype, name)
        raise SourceError(f"{node} holds no dense tensor of numbers")


def dequantized(stored: Constant, scale: Constant, zero: Constant | None, axis: int = 0, block: int = 0) -> Constant:
    """(stored - zero) * scale, with one scale for all, one along an axis, or one for each block of an axis.

    Raises
    ------
    SourceError
        The scale does not fit the values.
    """
    scales, zeros = _spread(stored.values, scale, zero, axis, block)
    # Weights that the graph itself quantises first are stored as plain numbers.
    plain = stored.dtype in ("float16", "float32", "float64", "bfloat16")
    dtype = stored.dtype if plain else f"quantized {stored.dtype}"
    return replace(stored, values=(stored.values - zeros) * scales, dtype=dtype)


def _quantized(values: np.ndarray, scale: Constant, zero: Constant | None, axis: int, block: int) -> np.ndarray:
    """What QuantizeLinear makes of weights that are stored unquantised, as quantisation-aware training leaves them."""
    kind = "uint8" if zero is None else zero.dtype
    if kind not in ("int8", "uint8", "int16", "uint16"):
        raise SourceError(f"{shown(scale.name)} scales to {kind}; expected whole numbers of 8 or 16 bits")
    scales, zeros = _spread(values, scale, zero, axis, block)
    limits = np.iinfo(kind)
    return np.clip(np.rint(values / scales) + zeros, limits.min, limits.max)  # halves to even, as the operator does


def _spread(
    values: np.ndarray, scale: Constant, zero: Constant | None, axis: int, block: int
) -> tuple[np.ndarray, np.ndarray | float]:
    """Scale and zero point in a shape that broadcasts to the values."""

    def fit(numbers: np.ndarray) -> np.ndarray:
        if numbers.size == 1:
            return numbers.reshape(())
        if not -values.ndim <= axis < values.ndim:
            raise SourceError(f"{shown(scale.name)} scales axis {axis} of {values.ndim}")
        length = values.shape[axis]
        if block > 0 and numbers.ndim == values.ndim:
            spread = np.repeat(numbers, block, axis=axis) if numbers.size * block <= LARGEST else numbers
            spread = np.take(spread, np.arange(min(length, spread.shape[axis])), axis=axis)
            if spread.shape == values.shape:
                return spread
        elif numbers.size == length == max(numbers.shape):
            return numbers.reshape([length if i == axis % values.ndim else 1 for i in range(values.ndim)])
        raise SourceError(
            f"{shown(scale.name)} has shape {numbers.shape}, which does not fit weights of {values.shape}"
        )

    return fit(scale.values), 0.0 if zero is None else fit(zero.values)


def _cast(values: np.ndarray, to: int) -> np.ndarray:
    """Values as the type holds them: rounded, or cut to whole numbers."""
    from onnx import helper

    try:
        dtype = helper.tensor_dtype_to_np_dtype(to)
    except KeyError:
        dtype = np.dtype(object)
    if dtype.kind in "cO":
        raise SourceError(f"a cast to type {to} is not one to real numbers")
    return values.astype(dtype).astype(np.float64)
