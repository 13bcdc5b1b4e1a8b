"""What summing up a data set will take, from a short measured sample of it."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.stacks import STACK_BYTES
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.out_of_core.shard_sums import SumsKind

SAMPLE_SECONDS = 3.0


@dataclass(frozen=True)
class Plan:
    """Cost of the patch moments, or lags, of a data set.

    Attributes
    ----------
    images : int
        How many there are, broken ones included.
    counted : bool
        Whether `images` is counted; else estimated from the bytes of the shards that were sampled.
    read_bytes : int
        What will be read, or is held in memory.
    sampled : int
        Images that the rates were measured on, on one core of this machine.
    reading_seconds, summing_seconds : float
        Per image, on one core: reading and decoding, and summing up its patches.
    workers : int
        How many work at once.
    memory : int
        Bytes that the images and sums under way take at most, if no image is larger than a stack; on top of the
        libraries' own.
    result_bytes : int
        The output, at most: compression makes it smaller.
    """

    images: int
    counted: bool
    read_bytes: int
    sampled: int
    reading_seconds: float
    summing_seconds: float
    workers: int
    memory: int
    result_bytes: int

    @property
    def images_per_second(self) -> float:
        """With all workers, if they do not wait for each other or for the disk."""
        return self.workers / (self.reading_seconds + self.summing_seconds)

    @property
    def seconds(self) -> float:
        """Expected for all images."""
        return self.images / self.images_per_second

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types."""
        return {**asdict(self), "images_per_second": self.images_per_second, "seconds": self.seconds}


def make_plan(
    shards: Sequence[Shard],
    kernel_size: int,
    channels: int = 3,
    stride: int = 1,
    dilation: int = 1,
    *,
    max_distance: int | None = None,
    workers: int = 1,
    blocks: int = 0,
    seconds: float = SAMPLE_SECONDS,
) -> Plan:
    """Read and sum up shards from all over a data set for some seconds, in this thread.

    Parameters
    ----------
    shards : sequence of Shard
        Small ones give a better sample.
    kernel_size, channels, stride, dilation : int
        As for PatchMoments.
    max_distance, workers, blocks : int
        As for `accumulate`.
    seconds : float
        About how long to read; a stack of images that has been begun is finished.

    Raises
    ------
    SourceError
        None of the images that were sampled can be read.
    """
    kind = SumsKind(PatchGeometry(kernel_size, channels, stride, dilation), max_distance)
    sums, extent = kind.empty(), kind.empty().extent
    # Loading the compiled loops is not a cost of every image.
    kind.empty().update(np.zeros((1, channels, extent, extent), np.uint8))
    clock = _Clock()
    reading, summing, count, broken = 0.0, 0.0, 0, 0
    sampled: list[tuple[Shard, int | None]] = []  # and how many images each is known to hold
    for shard in _spread(shards):
        if clock.passed > seconds:
            break
        read, whole = shard.read(least=extent), True
        with closing(iter(read)) as stacks:
            for stack in stacks:
                reading += clock.lap()
                sums.update(stack)
                summing += clock.lap()
                count += len(stack)
                if clock.passed > seconds:
                    whole = False
                    break
        reading += clock.lap()
        broken += read.broken_count
        sampled.append((shard, read.count + read.broken_count if whole else shard.count))
    if not count:
        raise SourceError(f"none of the {broken:,} images sampled can be read; expected some that can")
    images, counted = _number(shards, sampled)
    patches = sums.parts[0]
    held = 8 * sum(part.second.size for part in sums.parts)
    return Plan(
        images=images,
        counted=counted,
        read_bytes=sum(shard.bytes for shard in shards),
        sampled=count,
        reading_seconds=reading / count,
        summing_seconds=summing / count,
        workers=workers,
        # A worker holds what it gathers, the stack that it has gathered, its sums and the scratch of lags; the total,
        # the blocks and what is written lie here.
        memory=workers * (2 * STACK_BYTES + 2 * held + patches.scratch_bytes) + 2 * held + blocks * 8 * patches.size**2,
        result_bytes=8 * (patches.second.size + patches.first.size),
    )


class _Clock:
    """Tells what work costs one core: the time it took, or that of all cores it ran on where this is more."""

    def __init__(self) -> None:
        self._start = self._wall = time.perf_counter()
        self._cores = time.process_time()

    @property
    def passed(self) -> float:
        """Seconds from the start to the end of the last lap."""
        return self._wall - self._start

    def lap(self) -> float:
        """Core seconds since the last lap."""
        wall, cores = time.perf_counter(), time.process_time()
        cost = max(wall - self._wall, cores - self._cores)
        self._wall, self._cores = wall, cores
        return cost


def _spread(shards: Sequence[Shard]) -> list[Shard]:
    """The shards in an order whose every beginning lies about evenly over them: that of the golden ratio."""
    return [shards[i] for i in np.argsort(np.arange(len(shards)) * ((5**0.5 - 1) / 2) % 1, kind="stable")]


def _number(shards: Sequence[Shard], sampled: Sequence[tuple[Shard, int | None]]) -> tuple[int, bool]:
    """How many images there are, and whether that is counted."""
    counts = [shard.count for shard in shards]
    known = [count for count in counts if count is not None]
    if len(known) == len(counts):
        return sum(known), True
    here = sum(_total(shard) if count is None else count for shard, count in sampled)
    return round(here * sum(shard.bytes for shard in shards) / max(1, sum(shard.bytes for shard, _ in sampled))), False


def _total(shard: Shard) -> int:
    return shard.content.open(shard.channels, shard.geometry).total() or 0
