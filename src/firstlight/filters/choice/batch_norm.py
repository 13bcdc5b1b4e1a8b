"""The batch normalisation that follows a layer, found in a bare state dict by its name."""

import re
from dataclasses import dataclass

import numpy as np

from firstlight.filters.choice.tensors import TensorEntry, TensorFile

# A state dict does not hold it: PyTorch's default. Some networks have 1e-3; it matters where variances are tiny.
EPSILON = 1e-5
_NORM = re.compile(r"batch_?norm(alization)?(_?2d)?|normalization|norm(_layer)?|bn")
_CONV = re.compile(r"convolution|conv(_?2d)?")


@dataclass(frozen=True)
class BatchNorm:
    """The tensors of one batch normalisation."""

    layer: str
    variance: TensorEntry
    gamma: TensorEntry | None


def find_batch_norm(file: TensorFile, layer: str, filters: int) -> BatchNorm | None:
    """The batch normalisation over as many channels as the layer has filters that comes right after it, or None.

    It is inside the layer (conv1.norm); or it has the same parent and the next number (features.0, features.1), the
    same name but for the kind (conv1, bn1), the same digits, or is the only one there and has no other digits. The
    order of a file tells nothing more: what comes next may belong to a branch, or normalise a sum.
    """
    norms = {}
    for entry in file.entries:
        if entry.name.endswith(".running_var") and entry.shape == (filters,):
            norms[entry.name.removesuffix(".running_var")] = entry
    parent, _, leaf = layer.rpartition(".")
    inside = [name for name in norms if layer and name.rpartition(".")[0] == layer and _is_norm(name)]
    beside = {name.rpartition(".")[2]: name for name in norms if name.rpartition(".")[0] == parent}
    name = inside[0] if len(inside) == 1 else beside.get(_beside(leaf, list(beside)))
    if name is None:
        return None
    gammas = {entry.name: entry for entry in file.entries if entry.shape == (filters,)}
    return BatchNorm(name, norms[name], gammas.get(f"{name}.weight"))


def scale_of(norm: BatchNorm, epsilon: float) -> np.ndarray:
    """What a batch normalisation multiplies each channel by, shape (K,)."""
    return multiplier(None if norm.gamma is None else norm.gamma.read(), norm.variance.read(), epsilon)


def multiplier(gamma: np.ndarray | None, variance: np.ndarray, epsilon: float) -> np.ndarray:
    """gamma / sqrt(variance + epsilon), gamma being 1 where there is none; not finite where the variance is damaged."""
    with np.errstate(all="ignore"):
        return (1.0 if gamma is None else gamma) / np.sqrt(variance + epsilon)


def _is_norm(name: str) -> bool:
    return _NORM.search(name.rpartition(".")[2].lower()) is not None


def _beside(leaf: str, norms: list[str]) -> str:
    """The name, among those with the same parent, of what normalises the layer `leaf`; empty if none does."""
    if re.fullmatch("[0-9]{1,9}", leaf):
        return str(int(leaf) + 1)
    named = [name for name in norms if _is_norm(name)]
    kindless, digits = _CONV.sub("", leaf.lower()), re.findall(r"\d+", leaf)
    for same in (
        [name for name in named if _NORM.sub("", name.lower()) == kindless or name.startswith(f"{leaf}_")],
        [name for name in named if re.findall(r"\d+", name) == digits],
        [name for name in named if not (digits and re.search(r"\d", name))],
    ):
        if same:
            return same[0] if len(same) == 1 else ""
    return ""
