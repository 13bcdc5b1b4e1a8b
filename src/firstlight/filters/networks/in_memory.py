"""Weights in memory without their network: tensors, arrays, and state dicts of them however nested."""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.utils.text import first_line, listed, printable

_SOURCE = "state dict"


def is_array(value: Any) -> bool:
    """Whether it is an array or tensor of any library; nothing is imported to find out."""
    return hasattr(type(value), "__array__") and hasattr(type(value), "dtype")


def as_array(value: Any, name: str) -> np.ndarray:
    """The values of an array or tensor, on whatever device it is: float64, or what a bank refuses, such as complex.

    Raises
    ------
    SourceError
        It has no values, or keeps them in a way of its own.
    """
    torch = sys.modules.get("torch")  # a tensor can only be here if torch was imported
    try:
        if torch is None or not isinstance(value, torch.Tensor):
            array = np.asarray(value)
            return array.astype(np.float64) if array.dtype.kind in "fiubV" else array
        if torch.nn.parameter.is_lazy(value) or value.is_meta:
            raise SourceError(f"{name} is lazy or on the meta device and has no values; expected loaded weights")
        value = value.full_tensor() if hasattr(value, "full_tensor") else value  # of which each device has a part
        value = value.detach().resolve_neg()
        value = value.dequantize() if value.is_quantized else value.to_dense()
        return value.cpu().numpy() if value.is_complex() else value.to("cpu", torch.float64).numpy()
    except (RuntimeError, ValueError, TypeError) as error:
        raise SourceError(f"{name} cannot be read ({first_line(error, kind=True)}); expected a plain tensor") from None


def read_state_dict(state: Mapping[Any, Any]) -> TensorFile:
    """List the tensors of a state dict, or of what a checkpoint holds, as those of the file with it would be.

    Parameters
    ----------
    state : mapping
        Names -> tensors or arrays; these may lie in further mappings, lists and tuples.

    Raises
    ------
    SourceError
        It holds no tensors.
    """
    entries = tensors_of(state)
    if not entries:
        held = listed([f"{printable(str(key), 40)} ({type(value).__name__})" for key, value in state.items()])
        raise SourceError(
            f"{_SOURCE} holds no tensors but {held or 'nothing'}; expected names and tensors, as of "
            "model.state_dict(), or the network itself"
        )
    return TensorFile(_SOURCE, entries, ordered=True)


def tensors_of(state: Mapping[Any, Any]) -> tuple[TensorEntry, ...]:
    """All tensors of a state dict in its order, under their keys joined by dots."""
    return tuple(_entries(state, "", {id(state)}))


def _entries(values: Any, prefix: str, seen: set[int]) -> Iterator[TensorEntry]:
    for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
        name = prefix + printable(str(key))
        if is_array(value):
            dtype = str(value.dtype).removeprefix("torch.")
            dtype = f"quantized {dtype[1:]}" if dtype.startswith("q") else dtype
            yield TensorEntry(name, _shape(value), dtype, partial(as_array, value, f"{_SOURCE}: {name}"))
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))  # shared or circular ones count where they stand first
            yield from _entries(value, f"{name}.", seen)


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return tuple(value.shape)
    except RuntimeError:  # a lazy parameter has none yet
        return ()
