"""How pixels are normalised before filters see them: what the data say, and what a user gives."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import Normalisation


def told_normalisation(moments: PatchMoments) -> Normalisation | None:
    """That of all pixels of the images, where a file of moments says it, as `firstlight moments` writes it."""
    try:
        mean, std = (json.loads(moments.provenance[name]) for name in ("mean", "std"))
    except (KeyError, ValueError, TypeError):
        return None
    fits = _is_numbers(mean, moments.channels) and _is_numbers(std, moments.channels)
    return (tuple(mean), tuple(std)) if fits else None


def one_or_all(name: str, values: float | Sequence[float], channels: int) -> Sequence[float] | float:
    """What a user gave for the channels: one number for all of them, or one for each."""
    values = list(np.atleast_1d(values))
    if len(values) not in (1, channels):
        raise InputError(
            f"{name} has {len(values)} numbers; expected 1 or {channels}, one for each channel of the filters"
        )
    return values[0] if len(values) == 1 else values


def _is_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(value, float) for value in values)
