"""Values that the fields of a spec take: one spelling each, so that equal specs have equal hashes."""

import math
import re
from collections.abc import Iterable
from typing import Any

from firstlight.errors import InputError

KERNEL_SIZE = 3  # of the patches whose components a spec names
LABELS = ("true", "random", "energy:N")
ENERGY_LABELS = re.compile("energy:([1-9][0-9]{0,8})")
# Of fields that take one of a few words, the first the authors'.
CHOICES = {
    "precision": ("float32", "bfloat16"),
    "optimizer": ("sgd", "adam"),
    "schedule": ("constant", "cosine"),
    "augmentation": ("none", "flip", "crop", "flip+crop"),
}
FIRST_LAYERS = ("default", "pca", "eq3:TAU", "orthogonal", "spectrum")
EQ3_START = re.compile(r"eq3:((?:0|[1-9][0-9]{0,5})(?:\.[0-9]{0,5}[1-9])?)")


def label_component(labels: str) -> int | None:
    """The component N, from 1, of labels `"energy:N"`; None of any others."""
    match = ENERGY_LABELS.fullmatch(labels) if isinstance(labels, str) else None
    return int(match[1]) if match else None


def start_tau(first_layer: str) -> float | None:
    """The tau, above 0, of a first layer that starts as `"eq3:TAU"`; None of any other."""
    match = EQ3_START.fullmatch(first_layer) if isinstance(first_layer, str) else None
    return float(match[1]) or None if match else None


def items(name: str, value: Any) -> tuple[Any, ...]:
    """The values of a list, of whatever kind that is; raises `InputError` where it is none."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{name} is {value!r}; expected a list")
    return tuple(value)


def finite_number(name: str, value: Any) -> float:
    """A number as a float, one for equal ones; raises `InputError` where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is {value!r}; expected a number") from None
    if not math.isfinite(number):
        raise InputError(f"{name} is {value!r}; expected a finite number")
    return number + 0.0  # -0.0 becomes 0.0, which it equals
