"""What each preset trains: seeds, and of every network how many steps at which learning rate.

`full` is the protocol of the paper: 30 epochs at lr 0.01, 100 where both kinds of labels are compared. At that rate a
network stays on its first plateau for hundreds of steps, so that on two CPU cores nothing would be learnt in a day.
The small presets take a higher rate, chosen by measurement: the lowest of a few at which the network is well over the
accuracy from which on it is judged, in the fewest steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Preset = Literal["quick", "standard", "full"]

EPOCH = 195  # steps of 256 images on the 50,000 of CIFAR-10, the incomplete last batch dropped
PAIR_EPOCH = 39  # on two of its classes


@dataclass(frozen=True)
class Training:
    """How long and how fast one network is trained; `train_images` are the first so many, None for all."""

    steps: int
    lr: float = 0.01
    train_images: int | None = None


@dataclass(frozen=True)
class Schedule:
    """Seeds, and the training of every network by its name in `networks.NETWORKS`; what is not there is not trained.

    `precision` is that of the networks' products: bfloat16 where a GPU is expected. `test_images` measure a run.
    """

    seeds: tuple[int, ...]
    trainings: Mapping[str, Training]
    test_images: int
    precision: str = "float32"


_PAIRS = ("automobile-truck", "dog-frog", "dog-cat", "bird-airplane", "ship-airplane")
_EPOCHS = {
    **dict.fromkeys(("vgg11", "resnet20", "resnet20b", "resnet18", "vgg11-width16", "vgg11-width128"), 30),
    **dict.fromkeys(("vgg11-frozen", "vgg11-energy15"), 30),
    **dict.fromkeys(("vgg11-long", "vgg11-random"), 100),
    **dict.fromkeys(("vgg11-stride3", "vgg11-scaled5", "vgg11-scaled15"), 30),
    **dict.fromkeys(("vgg5", "vgg5-frozen", "vgg8", "vgg8-frozen"), 30),
    **dict.fromkeys(("vgg13", "vgg16", "resnet32"), 30),
    **dict.fromkeys(("resnet20-long", "resnet20-random"), 100),
    **dict.fromkeys(("vgg11-stride3-random",), 30),
    **dict.fromkeys(("resnet20-stride3", "resnet20-scaled5", "resnet20-scaled15"), 30),
    **dict.fromkeys(("vgg11-photos", "resnet20-photos"), 30),
}

SCHEDULES: dict[str, Schedule] = {
    "quick": Schedule(
        seeds=(0,),
        trainings={"vgg11": Training(100, lr=0.3), "resnet20": Training(75, lr=0.3)},
        test_images=1000,
    ),
    "standard": Schedule(seeds=(0, 1, 2), trainings={}, test_images=2000),
    "full": Schedule(
        seeds=(0, 1, 2),
        trainings={name: Training(epochs * EPOCH) for name, epochs in _EPOCHS.items()}
        | {f"vgg11-{pair}": Training(30 * PAIR_EPOCH) for pair in _PAIRS},
        test_images=10_000,
        precision="bfloat16",
    ),
}
