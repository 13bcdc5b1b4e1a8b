"""Quantised weights whose scale is a tensor of its own beside them, as the common quantisers store them."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import TensorEntry

_QUANTISED = {"int8", "uint8", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}
# What follows the layer's name -> what its numbers are divided by: bitsandbytes stores the largest magnitude of a row.
# "scale_inv" is the inverse of the factor that was applied before rounding, so it multiplies like all the others.
_SCALES = {
    "weight_scale": 1.0,
    "weight_scale_inv": 1.0,
    "scale_weight": 1.0,
    "weight.scale": 1.0,
    "scale": 1.0,
    "SCB": 127.0,
}
_ZERO_POINTS = ("weight_zero_point", "weight.zero_point")


def scaled_entries(entries: Iterable[TensorEntry]) -> tuple[TensorEntry, ...]:
    """Wrap quantised weights so that they load rescaled: (stored - zero point) * scale.

    A tensor "X.weight" of 8-bit integers or floats is quantised when a tensor "X.weight_scale",
    "X.weight_scale_inv", "X.scale_weight", "X.weight.scale", "X.scale" or (int8) "X.SCB" is there: one number, or one
    an output channel. The zero point is "X.weight_zero_point", if there is one.

    Parameters
    ----------
    entries : iterable of TensorEntry
        All tensors of a file, of any format.

    Returns
    -------
    tuple of TensorEntry
        As many, in the same order. Quantised ones have a dtype such as "quantized int8"; reading one raises
        SourceError when its scale does not fit, as a block-wise scale does not. All others are as they were: 8-bit
        weights without a scale, too.
    """
    entries = tuple(entries)
    table = {entry.name: entry for entry in entries}
    return tuple(_scaled(entry, table) for entry in entries)


def _scaled(entry: TensorEntry, table: dict[str, TensorEntry]) -> TensorEntry:
    layer = entry.name.removesuffix("weight")
    if entry.dtype not in _QUANTISED or layer == entry.name or (layer and not layer.endswith(".")):
        return entry
    suffix = next((suffix for suffix in _SCALES if layer + suffix in table), None)
    if suffix is None or (suffix == "SCB" and entry.dtype != "int8"):
        return entry
    zero = next((table[layer + suffix] for suffix in _ZERO_POINTS if layer + suffix in table), None)

    def load() -> np.ndarray:
        scale = _factor(table[layer + suffix], entry) / _SCALES[suffix]
        stored = entry.read()
        return (stored if zero is None else stored - _factor(zero, entry)) * scale

    return replace(entry, dtype=f"quantized {entry.dtype}", load=load)


def _factor(companion: TensorEntry, weight: TensorEntry) -> np.ndarray:
    """A scale or zero point in a shape that broadcasts over the weight's output channels."""
    channels = weight.shape[0] if weight.shape else 1
    if (
        companion.shape
        and max(companion.shape) > 1
        and companion.shape != (channels,) + (1,) * (len(companion.shape) - 1)
    ):
        raise SourceError(
            f"{weight.name} is quantised, and {companion.name} has the shape {companion.shape}; expected one number "
            f"or {channels}, one an output channel: other scales are not supported"
        )
    values = companion.read()
    if values.size == 0 or not np.isfinite(values).all():
        raise SourceError(f"{weight.name} is quantised, and {companion.name} is empty or not finite")
    return values.reshape((-1,) + (1,) * (len(weight.shape) - 1)) if weight.shape else values.reshape(())
