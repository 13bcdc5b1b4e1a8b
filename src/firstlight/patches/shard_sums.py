"""The task of accumulation: the sums of one shard; and the total of those that are done, as it is kept on disk."""

import json
import threading
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.files import atomic_write
from firstlight.images.shard import MOST_NAMED, Shard
from firstlight.patches.moments import PatchMoments

FORMAT = 1
# What NumPy's and Python's readers of .npz files raise on damaged ones.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError, RuntimeError)
_DAMAGE += (zipfile.BadZipFile, zlib.error, MemoryError, SyntaxError, AttributeError, OverflowError)
_HINT = "give another file for the state, or delete this one to begin anew"


class Window(NamedTuple):
    """How patches are read."""

    kernel_size: int
    channels: int
    stride: int
    dilation: int

    @property
    def extent(self) -> int:
        """Rows and columns of the image that a patch spans."""
        return self.dilation * (self.kernel_size - 1) + 1

    def moments(self) -> PatchMoments:
        """Of no patches yet."""
        return PatchMoments(*self)

    def pixels(self) -> PatchMoments:
        """The moments of single pixels, of none yet."""
        return PatchMoments(1, self.channels)


class ShardSums(NamedTuple):
    """What a task sends back: as much, however large the shard."""

    moments: PatchMoments
    pixels: PatchMoments
    images: int
    broken_count: int
    broken: list[tuple[str, str]]


def sum_shard(shard: Shard, window: Window, strict: bool, stopping: threading.Event | None = None) -> ShardSums:
    """Read a shard and sum the moments of its patches, a stack of images at a time.

    Raises
    ------
    SourceError
        Files of the shard have changed since it was made; or something is broken, if strict.
    """
    moments, pixels = window.moments(), window.pixels()
    reading = shard.read(strict, window.extent)
    for stack in reading:
        moments.update(stack)
        pixels.update(stack)
        if stopping and stopping.is_set():
            break  # nobody takes the result
    return ShardSums(moments, pixels, reading.count, reading.broken_count, reading.broken)


@dataclass(frozen=True, eq=False)
class Total:
    """The sums of the shards that are done; adding makes a new one, so that an interrupt never meets half a sum.

    Attributes
    ----------
    window : Window
    shards : list of (str, str)
        Names and identities of all shards, done or not.
    done : ndarray of bool
        Which are.
    moments, pixels, blocks, images, broken_count
        As of `Accumulated`.
    named : list of (int, str, str)
        Shard, name and reason of the first images that were left out.
    """

    window: Window
    shards: list[tuple[str, str]]
    done: np.ndarray
    moments: PatchMoments
    pixels: PatchMoments
    blocks: list[PatchMoments]
    images: int = 0
    broken_count: int = 0
    named: list[tuple[int, str, str]] = field(default_factory=list)

    @classmethod
    def empty(cls, window: Window, blocks: int, shards: Sequence[Shard]) -> Self:
        """Nothing is done."""
        return cls(
            window=window,
            shards=[(shard.name, shard.identity) for shard in shards],
            done=np.zeros(len(shards), bool),
            moments=window.moments(),
            pixels=window.pixels(),
            blocks=[window.moments() for _ in range(blocks)],
        )

    @property
    def broken(self) -> list[tuple[str, str]]:
        """Name and reason of the first 100 images that were left out, in the order of the shards."""
        return [(name, reason) for _, name, reason in self.named]

    def add(self, index: int, sums: ShardSums) -> Self:
        """With the sums of a shard."""
        done, blocks = self.done.copy(), list(self.blocks)
        done[index] = True
        if blocks:
            blocks[index % len(blocks)] += sums.moments
        named = self.named + [(index, *pair) for pair in sums.broken]
        return replace(
            self,
            done=done,
            moments=self.moments + sums.moments,
            pixels=self.pixels + sums.pixels,
            blocks=blocks,
            images=self.images + sums.images,
            broken_count=self.broken_count + sums.broken_count,
            # Sorted by shard and cut off, so that they do not depend on the order in which shards are done.
            named=sorted(named, key=lambda entry: entry[0])[:MOST_NAMED],
        )

    def save(self, path: Path) -> None:
        """Write all this to a file, atomically."""
        parts = [self.moments, self.pixels, *self.blocks]
        header = {
            "format": FORMAT,
            "window": self.window._asdict(),
            "blocks": len(self.blocks),
            "shards": self.shards,
            "images": self.images,
            "broken_count": self.broken_count,
            "broken": self.named,
            "counts": [part.count for part in parts],
            "dtypes": [part.dtype for part in parts],
        }
        arrays: dict[str, np.ndarray] = {f"second{i}": part.second for i, part in enumerate(parts)}
        arrays |= {f"first{i}": part.first for i, part in enumerate(parts)}
        arrays |= {"header": np.array(json.dumps(header)), "done": self.done}
        with atomic_write(path) as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path, window: Window, blocks: int, shards: Sequence[Shard]) -> Self:
        """Read what `save` wrote, for the same shards and options.

        Raises
        ------
        InputError
            The file is damaged, none of these, or of other shards or options.
        """
        total = cls.empty(window, blocks, shards)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                if header["format"] != FORMAT:
                    raise InputError(f"{path}: state of format {header['format']!r}, expected {FORMAT}; {_HINT}")
                total._refuse_other(path, header)
                return total._with(header, arrays)
        except InputError:
            raise
        except _DAMAGE as error:
            raise InputError(f"{path}: no whole state of an accumulation ({type(error).__name__}); {_HINT}") from None

    def _refuse_other(self, path: Path, header: dict[str, Any]) -> None:
        """Name the first option or shard that is not that of the state."""
        now = {**self.window._asdict(), "blocks": len(self.blocks)}
        for name, value in {**header["window"], "blocks": header["blocks"]}.items():
            if now[name] != value:
                raise InputError(f"{path}: this state is of {name} {value}, expected {now[name]}; {_HINT}")
        for index, ((old, old_identity), (new, identity)) in enumerate(
            zip(header["shards"], self.shards, strict=False)
        ):
            if old != new:
                raise InputError(f"{path}: in this state shard {index} is {old}, expected {new}; {_HINT}")
            if old_identity != identity:
                raise InputError(
                    f"{path}: shard {new} is not what it was when this state was begun: its files, or how they are "
                    f"read, have changed; {_HINT}"
                )
        if len(header["shards"]) != len(self.shards):
            raise InputError(
                f"{path}: this state is of {len(header['shards']):,} shards, expected {len(self.shards):,}; {_HINT}"
            )

    def _with(self, header: dict[str, Any], arrays: Any) -> Self:
        """What a state holds, taken into new moments; ValueError if it contradicts itself."""
        parts = [self.moments, self.pixels, *self.blocks]
        for i, (part, count, dtype) in enumerate(zip(parts, header["counts"], header["dtypes"], strict=True)):
            second, first = arrays[f"second{i}"], arrays[f"first{i}"]
            expected = np.float64 if dtype == "float64" else np.int64
            fits = second.shape == part.second.shape and first.shape == part.first.shape
            if not fits or {second.dtype, first.dtype} != {np.dtype(expected)} or type(count) is not int or count < 0:
                raise ValueError("sums that do not fit their header")
            part.second, part.first, part.count, part.dtype = second, first, count, dtype
        done = arrays["done"]
        if done.shape != self.done.shape or done.dtype != bool:
            raise ValueError("another number of shards")
        return replace(
            self,
            done=done,
            images=int(header["images"]),
            broken_count=int(header["broken_count"]),
            named=[(int(index), str(name), str(reason)) for index, name, reason in header["broken"]],
        )
