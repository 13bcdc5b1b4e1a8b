"""The batch normalisation that follows a layer, found in a bare state dict by its name or its place."""

import re
from dataclasses import dataclass

import numpy as np

from firstlight.filters.tensors import TensorEntry, TensorFile

# A state dict does not hold it: PyTorch's default. Some networks have 1e-3; it matters where variances are tiny.
EPSILON = 1e-5
_NORM = re.compile(r"^_?(bn|batch_?norm\w*|norm\w*|normalization|norm_layer)(\w*)$")


@dataclass(frozen=True)
class BatchNorm:
    """The tensors of one batch normalisation."""

    layer: str
    variance: TensorEntry
    gamma: TensorEntry | None


def find_batch_norm(file: TensorFile, layer: str, filters: int) -> BatchNorm | None:
    """The batch normalisation over as many channels as the layer has filters that comes right after it, or None.

    Names decide: the same parent and the next number (features.0, features.1), the same digits (conv1, bn1), or the
    only one in that parent. Else, where the file is in the order of the layers, the next tensors do.
    """
    norms = {}
    for entry in file.entries:
        if entry.name.endswith(".running_var") and entry.shape == (filters,):
            norms[entry.name.removesuffix(".running_var")] = entry
    parent, _, leaf = layer.rpartition(".")
    beside = {name.rpartition(".")[2]: name for name in norms if name.rpartition(".")[0] == parent}
    name = None
    if leaf.isdigit():
        name = beside.get(str(int(leaf) + 1))
    elif named := [one for one in beside if _NORM.match(one)]:
        same = [one for one in named if re.findall(r"\d+", one) == re.findall(r"\d+", leaf)]
        if len(same or named) == 1:
            name = beside[(same or named)[0]]
    if name is None and file.ordered:
        name = _next(file, layer, norms)
    if name is None:
        return None
    gammas = {entry.name: entry for entry in file.entries if entry.shape == (filters,)}
    return BatchNorm(name, norms[name], gammas.get(f"{name}.weight"))


def scale_of(norm: BatchNorm) -> np.ndarray:
    """What a batch normalisation multiplies each channel by, shape (K,): gamma / sqrt(variance + epsilon)."""
    gamma = 1.0 if norm.gamma is None else norm.gamma.read()
    with np.errstate(invalid="ignore", divide="ignore"):
        return gamma / np.sqrt(norm.variance.read() + EPSILON)


def _next(file: TensorFile, layer: str, norms: dict[str, TensorEntry]) -> str | None:
    """The first normalisation behind the layer's own tensors and before the next weight of two or more axes."""
    behind = False
    for entry in file.entries:
        own = entry.name == layer or entry.name.startswith(f"{layer}.")
        if behind and not own:
            if len(entry.shape) > 1:
                return None
            if (name := entry.name.rpartition(".")[0]) in norms:
                return name
        behind = behind or own
    return None
