"""Weights that a state dict holds in parts: weight normalisation, spectral normalisation, pruning."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import TensorEntry

# What ends the names of the stored part and of its companions -> how they make the weight that the layer uses.
_NEW = ".parametrizations.weight.original"


def effective_entries(entries: Iterable[TensorEntry]) -> tuple[TensorEntry, ...]:
    """The entries, with those that stand for a weight replaced by that weight, under the name that it has in a layer.

    Known are PyTorch's weight normalisation (both kinds of names), spectral normalisation as an evaluated network
    applies it, and pruning with a mask. The companions stay in the list.
    """
    entries = tuple(entries)
    by_name = {entry.name: entry for entry in entries}
    return tuple(_effective(entry, by_name) for entry in entries)


def _effective(entry: TensorEntry, by_name: dict[str, TensorEntry]) -> TensorEntry:
    for ending, companions, combine in (
        (".weight_v", (".weight_g",), _weight_norm),
        (f"{_NEW}1", (f"{_NEW}0",), _weight_norm),
        (".weight_orig", (".weight_mask",), np.multiply),
        (".weight_orig", (".weight_u", ".weight_v"), _spectral_norm),
        (_NEW, (".parametrizations.weight.0._u", ".parametrizations.weight.0._v"), _spectral_norm),
    ):
        layer = entry.name.removesuffix(ending)
        if layer != entry.name and all(layer + companion in by_name for companion in companions):
            parts = (entry, *(by_name[layer + companion] for companion in companions))
            return replace(entry, name=f"{layer}.weight", load=_combined(combine, parts))
    return entry


def _combined(combine: Callable[..., np.ndarray], parts: tuple[TensorEntry, ...]) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        arrays = [part.read() for part in parts]
        try:
            with np.errstate(all="ignore"):  # what is not finite is found when the filters are used
                weight = combine(*arrays)
        except ValueError:
            weight = np.empty(0)
        if weight.shape != parts[0].shape:
            shapes = ", ".join(f"{part.name} {part.shape}" for part in parts)
            raise SourceError(f"parts of one weight do not fit together: {shapes}: the file is damaged")
        return weight

    return load


def _weight_norm(direction: np.ndarray, length: np.ndarray) -> np.ndarray:
    axes = tuple(axis for axis, size in enumerate(length.shape) if size == 1 and length.ndim == direction.ndim)
    norm = np.sqrt(np.sum(direction**2, axis=axes or None, keepdims=True))
    return length * direction / norm


def _spectral_norm(weight: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return weight / (u @ (weight.reshape(len(weight), -1) @ v))
