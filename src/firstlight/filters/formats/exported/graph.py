"""The graph of an exported program: its operations, subgraphs inlined, and which of them meet the input first."""

from dataclasses import dataclass
from typing import Any

from firstlight.errors import SourceError

_DEEPEST = 16  # nested subgraphs

_CONVOLUTIONS = {f"conv{transposed}{d}d" for transposed in ("", "_transpose") for d in (1, 2, 3)}
_CONVOLUTIONS |= {"convolution", "_convolution", "convolution_overrideable", "cudnn_convolution", "mkldnn_convolution"}
_LINEAR = {"linear", "addmm", "mm", "bmm", "matmul", "baddbmm", "einsum", "embedding", "lstm", "gru", "rnn_tanh"}
_DEQUANTIZE = {"dequantize_per_tensor", "dequantize_per_channel"}
_SAME_VALUES = {"to", "_to_copy", "alias", "detach", "detach_", "clone", "contiguous", "lift_fresh_copy"}
_BATCH_NORMS = {"batch_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
_BATCH_NORMS |= {"_native_batch_norm_legit_functional", "cudnn_batch_norm", "_batch_norm_with_update"}

# What a value comes from: the input, a convolution, a matrix product.
_INPUT, _CONVOLVED, _MULTIPLIED = 1, 2, 4


@dataclass(frozen=True)
class Node:
    """One operation of the flattened graph; the values it takes and makes are named by unique strings."""

    operation: str  # "conv2d" of "torch.ops.aten.conv2d.default"
    settings: dict[str, Any]
    tensors: dict[str, str]  # the operands that are passed by name
    operands: list[str]
    results: list[str]

    @property
    def convolves(self) -> bool:
        return self.operation in _CONVOLUTIONS

    @property
    def input(self) -> str:
        """The value that a convolution is of."""
        return self.tensors.get("input") or self.tensors.get("self") or ""


class ExportedGraph:
    """All operations of an exported program.

    Parameters
    ----------
    graph_module : dict
        The graph and its signature, out of the archive's JSON.

    Attributes
    ----------
    nodes : list of Node
        In the order in which they are executed.
    makers : dict of str to Node
        The operation that made each value.
    """

    def __init__(self, graph_module: dict[str, Any]) -> None:
        self.nodes: list[Node] = []
        self._weights: dict[str, str] = {}  # value -> full name of the parameter, buffer or constant
        inputs: list[str] = []
        for spec in graph_module["signature"]["input_specs"]:
            ((kind, content),) = spec.items()
            if kind in ("parameter", "buffer", "tensor_constant"):
                self._weights[content["arg"]["name"]] = content[f"{kind}_name"]
            elif kind == "user_input":
                inputs += _values(content["arg"])
        self._flatten(graph_module["graph"], {}, "", 0)
        self.makers = {result: node for node in self.nodes for result in node.results}
        self._origins = dict.fromkeys(inputs, _INPUT)
        for node in self.nodes:
            origin = 0
            for operand in node.operands:
                origin |= self._origins.get(operand, 0)
            if origin:
                origin = _CONVOLVED if node.convolves else _MULTIPLIED if node.operation in _LINEAR else origin
                self._origins |= dict.fromkeys(node.results, origin)

    def _flatten(self, graph: dict[str, Any], known: dict[str, str], prefix: str, depth: int) -> None:
        """Append the operations of a graph; `known` renames its values, `prefix` makes its own ones unique."""
        if depth > _DEEPEST:
            raise SourceError(f"its graphs are nested more than {_DEEPEST} deep; expected a few")
        for number, node in enumerate(graph["nodes"]):
            tensors, operands, settings, subgraphs, first = {}, [], {}, [], 0
            for argument in node["inputs"]:
                ((kind, value),) = argument["arg"].items()
                values = [known.get(name, prefix + name) for name in _values(argument["arg"])]
                if kind == "as_graph":
                    subgraphs.append(value["graph"])
                    first = len(operands)  # what comes behind the graphs is what they are given
                if kind in ("as_tensor", "as_optional_tensor") and values:
                    tensors[argument["name"]] = values[0]
                operands += values
                settings[argument["name"]] = value
            results = [name for output in node["outputs"] for name in _values(output)]
            for index, subgraph in enumerate(subgraphs):
                taken = [name for one in subgraph["inputs"] for name in _values(one)]
                inner, inner_prefix = dict(zip(taken, operands[first:], strict=False)), f"{prefix}{number}.{index}/"
                self._flatten(subgraph, inner, inner_prefix, depth + 1)
                made = [inner.get(name, inner_prefix + name) for one in subgraph["outputs"] for name in _values(one)]
                known.update(zip(results, made, strict=False))
            if not subgraphs:
                operation = [*node["target"].removeprefix("torch.ops.").split("."), ""][1]
                self.nodes.append(Node(operation, settings, tensors, operands, [prefix + name for name in results]))

    def convolutions_on_input(self) -> list[Node]:
        """Those that the input comes to, changed or not, but not through another convolution."""
        found = []
        for node in self.nodes:
            if node.convolves:
                origin = self._origins.get(node.input, 0)
                if origin & _INPUT and not origin & _CONVOLVED:
                    found.append(node)
        return found

    def product_on_input(self) -> Node | None:
        """The first matrix product of the input."""
        for node in self.nodes:
            if node.operation in _LINEAR and any(self._origins.get(one, 0) & _INPUT for one in node.operands):
                return node
        return None

    def batch_norm_behind(self, node: Node) -> Node | None:
        """The first batch normalisation of what an operation makes."""
        for norm in self.nodes:
            if norm.operation in _BATCH_NORMS and self.same(norm.tensors.get("input", "")) in node.results:
                return norm
        return None

    def same(self, value: str) -> str:
        """Back through casts and copies to where a value was made."""
        # The maker of a value comes before its user, but a hostile graph may say otherwise: so not for ever.
        for _ in range(_DEEPEST):
            maker = self.makers.get(value)
            if maker is None or maker.operation not in _SAME_VALUES or not maker.operands:
                break
            value = maker.operands[0]
        return value

    def weight(self, value: str) -> str:
        """Full name of the stored tensor that a value is, rescaled or not, or nothing where it is computed."""
        value = self.same(value)
        if value in self.makers and self.makers[value].operation in _DEQUANTIZE:
            value = self.same(self.makers[value].tensors.get("input", ""))
        return self._weights.get(value, "")


def _values(argument: Any) -> list[str]:
    """Names of the tensors in one serialised argument."""
    ((kind, value),) = argument.items()
    if kind == "as_tensor":
        return [value["name"]]
    if kind == "as_optional_tensor":
        return _values(value) if "as_tensor" in value else []
    if kind == "as_tensors":
        return [one["name"] for one in value]
    if kind == "as_optional_tensors":
        return [one["as_tensor"]["name"] for one in value if "as_tensor" in one]
    return []
