"""The first layer of an ONNX model: the first convolution that its graph applies to the image."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.batch_norm import EPSILON, multiplier
from firstlight.filters.choice.space_to_depth import over_pixels
from firstlight.filters.formats.onnx.constants import Constants, dequantized
from firstlight.filters.formats.onnx.graph import CONVOLUTIONS, FirstLayers, Graph, Node, first_layers
from firstlight.filters.formats.onnx.parts import OnnxParts, decoded, open_onnx, shown
from firstlight.filters.formats.onnx.pixel_blocks import places_of_channels
from firstlight.filters.formats.onnx.preprocessing import preparation
from firstlight.filters.formats.onnx.stored import Constant
from firstlight.filters.formats.refusals import named
from firstlight.utils.text import counted, listed, printable

# Names that exporters number: they say nothing of the layer.
_ANONYMOUS = re.compile(r"(onnx::.*|(val|tmp|_v|t)?_?\d+|)")
_FOLDED = "no batch normalisation follows: it may have been folded into the weights"


def read_onnx(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The filters of the first convolution that an ONNX model applies to its image.

    Parameters
    ----------
    path : Path
        The model. Of its weights only those of the layer are read, from it or from a file in the same folder.
    source : str
        What results and messages call it.
    layer : str, optional
        Name of a convolution, or of its weight, to take instead.

    Returns
    -------
    FilterBank
        With the layer's settings, and the scale of the batch normalisation that follows; its notes say what the graph
        does to the image first.

    Raises
    ------
    SourceError
        The package onnx is missing, the file is damaged, or the image meets something else than a two-dimensional
        convolution with stored weights.
    InputError
        `layer` names no convolution of the model, or the weights are not finite numbers.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise SourceError(f"{source}: reading ONNX models needs onnx: pip install 'firstlight[onnx]'") from None
    with named(source), np.errstate(all="ignore"):  # what is not finite is told once the weights are there
        return _read(open_onnx(path), path, source, layer)


def _read(parts: OnnxParts, model: Path, source: str, layer: str | None) -> FilterBank:
    graph = Graph(parts)
    constants = Constants(graph, parts, model)
    first = first_layers(graph)
    if layer is None:
        if not first.convolutions:
            raise SourceError(_nothing(graph, constants, first))
        node, *rest = first.convolutions
    else:
        node, rest = _named(graph, constants, layer), []
    kernel = _kernel(graph, constants, node)
    weight = kernel.values
    name = _name(node, kernel.name)
    notes = []
    if weight.ndim != 4:
        kinds = {3: "is one-dimensional", 5: "is three-dimensional"}
        problem = kinds.get(weight.ndim, f"has weights of {counted(weight.ndim, 'dimension')}")
        raise SourceError(f"the convolution {shown(name)} {problem}; expected a two-dimensional one")
    groups = node.number("group", 1)
    if groups < 1 or len(weight) % groups:
        raise SourceError(f"{node} has {groups} groups; expected a divisor of its {counted(len(weight), 'filter')}")
    weight = _upright(node, weight, groups, first)
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")
    padding = _padding(node, weight.shape[2:], stride, dilation, notes)
    batch_norm, scale = _batch_norm(graph, constants, node, len(weight), notes)
    places = None
    if node in first.convolutions:
        places = places_of_channels(graph, constants, first.image, node, weight.shape[1])
        if places is None:
            notes = [*preparation(graph, constants, first.image, node, weight.shape[1] * groups), *notes]
    bank = FilterBank(
        weight,
        layer=name,
        source=source,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        dtype=kernel.dtype,
        batch_norm=batch_norm,
        scale=scale,
        alternatives=_alternatives(constants, node, rest),
        notes=tuple(notes),
    )
    return over_pixels(bank, dict.fromkeys(parts.spans, ()), places)


# Which convolution


def _nothing(graph: Graph, constants: Constants, first: FirstLayers) -> str:
    """Why there is no first layer to be read."""
    others = [node for node in graph.order if node.is_convolution]
    hint = f"; its convolutions are {_listed(constants, others)}: take one with layer=NAME" if others else ""
    if not first.others:
        circle = "" if len(graph.order) == len(graph.nodes) else ", and its nodes form a circle"
        names = ", ".join(shown(put.name) for put in graph.inputs[:8]) or "none"
        return f"no convolution is reached from its inputs ({names}){circle}; expected a convolutional network{hint}"
    node = first.others[0]
    if "Conv" in node.op:
        why = "; expected an ordinary two-dimensional convolution"
    elif (node.domain, node.op) in graph.functions:
        why = (
            ", a function of the model's own; expected plain operators: onnx.inliner.inline_local_functions makes them"
        )
    elif node.op in ("If", "Loop", "Scan", "SequenceMap"):
        why = ", whose subgraphs are not followed; expected a convolution in the graph itself"
    elif node.op in ("MatMul", "Gemm", "Einsum"):
        why = ", a linear layer, whose order of the pixels in a patch the graph does not say; expected a convolution"
    else:
        why = "; expected a convolution"
    return f"its image first meets {node}{why}{hint}"


def _named(graph: Graph, constants: Constants, layer: str) -> Node:
    nodes = [node for node in graph.order if node.is_convolution]
    for wanted in (layer, f"{layer}.weight"):
        for node in nodes:
            if wanted in (node.name, _weight(node), constants.origin(_weight(node))[0]):
                return node
    names = f"; its convolutions are {_listed(constants, nodes)}" if nodes else ", which has none"
    raise InputError(f"layer is {shown(layer)!r}; expected the name of a convolution of this model{names}")


def _weight(node: Node) -> str:
    return node.input(CONVOLUTIONS[node.domain, node.op][0])


def _name(node: Node, tensor: str) -> str:
    """What to call a layer: by its weight as its network did, unless an exporter has numbered that."""
    usable = [name for name in (tensor, node.name) if not _ANONYMOUS.fullmatch(name)]
    return printable(usable[0] if usable else node.name or tensor or next(iter(node.outputs), ""))


def _label(constants: Constants, node: Node) -> str:
    tensor, dims = constants.origin(_weight(node))
    return " ".join((shown(_name(node, tensor)), " x ".join(map(str, dims[:8])) if dims is not None else "computed"))


def _listed(constants: Constants, nodes: list[Node]) -> str:
    return listed(nodes, show=partial(_label, constants))


def _alternatives(constants: Constants, node: Node, rest: list[Node]) -> tuple[str, ...]:
    """Convolutions that the image meets as well, without those that share the weight."""
    found = {constants.origin(_weight(other))[0]: other for other in reversed(rest[:16])}
    found.pop(constants.origin(_weight(node))[0], None)
    return tuple(_label(constants, other) for other in reversed(found.values()))


# Its weight


def _kernel(graph: Graph, constants: Constants, node: Node) -> Constant:
    _, scale, zero = CONVOLUTIONS[node.domain, node.op]
    try:
        kernel = constants.read(_weight(node))
        if scale is None and zero is None:
            return kernel
        point = constants.read(node.input(zero)) if node.input(zero) else None
        # ConvInteger leaves the scale to whoever takes its result.
        factor = constants.read(node.input(scale)) if scale is not None else _later_scale(graph, constants, node)
        return dequantized(kernel, factor, point)
    except SourceError as error:
        raise SourceError(f"the weights of {node} cannot be read: {error}") from None


def _later_scale(graph: Graph, constants: Constants, node: Node) -> Constant:
    """The scale of a ConvInteger's weights: the constant in what its result is multiplied with."""
    for step in _after(graph, node, lambda step: step.op in ("Cast", "Add", "Mul")):
        if step.op != "Mul":
            continue
        for name in step.inputs:
            maker = graph.producer.get(name)
            for candidate in (name, *(maker.inputs if maker is not None and maker.op == "Mul" else ())):
                try:
                    return constants.read(candidate)
                except SourceError:  # the image's own scale, found only when the network runs
                    continue
    raise SourceError("its result is not multiplied with a constant scale")


def _upright(node: Node, weight: np.ndarray, groups: int, first: FirstLayers) -> np.ndarray:
    """The weight as (K, C, kh, kw), where an operator for NHWC may keep its channels last."""
    declared = node.ints("kernel_shape")
    fits = [declared is None or weight.shape[2:] == declared, declared is None or weight.shape[1:3] == declared]
    if not node.op.startswith("Nhwc"):
        fits[1] = False
    elif all(fits):
        counts = {put.shape[put.axes.index("C")] for put in first.image if put.shape and put.axes}
        fits = [groups * weight.shape[1] in counts, groups * weight.shape[3] in counts]
    if sum(fits) != 1:
        raise SourceError(
            f"{node} has a weight of shape {weight.shape} and kernel_shape {declared}; expected (K, C, kh, kw)"
        )
    return weight if fits[0] else weight.transpose(0, 3, 1, 2)


# Its settings


def _pair(node: Node, name: str) -> tuple[int, int]:
    value = node.ints(name) or (1, 1)
    if len(value) != 2 or not all(1 <= each <= 1 << 20 for each in value):
        raise SourceError(f"{name} of {node} are {value[:8]}; expected two positive numbers")
    return value[0], value[1]


def _padding(
    node: Node, kernel: tuple[int, ...], stride: tuple[int, int], dilation: tuple[int, int], notes: list[str]
) -> tuple[int, int]:
    attribute = node.attribute("auto_pad")
    mode = decoded(attribute.s) if attribute is not None else "NOTSET"
    if mode in ("", "NOTSET"):
        pads = node.ints("pads") or (0, 0, 0, 0)
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        # With a stride it depends on the size of the image: this is for one that the stride divides.
        total = [max(d * (k - 1) + 1 - s, 0) for k, s, d in zip(kernel, stride, dilation, strict=True)]
        less, more = [each // 2 for each in total], [each - each // 2 for each in total]
        pads = (*less, *more) if mode == "SAME_UPPER" else (*more, *less)
        if max(stride) > 1:
            notes.append(f"padding is {mode}: given for an image whose size the stride divides")
    else:
        raise SourceError(f"auto_pad of {node} is {shown(mode)!r}; expected NOTSET, SAME_UPPER, SAME_LOWER or VALID")
    if len(pads) != 4 or not all(0 <= each <= 1 << 20 for each in pads):
        raise SourceError(f"pads of {node} are {pads[:8]}; expected four numbers, none negative")
    if pads[:2] != pads[2:]:
        notes.append(f"padded by {pads[0]} at the top, {pads[1]} left, {pads[2]} at the bottom, {pads[3]} right")
    return pads[0], pads[1]


# What follows it


def _after(graph: Graph, node: Node, passes: Callable[[Node], bool]) -> Iterator[Node]:
    """Operators that take a node's result, directly or through those that pass it on; nearest first, a few at most."""
    near, seen = list(node.outputs[:1]), {node}
    for _ in range(6):
        takers = [taker for name in near for taker in graph.consumers.get(name, ())[:16] if taker not in seen]
        seen.update(takers)
        yield from takers
        near = [name for taker in takers if passes(taker) for name in taker.outputs[:1]]


def _batch_norm(
    graph: Graph, constants: Constants, node: Node, count: int, notes: list[str]
) -> tuple[str, np.ndarray | None]:
    def passes(step: Node) -> bool:
        if node.op == "ConvInteger" and step.op in ("Cast", "Add", "Mul"):  # its scales, and its bias
            return True
        bias = step.op == "Add" and any(constants.origin(name)[1] is not None for name in step.inputs)
        return bias or step.op in ("Identity", "Cast", "QuantizeLinear", "DequantizeLinear")

    for step in _after(graph, node, passes):
        if step.op == "BatchNormalization":
            tensor = constants.origin(step.input(1))[0]
            name = _name(step, tensor.removesuffix(".weight"))
            try:
                gamma, variance = (constants.read(step.input(position)).values for position in (1, 4))
            except SourceError as error:
                notes.append(f"batch normalisation {shown(name)} follows, but its scale cannot be read: {error}")
                return name, None
            if gamma.shape != (count,) or variance.shape != (count,):
                notes.append(f"batch normalisation {shown(name)} follows, but not over {counted(count, 'channel')}")
                return name, None
            epsilon = step.attribute("epsilon")
            scale = multiplier(gamma, variance, EPSILON if epsilon is None else epsilon.f)
            if not np.isfinite(scale).all():
                notes.append(f"batch normalisation {shown(name)} follows, but its scale is not finite")
                return name, None
            return name, scale
    notes.append(_FOLDED)
    return "", None
