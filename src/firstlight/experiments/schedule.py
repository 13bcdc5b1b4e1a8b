"""What each preset trains: seeds, and of every network how many steps at which learning rate.

`full` is the protocol of the paper: 30 epochs at lr 0.01, 100 where both kinds of labels are compared. At that rate a
network stays on its first plateau for hundreds of steps, so that on two CPU cores nothing would be learnt in a day.
The small presets take a higher rate, chosen by measurement (seed 0, two CPU cores): of 0.1, 0.3 and 1 the one at which
a network was soonest over the accuracy from which on it is judged. Training accuracy of VGG11 was 19, 29 and 16% after
100 steps, of ResNet20 35, 33 and 29% after 75. Random labels are learnt of 2,560 images, where 50,000 need a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from firstlight.experiments.networks import SMALL, START_RATES, STARTS, started

Preset = Literal["quick", "standard", "full"]

EPOCH = 195  # steps of 256 images on the 50,000 of CIFAR-10, the incomplete last batch dropped
PAIR_EPOCH = 39  # on two of its classes


@dataclass(frozen=True)
class Training:
    """How long and how fast one network is trained; `train_images` are the first so many, None for all.

    `seeds` are its own, where it has others than the schedule.
    """

    steps: int
    lr: float = 0.01
    train_images: int | None = None
    batch_size: int = 256
    seeds: tuple[int, ...] | None = None


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

_VGG11, _RESNET20 = Training(150, lr=0.3), Training(75, lr=0.1)


def _starts(steps: Mapping[str, int], batch_size: int) -> dict[str, Training]:
    """Every start of the experiment `initialisation` at every learning rate."""
    return {
        started(model, start, rate): Training(count, rate, batch_size=batch_size, seeds=(0, 1, 2, 3, 4))
        for model, count in steps.items()
        for start in STARTS
        for rate in START_RATES[model]
    }


# Of `beyond`, the same in every preset that has them: small enough for two CPU cores.
_SMALL = {name: Training(1500, 0.1 if changes else 0.01, batch_size=64) for name, _, _, changes in SMALL}

SCHEDULES: dict[str, Schedule] = {
    "quick": Schedule(seeds=(0,), trainings={"vgg11": _VGG11, "resnet20": _RESNET20}, test_images=1000),
    "standard": Schedule(
        seeds=(0, 1, 2),
        trainings={
            **dict.fromkeys(("vgg11", "vgg11-long", "vgg11-width16", "vgg11-width128", "vgg11-frozen"), _VGG11),
            **dict.fromkeys(("vgg11-stride3", "vgg11-scaled5", "vgg11-scaled15", "vgg11-energy15"), _VGG11),
            **dict.fromkeys(("vgg5", "vgg5-frozen"), Training(562, lr=0.3)),
            **dict.fromkeys(("vgg8", "vgg8-frozen"), Training(133, lr=0.3)),
            **dict.fromkeys(("resnet20", "resnet20b"), _RESNET20),
            "resnet18": Training(56, lr=0.1),
            "vgg11-random": Training(178, lr=0.3, train_images=2560),
            **_starts({"fastnet": 200, "resnet20": 100, "vgg11": 100}, batch_size=64),
            **_SMALL,
        },
        test_images=2000,
    ),
    "full": Schedule(
        seeds=(0, 1, 2),
        trainings={name: Training(epochs * EPOCH) for name, epochs in _EPOCHS.items()}
        | {f"vgg11-{pair}": Training(30 * PAIR_EPOCH) for pair in _PAIRS}
        | _starts(dict.fromkeys(START_RATES, 5 * EPOCH), batch_size=256)
        | _SMALL,
        test_images=10_000,
        precision="bfloat16",
    ),
}


FIRST_VERSION = " (first version)"  # ends the names of presets that only its records have
# Steps that they trained the networks that are still judged, all at lr 0.01: of VGG11 and ResNet20 on true labels, on
# random ones, and with stride 3; and of VGG11 on two classes.
_OLD_STEPS: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]] = {
    "quick": ((20, 64), (10, 32), (20, 64), 6),
    "standard": ((2 * EPOCH, 5 * EPOCH), (100, 316), (133, 422), PAIR_EPOCH),
    "full": ((30 * EPOCH, 30 * EPOCH), (100 * EPOCH, 100 * EPOCH), (30 * EPOCH, 30 * EPOCH), 30 * PAIR_EPOCH),
}


def _first_version(preset: str) -> Schedule:
    *of_both, on_pairs = _OLD_STEPS[preset]
    kinds = (("", "-long"), ("-random",), ("-stride3", "-scaled5", "-scaled15"))
    trainings = {
        f"{model}{kind}": Training(count)
        for counts, names in zip(of_both, kinds, strict=True)
        for model, count in zip(("vgg11", "resnet20"), counts, strict=True)
        for kind in names
    }
    trainings |= {f"vgg11-{pair}": Training(on_pairs) for pair in _PAIRS}
    seeds, test_images = {"quick": ((0, 1), 500), "standard": ((0, 1, 2), 2000), "full": ((0, 1, 2), 10_000)}[preset]
    return Schedule(seeds, trainings, test_images, "bfloat16" if preset == "full" else "float32")


SCHEDULES |= {f"{preset}{FIRST_VERSION}": _first_version(preset) for preset in _OLD_STEPS}
