"""What each preset trains of the two networks that most experiments share, so that they share their runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Preset = Literal["quick", "standard", "full"]

EPOCH = 195  # steps of 256 images on the 50,000 of CIFAR-10, the incomplete last batch dropped


@dataclass(frozen=True)
class Schedule:
    """How many steps VGG11 and ResNet20 are trained, with which seeds, and how many test images measure a run.

    `precision` is that of the networks' products: bfloat16 where a GPU is expected.
    """

    seeds: tuple[int, ...]
    steps: Mapping[str, int]
    test_images: int
    precision: str = "float32"


SCHEDULES: dict[str, Schedule] = {
    "quick": Schedule(seeds=(0, 1), steps={"vgg11": 20, "resnet20": 64}, test_images=500),
    "standard": Schedule(seeds=(0, 1, 2), steps={"vgg11": 2 * EPOCH, "resnet20": 5 * EPOCH}, test_images=2000),
    "full": Schedule(
        seeds=(0, 1, 2),
        steps={"vgg11": 30 * EPOCH, "resnet20": 30 * EPOCH},
        test_images=10_000,
        precision="bfloat16",
    ),
}
