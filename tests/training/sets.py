"""A small data set with something to learn, and the spec of a short training on it."""

from typing import Any

import numpy as np

from firstlight.images import ImageSet
from firstlight.training import RunSpec

CLASSES = tuple("abcd")


def make_set(split: str, count: int, *, channels: int = 3, size: int = 8) -> ImageSet:
    """Noise whose brightness tells the class."""
    random = np.random.default_rng([channels, split == "train"])
    labels = random.integers(0, len(CLASSES), count)
    pixels = random.integers(0, 128, (count, size, size, channels)) + 40 * labels[:, None, None, None]
    # As the named data sets come: a read-only view of (N, H, W, C).
    pixels = pixels.astype(np.uint8)
    pixels.setflags(write=False)
    mean, std = (0.5,) * channels, (0.25,) * channels
    return ImageSet("noise", split, pixels.transpose(0, 3, 1, 2), labels, CLASSES, mean, std)


TRAIN = make_set("train", 100)
TEST = make_set("test", 40)


def make_spec(train_set: ImageSet = TRAIN, test_set: ImageSet = TEST, **changes: Any) -> RunSpec:
    defaults = {"model": "resnet20", "steps": 12, "seed": 3, "batch_size": 16, "test_images": 40}
    return RunSpec.for_data(train_set=train_set, test_set=test_set, **{**defaults, **changes})
