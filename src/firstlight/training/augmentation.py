"""Flips and crops of a batch of training images, on the device that trains."""

import numpy as np
import torch
from torch import Tensor

from firstlight.training.random_numbers import AUGMENTATION, seed_sequence
from firstlight.training.spec import RunSpec

PADDING = 4


def moves(spec: RunSpec, step: int) -> tuple[np.ndarray, np.ndarray]:
    """How the update that follows `step` others sees its batch: which images are flipped and how far they are shifted.

    As `draw`, for the augmentation of the spec.
    """
    flips, shifts = draw(spec, step, spec.batch_size)
    if "flip" not in spec.augmentation:
        flips[:] = False
    if "crop" not in spec.augmentation:
        shifts[:] = 0
    return flips, shifts


def draw(spec: RunSpec, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` images are flipped, (count,) bool, and how far they are shifted, (count, 2) int64.

    They follow from the seed and the step alone: the same on every device, with either augmentation or both.
    """
    generator = np.random.Generator(np.random.PCG64(seed_sequence(spec, AUGMENTATION, step)))
    flips = generator.integers(0, 2, count, dtype=bool, endpoint=False)
    return flips, generator.integers(-PADDING, PADDING, (count, 2), endpoint=True)


def moved(images: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """Flip images (B, H, W, C) left to right, and then crop them after a padding with zeros.

    Parameters
    ----------
    images : Tensor, shape (B, H, W, C)
        Normalised, so that zero is the mean.
    flips : Tensor, shape (B,), bool
        Which are flipped.
    shifts : Tensor, shape (B, 2), int64
        Rows and columns by which the crop lies below and right of the image.

    Returns
    -------
    Tensor, shape (B, H, W, C)
    """
    device = images.device
    count, height, width, _ = images.shape
    rows, columns = (
        shifts[:, axis, None] + torch.arange(size, device=device) for axis, size in enumerate((height, width))
    )
    outside = ((rows < 0) | (rows >= height))[:, :, None] | ((columns < 0) | (columns >= width))[:, None, :]
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    image = torch.arange(count, device=device)[:, None, None]
    chosen = images[image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return chosen.masked_fill_(outside[..., None], 0)
