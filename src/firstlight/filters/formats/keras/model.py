"""A Keras model's first convolution: by the graph of its configuration, or by order where the file has none.

Whole models come with their configuration, a graph of layers; files of weights alone do not, and the order must do.
Code in a file (a Lambda layer's) is never decoded.
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import FirstlightError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.batch_norm import multiplier
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.filters.formats.keras.graph import KerasGraph
from firstlight.filters.formats.keras.hdf5 import dtype_of, numbers_of, open_hdf5, text_of
from firstlight.filters.formats.keras.layers import KERNELS, KerasLayer, checked_name, is_model, pair
from firstlight.filters.formats.keras.weights import LegacyWeights, Weights, weights_of
from firstlight.filters.formats.refusals import named, refusing
from firstlight.utils.given import json_of
from firstlight.utils.text import counted

_EPSILON = 1e-3  # of Keras's batch normalisation, where the file does not say
_SHOWN = 8


def read_in_process(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """As `read_keras`, without the limits on time and memory; only for files that are known."""
    import h5py

    with named(source), refusing("a Keras file"), ExitStack() as stack:
        hdf5, config = open_hdf5(path, stack)
        file = stack.enter_context(h5py.File(hdf5, "r"))
        config = text_of(file, "model_config") if config is None else config
        model = None if config is None else json_of(config)
        weights = weights_of(file)
        if model is None:
            return _by_order(weights, source, layer, "the file holds no graph of layers: the first was judged")
        if not is_model(model["config"]):
            kind = checked_name(model["class_name"])[:99]
            return _by_order(weights, source, layer, f"{kind} has no graph of layers in the file: the first was judged")
        graph = KerasGraph(model)
        chosen, others = graph.first() if layer is None else (graph.named(layer), [])
        return replace(_bank(graph, chosen, weights, source), alternatives=tuple(map(str, others)))


def _by_order(weights: Weights, source: str, layer: str | None, note: str) -> FilterBank:
    """The first layer of weights without a graph, and in the legacy layout the batch normalisation next to it."""
    entries = tuple(
        TensorEntry(f"{name}/kernel", tuple(dataset.shape), dtype_of(dataset), lambda d=dataset: numbers_of(d)[0])
        for name, dataset in weights.kernels()
        if getattr(dataset, "shape", None)
    )
    ordered = isinstance(weights, LegacyWeights)
    bank = bank_of(TensorFile(source, entries, ordered, (note,)), layer)
    if ordered and (name := weights.norm_behind(bank.layer)):
        norm = KerasLayer(name, name, "BatchNormalization", {}, "", name)
        note = f"the file does not hold the epsilon of {name}: Keras's default, {_EPSILON}, is used"
        return _normalised(replace(bank, notes=(*bank.notes, note)), norm, weights)
    return bank


def _bank(graph: KerasGraph, layer: KerasLayer, weights: Weights, source: str) -> FilterBank:
    """The filters of a layer of the graph, what its input passes before, and the batch normalisation behind it."""
    settings = layer.settings
    dataset = weights.of(layer, KERNELS[layer.kind])
    if dataset is None or len(getattr(dataset, "shape", None) or ()) != 4:
        shape = getattr(dataset, "shape", None)
        raise SourceError(
            f"the kernel of {layer.path} has the shape {shape}; expected (rows, columns, channels, filters) "
            "in the file: the model was saved before it was built, or in a layout that is not known"
        )
    kernel, dtype = numbers_of(dataset)
    rows, columns, channels, filters = kernel.shape
    groups = settings.get("groups") or 1
    if layer.kind == "DepthwiseConv2D":
        groups, weight = channels, kernel.transpose(2, 3, 0, 1).reshape(channels * filters, 1, rows, columns)
    else:
        weight = kernel.transpose(3, 2, 0, 1)
    if type(groups) is not int or groups < 1 or len(weight) % groups:
        raise SourceError(
            f"{layer.path} has {groups!r:.20} groups for {counted(len(weight), 'filter')}; expected a divisor"
        )
    stride, dilation = pair(settings, "strides", 1), pair(settings, "dilation_rate", 1)
    same = str(settings.get("padding", "valid")).lower() == "same"
    reach = [d * (k - 1) for d, k in zip(dilation, (rows, columns), strict=True)]
    notes = [_passed(one, weights) for one in graph.before(layer)]
    if same and (max(stride) > 1 or any(one % 2 for one in reach)):
        notes.append(
            'padding is "same": how much each side gets depends on the size of the input, more at bottom and right'
        )
    bank = FilterBank(
        weight,
        layer=layer.path,
        source=source,
        stride=stride,
        padding=(reach[0] // 2, reach[1] // 2) if same else (0, 0),
        dilation=dilation,
        groups=groups,
        dtype=dtype,
        notes=tuple(note for note in notes if note),
    )
    for norm in (graph.layers[index] for index in sorted(layer.behind)):
        if norm.kind == "BatchNormalization":
            activation = settings.get("activation") or "linear"
            if activation != "linear":
                note = f"the batch normalisation {norm.path} follows the layer's own activation and cannot be folded"
                return replace(bank, notes=(*bank.notes, note))
            return _normalised(bank, norm, weights)
    return bank


def _normalised(bank: FilterBank, norm: KerasLayer, weights: Weights) -> FilterBank:
    """The bank with the scale of the batch normalisation that follows."""
    try:
        variance, gamma = weights.of(norm, ("moving_variance",)), weights.of(norm, ("gamma",))
        epsilon = float(norm.settings.get("epsilon", _EPSILON))
        values = None if gamma is None else numbers_of(gamma)[0]
        scale = multiplier(values, numbers_of(variance)[0], epsilon)
        return replace(bank, batch_norm=norm.path, scale=scale)
    except FirstlightError as error:
        return replace(bank, notes=(*bank.notes, f"the batch normalisation {norm.path} cannot be used: {error}"))


def _passed(layer: KerasLayer, weights: Weights) -> str:
    """What a reader should know of a layer between the input and the first convolution, or nothing."""
    settings = layer.settings
    if layer.kind == "Rescaling":
        scale, offset = _numbers(settings.get("scale", 1)), _numbers(settings.get("offset", 0))
        return f"the network rescales its input first: x * {scale} + {offset}"
    if layer.kind == "Normalization":
        numbers = []
        for what in ("mean", "variance"):
            value = settings.get(what)
            dataset = weights.of(layer, (what,)) if value is None else None
            numbers.append(_numbers(numbers_of(dataset)[0].tolist() if dataset is not None else value))
        how = "(x - mean) / sqrt(variance)"
        return f"the network normalises its input first: {how}, mean {numbers[0]}, variance {numbers[1]}"
    if layer.kind == "Lambda":
        return f"the input passes {layer.path} first, a Lambda layer, whose code is not read"
    return f"the input passes {layer.path} first, a {layer.kind}" if layer.kind == "BatchNormalization" else ""


def _numbers(value: Any) -> str:
    flat = np.ravel(np.asarray(value, dtype=np.float64))
    shown = " ".join(f"{number:.6g}" for number in flat[:_SHOWN])
    return shown + (" ..." if len(flat) > _SHOWN else "")
