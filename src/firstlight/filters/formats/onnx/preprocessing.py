"""What an ONNX graph does to the image before its first layer: scales and shifts channels, swaps them, or more."""

from dataclasses import dataclass, replace

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.batch_norm import EPSILON, multiplier
from firstlight.filters.formats.onnx.constants import Constants
from firstlight.filters.formats.onnx.graph import Graph, Input, Node, way_to
from firstlight.utils.text import listed

_MOST_CHANNELS = 4096
_SAME = {"Identity", "Cast", "Dropout", "QuantizeLinear", "DynamicQuantizeLinear"}  # but for rounding
_MOVES = {"Pad", "Resize", "Upsample", "Clip", "MaxPool", "AveragePool"}  # pixels, not channels


@dataclass(frozen=True)
class Pixels:
    """A tensor that is the image, channel by channel: scale * image[source] + shift.

    Attributes
    ----------
    axes : str
        What each axis is, such as "NHWC"; "1" for one that was added.
    source : ndarray of int, shape (C,)
        Which channel of the image each channel is.
    scale, shift : ndarray, shape (C,)
    """

    axes: str
    source: np.ndarray
    scale: np.ndarray
    shift: np.ndarray

    def take(self, channels: "np.ndarray | slice | list[int]") -> "Pixels":
        return replace(self, source=self.source[channels], scale=self.scale[channels], shift=self.shift[channels])

    def scaled(self, scale: np.ndarray) -> "Pixels":
        return replace(self, scale=self.scale * scale, shift=self.shift * scale)

    def shifted(self, shift: np.ndarray) -> "Pixels":
        return replace(self, shift=self.shift + shift)


def preparation(graph: Graph, constants: Constants, image: tuple[Input, ...], node: Node, channels: int) -> list[str]:
    """Say what the graph does to the image on its way to a layer.

    Parameters
    ----------
    graph : Graph
    constants : Constants
        Of the graph.
    image : tuple of Input
        Where the image may come in.
    node : Node
        The layer; its first input is followed back.
    channels : int
        Of the layer's input: assumed for an image that does not declare its own.

    Returns
    -------
    list of str
        Sentences without a full stop; none where the image arrives as it is.
    """
    way = way_to(graph, node, {put.name for put in image})
    last = node.op.startswith("Nhwc") or node.number("channels_last", 0) == 1
    # Where its shape leaves open which axis of the image the channels are on, the guess that leads them to the axis
    # where the layer takes them is right.
    for channels_last in (True, False):
        known = {put.name: _whole(put, channels, channels_last) for put in image}
        known, others = _followed(graph, constants, known, way)
        arrived = known.get(node.input(0))
        if arrived is not None and arrived.axes.index("C") == (len(arrived.axes) - 1 if last else 1):
            break
    notes = _described(arrived)
    if others:
        notes.append(f"the image goes through {listed(others, 6, ', ')} before it reaches the layer")
    return notes


def _whole(image: Input, channels: int, channels_last: bool) -> Pixels | None:
    unsure = image.shape is None or len(image.shape) == 4
    axes = image.axes or (("NHWC" if channels_last else "NCHW") if unsure else "")
    if not axes:
        return None
    count = (image.shape[axes.index("C")] if image.shape is not None else None) or channels
    return Pixels(axes, np.arange(count), np.ones(count), np.zeros(count)) if count <= _MOST_CHANNELS else None


def _followed(
    graph: Graph, constants: Constants, known: dict[str, Pixels | None], way: list[Node]
) -> tuple[dict[str, Pixels | None], list[str]]:
    """All tensors on the way of the image, and the nodes there that do what they do not tell."""
    others = []
    for step in way:
        try:
            results, plain = _step(step, known, graph, constants)
        except (SourceError, ValueError, IndexError, OverflowError):  # what cannot be followed is named instead
            results, plain = [], False
        known.update((name, results[i] if i < len(results) else None) for i, name in enumerate(step.outputs))
        if not plain:
            others.append(str(step))
    return known, others


def _step(
    step: Node, known: dict[str, Pixels | None], graph: Graph, constants: Constants
) -> tuple[list[Pixels | None], bool]:
    """What each output of a node is, and whether the node does nothing that this does not tell."""
    pixels = [known[name] for name in step.inputs if name in known]
    x = pixels[0]
    if x is None or step.domain not in ("", "com.microsoft"):
        return [], False
    channel = x.axes.index("C")
    if step.op == "Concat":
        joined = [each for each in pixels if each is not None and each.axes == x.axes]
        if len(joined) < len(step.inputs) or step.number("axis", 1) % len(x.axes) != channel:
            return [], False
        if sum(len(each.source) for each in joined) > _MOST_CHANNELS:
            return [], False
        parts = zip(*((each.source, each.scale, each.shift) for each in joined), strict=True)
        source, scale, shift = (np.concatenate(part) for part in parts)
        return [Pixels(x.axes, source, scale, shift)], True
    if len(pixels) > 1:
        return [], False
    if step.op in _SAME or step.op in _MOVES:
        return [x], step.op in _SAME
    if step.op == "Transpose":
        order = step.ints("perm") or tuple(reversed(range(len(x.axes))))
        if sorted(order) != list(range(len(x.axes))):
            return [], False
        return [replace(x, axes="".join(x.axes[i] for i in order))], True
    if step.op == "Unsqueeze":
        axes = list(x.axes)
        for axis in sorted(constants.numbers(step, "axes", 1) or ()):
            axes.insert(axis % (len(axes) + 1), "1")
        return [replace(x, axes="".join(axes))], True
    if step.op in ("Add", "Sub", "Mul", "Div", "BatchNormalization", "DequantizeLinear"):
        return [_affine(step, x, known, graph, constants)], True
    return _selected(step, x, channel, constants)


def _affine(step: Node, x: Pixels, known: dict[str, Pixels | None], graph: Graph, constants: Constants) -> Pixels:
    def vector(position: int, along: int | None = None) -> np.ndarray:
        """One number a channel; from one along the channel axis, or at that place in a shape that broadcasts."""
        values = constants.read(step.input(position)).values
        if along is None and values.size > 1:
            shape = [1] * len(x.axes)
            shape[x.axes.index("C")] = len(x.source)
            np.broadcast_to(values, shape)  # raises where it varies within a channel
        return np.broadcast_to(values.ravel(), x.source.shape)

    if step.op == "BatchNormalization":
        gamma, beta, mean, variance = (vector(position, 1) for position in (1, 2, 3, 4))
        epsilon = step.attribute("epsilon")
        scale = multiplier(gamma, variance, EPSILON if epsilon is None else epsilon.f)
        return x.shifted(-mean).scaled(scale).shifted(beta)
    if step.op == "DequantizeLinear":
        before = graph.producer.get(step.input(0))
        if before is not None and before.op == "QuantizeLinear":
            return x
        return (x.shifted(-vector(2, 1)) if step.input(2) else x).scaled(vector(1, 1))
    first = step.input(0) in known
    other = vector(1 if first else 0)
    if step.op in ("Mul", "Div"):
        if step.op == "Div" and not first:
            raise SourceError(f"{step} divides by the image")
        return x.scaled(other if step.op == "Mul" else 1 / other)
    if step.op == "Sub":
        return x.shifted(-other) if first else x.scaled(-np.ones(1)).shifted(other)
    return x.shifted(other)


def _selected(step: Node, x: Pixels, channel: int, constants: Constants) -> tuple[list[Pixels | None], bool]:
    """Channels, or pixels, picked out of the image."""
    rank = len(x.axes)
    if step.op == "Gather" and step.number("axis", 0) % rank == channel:
        indices = constants.read(step.input(1)).values
        if indices.ndim == 1 and len(indices) <= _MOST_CHANNELS:
            return [x.take(indices.astype(np.int64))], True
    if step.op == "GatherND" and channel == 0 and step.number("batch_dims", 0) == 0:
        indices = constants.read(step.input(1)).values
        if indices.ndim == 2 and indices.shape[1] == 1 and len(indices) <= _MOST_CHANNELS:
            return [x.take(indices[:, 0].astype(np.int64))], True
    if step.op == "Split" and step.number("axis", 0) % rank == channel:
        count = len(step.outputs)
        sizes = constants.numbers(step, "split", 1) or [-(-len(x.source) // count)] * count
        ends = np.cumsum(sizes)
        return [x.take(slice(end - size, end)) for size, end in zip(sizes, ends, strict=True)], True
    if step.op == "Slice":
        starts, ends = constants.numbers(step, "starts", 1) or (), constants.numbers(step, "ends", 2) or ()
        axes = constants.numbers(step, "axes", 3) or tuple(range(len(starts)))
        steps = constants.numbers(step, "steps", 4) or (1,) * len(starts)
        plain = True
        for start, end, axis, stride in zip(starts, ends, axes, steps, strict=True):
            if axis % rank != channel:
                plain = False
                continue
            # Backwards, an end before the first channel means down to the first; Python would count it from the last.
            last = None if stride < 0 and end < -len(x.source) else end
            x = x.take(slice(start, last, stride))
        return [x], plain
    return [], False


def _described(pixels: Pixels | None) -> list[str]:
    if pixels is None:
        return []
    notes = []
    count = len(pixels.source)
    order = pixels.source.tolist()
    moved = order != list(range(count))
    if moved and order == list(range(count))[::-1]:
        notes.append("the graph reverses the order of the image's channels first")
    elif moved:
        notes.append(f"the layer's channels are channels {_listed(pixels.source)} of the image")
    scale, shift = pixels.scale, pixels.shift
    if not (np.allclose(scale, 1, rtol=1e-6) and np.allclose(shift, 0, atol=1e-9)):
        mean, std = 0 - shift / scale, 1 / scale
        where = ", in the layer's order of channels" if moved else ""
        if np.isfinite(mean).all() and np.isfinite(std).all():
            numbers = f"(x - mean) / std with mean {_listed(mean)}, std {_listed(std)}{where}"
            notes.append(f"the graph normalises its input first: {numbers}")
        else:
            notes.append("the graph scales its input first, by zero or infinity")
    if "H" in pixels.axes and pixels.axes.index("H") > pixels.axes.index("W"):
        notes.append("the graph exchanges rows and columns of the image first: the filters are transposed likewise")
    return notes


def _listed(values: np.ndarray) -> str:
    """A few numbers, or one where all are the same."""
    values = values[:1] if len(values) > 1 and (values == values[0]).all() else values
    return " ".join(f"{value:.6g}" for value in values[:16]) + (" ..." if len(values) > 16 else "")
