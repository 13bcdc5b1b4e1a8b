"""Normalisation: what is given for it, and what moments are once pixels are shifted and scaled, channel by channel."""

from collections.abc import Sequence

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.console import note_once
from firstlight.utils.text import counted, spaced

# Mean and standard deviation per channel, in 0..1 for uint8 images.
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]

# Of pixels in 0..1 no deviation is larger than 0.5: people who divide by more than this mean those in 0..255.
_WIDE = 4


def checked_normalisation(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int, white: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every channel, shapes (C,), float64, in the unit of the pixels.

    Where they were written for pixels in 0..255 and the pixels are in 0..1, or the other way round, they are converted,
    with a note: ``(x / 255 - mean) / std`` is ``(x - 255 mean) / (255 std)``.

    Parameters
    ----------
    mean, std : float or sequence of C floats, optional
        One for all channels or one for each; None: 0 and 1.
    channels : int
    white : {1, 255, 0}
        What the pixels' largest value means them to be in: 0..1, 0..255 or, 0, a unit of their own.

    Raises
    ------
    InputError
        A wrong number of channels, a number that is not finite, a std that is not positive, or a mean of pixels in
        0..255 with a std of pixels in 0..1.
    """
    found = _per_channel("mean", 0.0 if mean is None else mean, channels)
    scale = _per_channel("std", 1.0 if std is None else std, channels)
    if scale.min() <= 0:
        raise InputError(f"std is {std}; expected positive numbers")
    largest, unity = np.abs(found).max(), bool((scale == 1).all())
    if not white or (not largest and unity):
        return found, scale
    wide = scale.max() > _WIDE
    bytes_ = largest > 1 or (not largest and wide)
    if largest > 255 or (bytes_ and scale.max() < 1) or (not bytes_ and wide):
        raise InputError(
            f"mean is {spaced(found)} and std {spaced(scale)}; expected both of pixels in 0..1, or both of pixels in "
            "0..255: give --mean and --std (mean=, std=) as the network's training has them"
        )
    if bytes_ == (white == 255):
        return found, scale
    note_once(
        f"mean {spaced(found)} and std {spaced(scale)} are taken for those of pixels in 0..{255 if bytes_ else 1}, and "
        f"{'divided' if bytes_ else 'multiplied'} by 255 for these images"
    )
    return (found / 255, scale / 255) if bytes_ else (found * 255, scale * 255)


def white_level(mean: np.ndarray, square: np.ndarray) -> int:
    """Whether floating-point pixels are in 0..1 (1) or in 0..255 (255), by the means of them and of their squares.

    Parameters
    ----------
    mean, square : ndarray, shape (C,)
        Of every channel.

    Returns
    -------
    int
        0 where they are in neither, such as pixels that are normalised already.
    """
    if mean.min() >= 0 and square.max() <= 1:
        return 1
    bright, varied = mean.max() > 1, (square - mean**2).max() > 1
    level = np.sqrt(square.max())
    return 255 if bright and varied and 3 < level <= 255 and mean.min() >= 0 and mean.max() > level / 10 else 0


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
