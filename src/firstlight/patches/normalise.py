"""Normalisation: what is given for it, and what moments are once pixels are shifted and scaled, channel by channel."""

from collections.abc import Sequence

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.text import counted

# Mean and standard deviation per channel, in 0..1 for uint8 images.
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def checked_normalisation(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every channel, shapes (C,), float64.

    Parameters
    ----------
    mean, std : float or sequence of C floats, optional
        One for all channels or one for each; None: 0 and 1.

    Raises
    ------
    InputError
        A wrong number of channels, a number that is not finite, or a std that is not positive.
    """
    found = _per_channel("mean", 0.0 if mean is None else mean, channels)
    scale = _per_channel("std", 1.0 if std is None else std, channels)
    if scale.min() <= 0:
        raise InputError(f"std is {std}; expected positive numbers")
    return found, scale


def scaled_covariance(second: np.ndarray, first: np.ndarray, count: int, scale: np.ndarray) -> np.ndarray:
    """Covariance of what was summed, in units of a scale: ``second / count - mean mean^T``, rounded once if exact.

    Parameters
    ----------
    second, first : ndarray, shapes (D, D) and (D,), int64 or float64
        Sums of ``p p^T`` and of ``p``.
    count : int
        How many were summed.
    scale : ndarray, shape (D,)
        What entry is 1 unit of p.

    Returns
    -------
    ndarray, shape (D, D), float64
        Sums of integers lose nothing to cancellation: they are subtracted as integers, and the quotient is rounded.
    """
    if second.dtype == np.int64:
        # Python's integers do not overflow, and their quotient is correctly rounded.
        large, sums = second.astype(object), first.astype(object)
        covariance = (count * large - np.outer(sums, sums)) / count**2
    else:
        mean = first / count
        covariance = second / count - np.outer(mean, mean)
    return covariance.astype(np.float64) / np.outer(scale, scale)


def one_or_all(name: str, values: float | Sequence[float], channels: int) -> Sequence[float] | float:
    """What a user gave for the channels: one number for all of them, or one for each."""
    values = list(np.atleast_1d(values))
    if len(values) not in (1, channels):
        raise InputError(
            f"{name} has {counted(len(values), 'number')}; expected 1 or {channels}, one for each channel of "
            "the filters"
        )
    return values[0] if len(values) == 1 else values


def _per_channel(name: str, value: float | Sequence[float], channels: int) -> np.ndarray:
    try:
        values = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{name} is {value!r}; expected a number or {counted(channels, 'number')}") from None
    if values.shape not in ((), (channels,)) or not np.isfinite(values).all():
        raise InputError(f"{name} is {value!r}; expected a finite number, or one for each of {channels} channels")
    return np.broadcast_to(values, channels)
