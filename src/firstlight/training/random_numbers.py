"""The random numbers of a run, which follow from its seed alone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from firstlight.training.spec import RunSpec

if TYPE_CHECKING:
    import torch

# The independent uses of a run's seed.
INITIALISATION, ORDER, STEP, LABELS, FIRST_LAYER, AUGMENTATION = range(6)


def epoch_order(spec: RunSpec, epoch: int, count: int) -> np.ndarray:
    """The order of `count` images in an epoch, (count,) int64."""
    return np.random.Generator(np.random.PCG64(seed_sequence(spec, ORDER, epoch))).permutation(count)


def seed_generators(spec: RunSpec, use: int, index: int, generators: "Iterable[torch.Generator]") -> None:
    """Seed generators of torch for one use of the run's seed: the initialisation, or a step (its dropout)."""
    number = int(seed_sequence(spec, use, index).generate_state(1, np.uint64)[0])
    for generator in generators:
        generator.manual_seed(number)


def default_generators(device: "torch.device") -> "list[torch.Generator]":
    """The generators that torch's functions draw from, of the CPU and of a device."""
    import torch

    on_device = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
    return [torch.default_generator, *on_device]


def seed_sequence(spec: RunSpec, use: int, index: int) -> np.random.SeedSequence:
    """Of one use of the run's seed."""
    return np.random.SeedSequence(spec.seed, spawn_key=(use, index))
