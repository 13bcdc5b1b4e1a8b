"""Programs that `torch.export.save` wrote (.pt2): the first convolution by the graph, its weight by its raw bytes.

The archive is a zip of JSON and raw numbers; neither torch nor any code of the file is run.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.batch_norm import multiplier
from firstlight.filters.formats.archives import open_archive
from firstlight.filters.formats.exported.archive import ExportedArchive, whole
from firstlight.filters.formats.exported.graph import ExportedGraph, Node
from firstlight.filters.formats.refusals import named, refusing
from firstlight.utils.text import listed


def is_exported(names: list[str]) -> bool:
    """Whether a zip with members of these names is a program of `torch.export.save`, or was compiled from one."""
    return any(name.rpartition("/")[2] in ("archive_format", "serialized_exported_program.json") for name in names)


def read_exported(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The filters of the first convolution that an exported program applies to its input.

    Parameters
    ----------
    path : Path
        A .pt2 archive.
    source : str
        What messages and the result call it.
    layer : str, optional
        Name of a convolution's weight to take instead, with or without ".weight".

    Returns
    -------
    FilterBank
        Further convolutions on the same input are listed in `alternatives`.

    Raises
    ------
    SourceError
        The file is damaged, too old, or holds pickled or compiled code only; or the first layer is no
        two-dimensional convolution.
    InputError
        `layer` names no convolution.
    """
    with named(source), refusing("a program as torch.export.save writes it"), open_archive(path) as archive:
        program = _Program(ExportedArchive(archive), source)
        chosen, others = program.first() if layer is None else (program.named(layer), [])
        bank = program.bank(chosen)
        return replace(bank, alternatives=tuple(program.label(node) for node in others))


class _Program:
    """A graph and its tensors: which convolution is taken, and its filters."""

    def __init__(self, tensors: ExportedArchive, source: str) -> None:
        self.tensors, self.source = tensors, source
        self.graph = ExportedGraph(tensors.graph_module)

    def first(self) -> tuple[Node, list[Node]]:
        """The first two-dimensional convolution on the input, and the others on it."""
        if on_input := self.graph.convolutions_on_input():
            if problem := self._unusable(on_input[0]):
                raise SourceError(f"{problem}; {self._candidates()}")
            return on_input[0], [node for node in on_input[1:] if not self._unusable(node)]
        if product := self.graph.product_on_input():
            name = next(filter(None, map(self.graph.weight, product.operands)), "")
            raise SourceError(
                f"its first layer, {name or 'without a name'}, is a linear one ({product.operation}), "
                "as of pixels or flattened patches, whose order of pixels is not known; expected a two-dimensional "
                f"convolution; {self._candidates()}"
            )
        raise SourceError(f"applies no convolution to its input; {self._candidates()}")

    def named(self, layer: str) -> Node:
        """The convolution whose weight has this name, with or without ".weight"."""
        wanted = {layer, f"{layer}.weight" if layer else "weight"}
        for node in self.graph.nodes:
            if node.convolves and self._weight(node) in wanted:
                if problem := self._unusable(node):
                    raise InputError(f"layer is {layer!r}: {problem}; {self._candidates()}")
                return node
        raise InputError(f"layer is {layer!r}, which is no convolution of it; {self._candidates()}")

    def _weight(self, node: Node, operand: str = "weight") -> str:
        """Full name of the stored tensor that an operation takes as its weight, or nothing."""
        return self.graph.weight(node.tensors.get(operand, ""))

    def _unusable(self, node: Node) -> str:
        """Why a convolution cannot be taken, or nothing."""
        name = self._weight(node)
        if not name:
            maker = self.graph.makers.get(self.graph.same(node.tensors.get("weight", "")))
            how = f" by {maker.operation}" if maker else ""
            return (
                f"the weight of its convolution {''.join(node.results)} is computed in the graph{how}; expected a "
                "stored one: bake it in (as with torch.nn.utils.parametrize.remove_parametrizations) and export again"
            )
        dimensions = len(self.tensors.shape(name)) - 2
        if dimensions != 2:
            return f"the convolution {_layer(name)} is {dimensions}-dimensional; expected a two-dimensional one"
        if "transpose" in node.operation or node.settings.get("transposed") is True:
            return f"the convolution {_layer(name)} is a transposed one; expected one that has input patches"
        return ""

    def label(self, node: Node) -> str:
        """NAME K x C x kh x kw."""
        name = self._weight(node)
        return f"{_layer(name)} {' x '.join(map(str, self.tensors.shape(name)))}"

    def _candidates(self) -> str:
        usable = [node for node in self.graph.nodes if node.convolves and not self._unusable(node)]
        labels = list(dict.fromkeys(map(self.label, usable)))
        if not labels:
            return "it has no two-dimensional convolutions with stored weights"
        return f"its convolutions are {listed(labels)}: pass layer=NAME"

    def bank(self, node: Node) -> FilterBank:
        """The filters of a convolution and the batch normalisation behind it."""
        name = self._weight(node)
        kernel = self.tensors.shape(name)[2:]
        stride, dilation = _pair(node.settings.get("stride"), 1), _pair(node.settings.get("dilation"), 1)
        padding = node.settings.get("padding")
        if padding == "same":
            padding = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
        weight, dtype = self._dequantized(self.graph.same(node.tensors["weight"]))
        bank = FilterBank(
            weight,
            layer=_layer(name),
            source=self.source,
            stride=stride,
            padding=_pair(None if padding == "valid" else padding, 0),
            dilation=dilation,
            groups=whole(node.settings.get("groups", 1)),
            dtype=dtype,
        )
        norm = self.graph.batch_norm_behind(node)
        try:
            return bank if norm is None else self._normalised(bank, norm)
        except FirstlightError as error:
            return replace(bank, notes=(*bank.notes, f"the batch normalisation cannot be used: {error}"))

    def _normalised(self, bank: FilterBank, norm: Node) -> FilterBank:
        variance = self._weight(norm, "running_var")
        if not variance:
            return replace(bank, notes=(*bank.notes, "the batch normalisation that follows keeps no running variance"))
        gamma = self._weight(norm)
        epsilon = float(norm.settings.get("eps", norm.settings.get("epsilon", 1e-5)))
        scale = multiplier(self.tensors.read(gamma) if gamma else None, self.tensors.read(variance), epsilon)
        return replace(bank, batch_norm=variance.rpartition(".")[0], scale=scale)

    def _dequantized(self, value: str) -> tuple[np.ndarray, str]:
        """The weight that a value is, float64, rescaled where it is quantised, and how it is stored."""
        name, maker = self.graph.weight(value), self.graph.makers.get(value)
        weight, dtype = self.tensors.read(name), self.tensors.dtype(name)
        if maker is None:
            return weight, dtype
        if maker.operation == "dequantize_per_tensor" and not maker.tensors.keys() & {"scale", "zero_point"}:
            scale, zero = np.asarray(maker.settings["scale"], float), np.asarray(maker.settings["zero_point"], float)
        else:
            tensors = [maker.tensors.get(f"{part}s") or maker.tensors[part] for part in ("scale", "zero_point")]
            scale, zero = (self.tensors.read(self.graph.weight(one)) for one in tensors)
            axes = [1] * weight.ndim
            axes[whole(maker.settings.get("axis", 0))] = -1
            if scale.size not in (1, weight.shape[axes.index(-1)]) or zero.size != scale.size:
                raise SourceError(f"{name} has {scale.size} scales for the shape {weight.shape}")
            scale, zero = scale.reshape(axes), zero.reshape(axes)
        return (weight - zero) * scale, f"quantized {dtype}"


def _layer(weight: str) -> str:
    """The layer that a weight of this full name belongs to."""
    return "" if weight == "weight" else weight.removesuffix(".weight")


def _pair(value: Any, usual: int) -> tuple[int, int]:
    values = [usual] if value is None or value == [] else value if isinstance(value, list) else [value]
    return whole(values[0]), whole(values[-1])
