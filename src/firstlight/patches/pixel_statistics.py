"""The normalisation that moments of patches bring along: mean and deviation of the pixels, channel by channel."""

from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import Normalisation
from firstlight.utils.given import json_of


def pixel_statistics(moments: PatchMoments) -> Normalisation:
    """Mean and standard deviation per channel of the pixels in the patches, in 0..1 for uint8 images.

    Of 1 x 1 patches these are the statistics of the images; of larger ones, pixels near a border count less often.
    """
    if moments.count == 0:
        raise InputError("these moments hold no patches; expected at least one: call update(images) first")
    taps = moments.kernel_size**2
    mean = moments.first.astype(np.float64).reshape(moments.channels, taps).mean(axis=1) / moments.count
    square = np.diag(moments.second).astype(np.float64).reshape(moments.channels, taps).mean(axis=1) / moments.count
    std = np.sqrt(np.maximum(square - mean**2, 0))
    if not (std > 0).all():
        raise InputError(
            f"channel {int(np.argmin(std))} has the same value in every pixel, hence no deviation: give --std (std=)"
        )
    return tuple((mean / moments.unit).tolist()), tuple((std / moments.unit).tolist())


def recorded_normalisation(moments: PatchMoments) -> Normalisation | None:
    """That of all pixels of the images, where a file of moments says it, as `firstlight moments` writes it."""
    try:
        mean, std = (json_of(moments.provenance[name]) for name in ("mean", "std"))
    except (KeyError, ValueError, TypeError):
        return None
    fits = _is_numbers(mean, moments.channels) and _is_numbers(std, moments.channels)
    return (tuple(mean), tuple(std)) if fits else None


def _is_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(value, float) for value in values)
