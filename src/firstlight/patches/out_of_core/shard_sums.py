"""The task of accumulation: the sums of one shard; and the total of those that are done, as it is kept on disk."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.images.shards.shard import MOST_NAMED, Shard
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import header_of, open_npz, write_npz

# What is summed up of a shard's patches.
PatchSums = PatchMoments | ImageLags

FORMAT = 2
_HINT = "give another file for the state, or delete this one to begin anew"


class Window(NamedTuple):
    """How patches are read, and how far apart pairs of them are summed; None: no pairs."""

    kernel_size: int
    channels: int
    stride: int
    dilation: int
    max_distance: int | None = None

    def empty(self) -> PatchSums:
        """Of no patches yet.

        Raises
        ------
        InputError
            An option is none, or pairs are asked for of patches that not every pixel begins.
        """
        moments = PatchMoments(*self[:4])
        if self.max_distance is None:
            return moments
        for name, value in (("stride", self.stride), ("dilation", self.dilation)):
            if value != 1:
                raise InputError(f"{name} is {value} with max_distance {self.max_distance}; expected {name} 1 with it")
        return ImageLags(self.kernel_size, self.channels, self.max_distance)


class ShardSums(NamedTuple):
    """What a task sends back: as much, however large the shard."""

    patches: PatchSums
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
    patches, pixels = window.empty(), PatchMoments(1, window.channels)
    reading = shard.read(strict, patches.extent)
    for stack in reading:
        patches.update(stack)
        if isinstance(patches, PatchMoments):
            pixels.update(stack)
        if stopping and stopping.is_set():
            break  # nobody takes the result
    if isinstance(patches, ImageLags):
        pixels = patches.pixels
    return ShardSums(patches, pixels, reading.count, reading.broken_count, reading.broken)


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
    patches : PatchMoments or ImageLags
        Of all patches.
    pixels, blocks, images, broken_count
        As of `Accumulated`.
    named : list of (int, str, str)
        Shard, name and reason of the first images that were left out.
    """

    window: Window
    shards: list[tuple[str, str]]
    done: np.ndarray
    patches: PatchSums
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
            patches=window.empty(),
            pixels=PatchMoments(1, window.channels),
            blocks=[PatchMoments(*window[:4]) for _ in range(blocks)],
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
            blocks[index % len(blocks)] += moments_of(sums.patches)
        named = self.named + [(index, *pair) for pair in sums.broken]
        return replace(
            self,
            done=done,
            # Of one kind: that of the window.
            patches=self.patches + sums.patches,  # pyright: ignore[reportOperatorIssue]
            pixels=self.pixels + sums.pixels,
            blocks=blocks,
            images=self.images + sums.images,
            broken_count=self.broken_count + sums.broken_count,
            # Sorted by shard and cut off, so that they do not depend on the order in which shards are done.
            named=sorted(named, key=lambda entry: entry[0])[:MOST_NAMED],
        )

    def save(self, path: Path) -> None:
        """Write all this to a file, atomically."""
        parts = [self.patches, self.pixels, *self.blocks]
        header = {
            "format": FORMAT,
            "window": self.window._asdict(),
            "blocks": len(self.blocks),
            "shards": self.shards,
            "images": self.images,
            "broken_count": self.broken_count,
            "broken": self.named,
            "counts": [np.asarray(part.count).tolist() for part in parts],
            "dtypes": [part.dtype for part in parts],
        }
        arrays: dict[str, np.ndarray] = {f"second{i}": part.second for i, part in enumerate(parts)}
        arrays |= {f"first{i}": part.first for i, part in enumerate(parts)}
        write_npz(path, {**arrays, "done": self.done}, header, compressed=False)

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
            with open_npz(path) as arrays:
                header = header_of(arrays)
                if header["format"] != FORMAT:
                    raise InputError(f"{path}: state of format {header['format']!r}, expected {FORMAT}; {_HINT}")
                total._refuse_other(path, header)
                return total._with(header, arrays)
        except InputError:
            raise
        except DAMAGE as error:
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
        parts: list[PatchSums] = [self.patches, self.pixels, *self.blocks]
        for i, (part, count, dtype) in enumerate(zip(parts, header["counts"], header["dtypes"], strict=True)):
            second, first, counted = arrays[f"second{i}"], arrays[f"first{i}"], np.array(count)
            expected = np.float64 if dtype == "float64" else np.int64
            fits = all(
                found.shape == np.shape(mine)
                for found, mine in ((second, part.second), (first, part.first), (counted, part.count))
            )
            if not fits or {second.dtype, first.dtype} != {np.dtype(expected)}:
                raise ValueError("sums that do not fit their header")
            if counted.dtype != np.int64 or (counted < 0).any():
                raise ValueError("counts that are none")
            part.second, part.first, part.dtype = second, first, dtype
            if isinstance(part, PatchMoments):
                part.count = int(counted)
            else:
                part.count = counted
        if isinstance(self.patches, ImageLags):
            self.patches.pixels = self.pixels
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


def moments_of(patches: PatchSums) -> PatchMoments:
    """The moments of single patches."""
    return patches if isinstance(patches, PatchMoments) else patches.moments
