"""The task of accumulation: the sums over one shard."""

import threading
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from firstlight.engines.task import check_wanted
from firstlight.errors import InputError
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.left_out import Broken
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.patches.sums import PatchSums
from firstlight.utils.trouble import insist


class PatchesAndPixels:
    """Moments of patches, and of all pixels of the same images; to be used as `ImageLags`, which hold both."""

    def __init__(self, patches: PatchMoments, pixels: PatchMoments) -> None:
        self.moments, self.pixels = patches, pixels

    @property
    def extent(self) -> int:
        """How many pixels high and wide images must be."""
        return self.moments.extent

    @property
    def parts(self) -> tuple[PatchSums, ...]:
        """All sums."""
        return (self.moments, self.pixels)

    def update(self, images: np.ndarray) -> None:
        """Add all patches and pixels of a stack of images."""
        self.moments.update(images)
        self.pixels.update(images)

    def __add__(self, other: "PatchesAndPixels") -> "PatchesAndPixels":
        return PatchesAndPixels(self.moments + other.moments, self.pixels + other.pixels)


class SumsKind(NamedTuple):
    """How patches are read, and how far apart pairs of them are summed; None: no pairs."""

    geometry: PatchGeometry
    max_distance: int | None = None

    def empty(self) -> PatchesAndPixels | ImageLags:
        """Of no images yet.

        Raises
        ------
        InputError
            An option is none, or pairs are asked for of patches that not every pixel begins.
        """
        geometry = self.geometry
        if self.max_distance is None:
            return PatchesAndPixels(PatchMoments(**asdict(geometry)), PatchMoments(1, geometry.channels))
        for name, value in (("stride", geometry.stride), ("dilation", geometry.dilation)):
            if value != 1:
                raise InputError(f"{name} is {value} with max_distance {self.max_distance}; expected {name} 1 with it")
        return ImageLags(geometry.kernel_size, geometry.channels, self.max_distance)

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types."""
        return {**asdict(self.geometry), "max_distance": self.max_distance}


class ShardSums(NamedTuple):
    """What a task sends back: as much, however large the shard."""

    sums: PatchesAndPixels | ImageLags
    images: int
    broken_count: int
    broken: list[Broken]
    left_out: Mapping[str, int]


def sum_shard(shard: Shard, kind: SumsKind, strict: bool, stopping: threading.Event | None = None) -> ShardSums:
    """Read a shard and sum up its patches, a stack of images at a time.

    Raises
    ------
    SourceError
        Files of the shard have changed since it was made; or something is broken, if strict.
    MachineError
        This machine cannot read it, or has no memory for the sums.
    """
    return insist(partial(_sum, shard, kind, strict, stopping), f"shard {shard.name}")


def _sum(shard: Shard, kind: SumsKind, strict: bool, stopping: threading.Event | None) -> ShardSums:
    sums = kind.empty()
    reading = shard.read(strict, sums.extent)
    for stack in reading:
        sums.update(stack)
        if stopping and stopping.is_set():
            break  # nobody takes the result
        check_wanted()
    return ShardSums(sums, reading.count, reading.broken_count, reading.named, reading.left_out)
