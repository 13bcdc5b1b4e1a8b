"""The graph of an ONNX model, and the first convolutions that its image meets."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstlight.errors import SourceError
from firstlight.filters.formats.onnx.parts import OnnxParts, decoded, shown

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto, ValueInfoProto

# Convolutions that are read, and where among their inputs the weight lies, its scale and its zero point.
CONVOLUTIONS = {
    ("", "Conv"): (1, None, None),
    ("", "ConvInteger"): (1, None, 3),
    ("", "QLinearConv"): (3, 4, 5),
    ("com.microsoft", "FusedConv"): (1, None, None),
    ("com.microsoft", "NhwcConv"): (1, None, None),
    ("com.microsoft", "NhwcFusedConv"): (1, None, None),
    ("com.microsoft", "QLinearConv"): (3, 4, 5),
}
_MOST_NODES = 100_000  # the largest image models have some 20,000
# Layers with weights that are no convolution: what they give is no longer the image.
_LAYERS = {"MatMul", "Gemm", "Einsum", "MatMulInteger", "QLinearMatMul", "QGemm", "FusedMatMul", "FusedGemm"}
_LAYERS |= {"MatMulNBits", "LSTM", "GRU", "RNN", "Attention", "MultiHeadAttention", "STFT", "DFT"}
_SUBGRAPHS = {"If", "Loop", "Scan", "SequenceMap"}
_SHAPES = {"Shape", "Size", "ConstantOfShape", "RandomNormalLike", "RandomUniformLike", "EyeLike"}  # no pixels in them


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the graph; its names as text."""

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    takes: tuple[str, ...]
    """All tensors that it needs, each once: its inputs, and what its subgraphs take from around them."""
    proto: "NodeProto"

    def __str__(self) -> str:
        return f"{shown(self.op)} {shown(self.name or next(iter(self.outputs), '(unnamed)'))}"

    @property
    def is_convolution(self) -> bool:
        """Whether it is one of those that can be read."""
        return (self.domain, self.op) in CONVOLUTIONS

    def input(self, position: int | None) -> str:
        """The tensor at this position; empty where the node has none."""
        return "" if position is None or position >= len(self.inputs) else self.inputs[position]

    def attribute(self, name: str) -> "AttributeProto | None":
        return next((a for a in self.proto.attribute if a.name == name), None)

    def ints(self, name: str) -> tuple[int, ...] | None:
        """An attribute of whole numbers, or of one; None where the node has none."""
        attribute = self.attribute(name)
        if attribute is None:
            return None
        if attribute.type == attribute.INTS:
            return tuple(attribute.ints)
        if attribute.type == attribute.INT:
            return (attribute.i,)
        raise SourceError(f"attribute {name} of {self} holds no whole numbers")

    def number(self, name: str, default: int) -> int:
        """An attribute of one whole number."""
        value = self.ints(name)
        return default if value is None or len(value) != 1 else value[0]


@dataclass(frozen=True)
class Input:
    """An input of the network that is no weight; axes of unknown length are None, an unknown shape is too."""

    name: str
    shape: tuple[int | None, ...] | None

    @property
    def axes(self) -> str:
        """What its axes are, judged by where there are 1 to 4 channels: "NCHW", "NHWC", "CHW", "HWC", or empty."""
        rank = len(self.shape or ())
        for axes in ("NCHW", "NHWC") if rank == 4 else ("CHW", "HWC") if rank == 3 else ():
            if self.shape is not None and (self.shape[axes.index("C")] or 0) in (1, 2, 3, 4):
                return axes
        return ""


class Graph:
    """Nodes, and who makes and who takes every tensor.

    Parameters
    ----------
    parts : OnnxParts
        The model.

    Attributes
    ----------
    nodes : list of Node
        In the order of the file.
    order : list of Node
        Every node after those whose results it takes, whatever their order in the file; without nodes in a circle.
    producer : dict of str to Node
    consumers : dict of str to list of Node
    inputs : list of Input
    """

    def __init__(self, parts: OnnxParts) -> None:
        if (count := len(parts.graph.node)) > _MOST_NODES:
            raise SourceError(f"its graph has {count:,} nodes; expected at most {_MOST_NODES:,}")
        self.nodes = [_node(proto) for proto in parts.graph.node]
        self.functions = parts.functions
        self.producer: dict[str, Node] = {}
        self.consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.outputs:
                self.producer.setdefault(name, node)
            for name in node.takes:
                self.consumers.setdefault(name, []).append(node)
        named = ((decoded(value.name), value) for value in parts.graph.input)
        self.order = list(self._ordered())
        # Up to IR version 3 the initialisers are listed among the inputs too.
        self.inputs = [Input(name, _shape(value)) for name, value in named if name not in parts.spans]

    def _ordered(self) -> Iterator[Node]:
        waiting = {node: sum(name in self.producer for name in node.takes) for node in self.nodes}
        ready = deque(node for node, count in waiting.items() if count == 0)
        while ready:
            node = ready.popleft()
            yield node
            for name in dict.fromkeys(node.outputs):
                for consumer in self.consumers.get(name, ()) if self.producer[name] is node else ():
                    waiting[consumer] -= 1
                    if waiting[consumer] == 0:
                        ready.append(consumer)


@dataclass(frozen=True)
class FirstLayers:
    """What an image meets first: the layers with weights that nothing but the image leads to, nearest first."""

    image: tuple[Input, ...]
    convolutions: tuple[Node, ...]
    others: tuple[Node, ...]


def first_layers(graph: Graph) -> FirstLayers:
    """Follow the image, or else any input, to the first layers.

    The image is the input of four axes with 1 to 4 channels; next, one of three axes with so many; then any.
    """
    for axes in (("NCHW", "NHWC"), ("CHW", "HWC")):
        image = tuple(put for put in graph.inputs if put.axes in axes)
        first = _follow(graph, image)
        # Three axes may be something else than an image: then only a convolution is an answer.
        if first.convolutions or (first.others and "NCHW" in axes):
            return first
    return _follow(graph, tuple(graph.inputs))


def way_to(graph: Graph, node: Node, image: set[str]) -> list[Node]:
    """Nodes that the image goes through before it enters a node, in their order."""
    needed: set[Node] = set()
    stack = [node.input(0)]
    while stack:
        maker = graph.producer.get(stack.pop())
        if maker is not None and maker not in needed:
            needed.add(maker)
            stack += maker.takes
    way, seen = [], set(image)
    for step in graph.order:
        if step in needed and not _is_shape(step) and not seen.isdisjoint(step.takes):
            way.append(step)
            seen.update(step.outputs)
    return way


def _follow(graph: Graph, image: tuple[Input, ...]) -> FirstLayers:
    # How many nodes each tensor is away from the image, while nothing but the image is in it; a tensor that some layer
    # has had a part in is in `behind`.
    distance = {put.name: 0 for put in image}
    behind: set[str] = set()
    found: list[tuple[int, Node]] = []
    for node in graph.order:
        if behind.isdisjoint(node.takes):
            away = [distance[name] for name in node.takes if name in distance]
            if not away or _is_shape(node):
                continue
            if not _is_layer(node, graph, distance):
                distance.update(dict.fromkeys(node.outputs, 1 + min(away)))
                continue
            found.append((min(away), node))
        behind.update(node.outputs)
    nodes = [node for _, node in sorted(found, key=lambda pair: pair[0])]
    return FirstLayers(
        image,
        tuple(node for node in nodes if node.is_convolution),
        tuple(node for node in nodes if not node.is_convolution),
    )


def _is_shape(node: Node) -> bool:
    return node.op in _SHAPES and node.domain == ""


def _is_layer(node: Node, graph: Graph, image: dict[str, int]) -> bool:
    """Whether it has weights of its own, or might, and not only rearranges or rescales pixels."""
    if node.op == "Gather":  # a table looked up by the input is an embedding
        return node.input(0) not in image
    if node.op in _SUBGRAPHS or (node.domain, node.op) in graph.functions:
        return True
    return node.is_convolution or "Conv" in node.op or node.op in _LAYERS


def _captured(proto: "NodeProto") -> Iterator[str]:
    """Tensors that the subgraphs of a node take: from around them, or made inside."""
    graphs = [graph for attribute in proto.attribute for graph in (attribute.g, *attribute.graphs)]
    while graphs:
        for inner in graphs.pop().node:
            yield from map(decoded, inner.input)
            graphs += [graph for attribute in inner.attribute for graph in (attribute.g, *attribute.graphs)]


def _node(proto: "NodeProto") -> Node:
    op, domain = decoded(proto.op_type), decoded(proto.domain)
    inputs = tuple(map(decoded, proto.input))
    outputs = tuple(decoded(name) for name in proto.output if name)
    takes = (*inputs, *_captured(proto)) if op in _SUBGRAPHS else inputs
    takes = tuple(dict.fromkeys(filter(None, takes)))
    return Node(op, "" if domain == "ai.onnx" else domain, decoded(proto.name), inputs, outputs, takes, proto)


def _shape(value: "ValueInfoProto") -> tuple[int | None, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
