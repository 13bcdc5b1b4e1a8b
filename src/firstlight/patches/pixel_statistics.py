"""Mean and deviation of the pixels, channel by channel, out of the moments of their patches."""

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import Normalisation


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
