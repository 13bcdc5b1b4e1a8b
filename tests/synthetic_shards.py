"""A kind of shard that is made up while it is read, waits when it is told to, and tells who read it."""

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firstlight.images.shards.shard import Shard
from firstlight.images.streams.encoded import Decoded
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images


@dataclass
class Noise:
    """Images (3, side, side) of noise, the same whenever they are read.

    A file FOLDER/reads/INDEX-PID tells that a process has begun to read them; as long as there is a file FOLDER/hold,
    shards from `held` on wait.
    """

    folder: Path
    index: int
    count: int
    side: int
    held: int
    name: str = "noise"
    noun: str = "image"
    channels: int = 3

    def open(self, channels: int, geometry: Geometry) -> Images:
        return self

    def total(self) -> int:
        return self.count

    def fingerprint(self, progress: Callable[[int], None]) -> None:
        return None

    def results(self) -> Generator[Decoded]:
        (self.folder / "reads").mkdir(exist_ok=True)
        (self.folder / "reads" / f"{self.index}-{os.getpid()}").touch()
        while self.index >= self.held and (self.folder / "hold").exists():
            time.sleep(0.01)
        rng = np.random.default_rng(self.index)
        pixels = 3 * self.side**2
        tape = rng.integers(0, 256, 4 * pixels, dtype=np.uint8)
        for start in range(0, self.count, 16):
            offsets = rng.integers(0, 3 * pixels, min(16, self.count - start))
            images = np.stack([tape[offset : offset + pixels] for offset in offsets])
            yield Decoded(self.name, images.reshape(-1, 3, self.side, self.side))


def noise_shards(folder: Path, shards: int, count: int = 8, side: int = 12, held: int = 0) -> list[Shard]:
    """Shards of noise; reading is noted in a folder."""
    size = count * 3 * side**2
    return [
        Shard(f"noise {index}", count, size, f"{index}-{count}-{side}", Noise(folder, index, count, side, held))
        for index in range(shards)
    ]
