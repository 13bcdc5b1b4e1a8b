"""Shards: the parts of a data set that tasks read, in this process or on any machine that sees the same files."""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.shards.contents import Content
from firstlight.images.streams.encoded import Decoded
from firstlight.images.streams.left_out import DAMAGED, MOST_NAMED, TOO_SMALL, Broken, pairs
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stacks import Stacks
from firstlight.utils.named_path import path_of
from firstlight.utils.remote_paths import RemotePath, is_remote
from firstlight.utils.text import first_line, printable
from firstlight.utils.trouble import insist, refuse_trouble


class FileStamp(NamedTuple):
    """By what a change of a file shows; a file that is not there has the size -1."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path | str) -> Self:
        """As the file is now."""
        path = path_of(path) if isinstance(path, str) and is_remote(path) else path
        try:
            read = path.stat if isinstance(path, RemotePath) else partial(os.stat, path)
            status = insist(read, printable(str(path)))
        except OSError:
            return cls(str(path), -1, -1)
        return cls(str(path), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Shard:
    """Part of a data set: small, picklable, and read as often as one likes. Made by `shards_of`.

    Attributes
    ----------
    name : str
        What messages call it.
    count : int or None
        Number of images, broken ones included, where that is known without reading them.
    bytes : int
        What has to be read of files, or is held in memory.
    identity : str
        SHA-256 over the names, sizes and time stamps of its files, or over its pixels if they are in memory, and over
        the options: the same as long as a reading gives the same pixels, wherever the data set lies.
    content : Content
        Where the images are.
    channels : int
    geometry : Geometry
        Resizing and cropping.
    files : tuple of FileStamp
        What must not change until the shard is read.
    """

    name: str
    count: int | None
    bytes: int
    identity: str
    content: Content = field(repr=False, compare=False)
    channels: int = 3
    geometry: Geometry = field(default=Geometry(None, None), repr=False)
    files: tuple[FileStamp, ...] = field(default=(), repr=False)

    def read(self, strict: bool = False, least: int = 1) -> "Reading":
        """A reading of the images, which counts them.

        Parameters
        ----------
        strict : bool
            Stop at the first broken image instead of leaving it out.
        least : int
            Images of fewer rows or columns are left out as broken.
        """
        return Reading(self, strict, least)

    def stacks(self, strict: bool = False) -> Iterator[np.ndarray]:
        """The images in stacks (N, C, H, W) of at most 32 MB, or of one image; see `Reading`."""
        return iter(self.read(strict))

    def refuse_change(self) -> None:
        """Compare the files with what they were when the shard was made.

        Raises
        ------
        SourceError
            One has another size or time stamp now, or is gone.
        """
        for stamp in self.files:
            if FileStamp.of(stamp.path) != stamp:
                raise SourceError(
                    f"shard {self.name}: {printable(stamp.path)} has changed since the data set was listed; "
                    "expected files that stay as they are: let what writes them finish, and start again"
                )


class Reading:
    """One reading of a shard: iterate over it once, and look at the counts afterwards.

    Attributes
    ----------
    count : int
        Images read so far.
    broken_count : int
        Images left out so far; a file of many images that is damaged counts once, from where it is.
    broken : list of (str, str)
        Name and reason of the first 100,000 of them.
    named : list of Broken
        The same with the kind of the trouble.
    left_out : Counter
        What lies beside the images and was not read, by kind.
    """

    def __init__(self, shard: Shard, strict: bool, least: int) -> None:
        self._shard, self._strict, self._least = shard, strict, least
        self.count = self.broken_count = 0
        self.named: list[Broken] = []
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Generator[np.ndarray]:
        """Read the images, in this thread.

        Yields
        ------
        ndarray, shape (N, C, H, W)
            uint8 or floating, contiguous.

        Raises
        ------
        SourceError
            A file has changed since the shard was made; or something is broken, if strict.
        """
        self._shard.refuse_change()
        stacks = Stacks()
        with closing(self._results()) as results:
            for name, images, reason, left_out, kind in results:
                self.left_out.update(left_out)
                if images is None and left_out:
                    continue
                if images is not None and min(images.shape[2:]) < self._least:
                    height, width = images.shape[2:]
                    images, kind = None, TOO_SMALL
                    reason = f"too small: {width} x {height} pixels, {self._least} x {self._least} needed"
                if images is None:
                    self._leave_out(Broken(name, reason, kind))
                else:
                    self.count += len(images)
                    yield from stacks.add(images)
        self._shard.refuse_change()
        yield from stacks.rest()

    def _results(self) -> Generator[Decoded]:
        shard = self._shard
        try:
            with closing(shard.content.open(shard.channels, shard.geometry).results()) as results:
                yield from results
        except (SourceError, InputError, OSError) as error:  # of a file that holds many images
            refuse_trouble(error, shard.name)
            yield Decoded(shard.name, None, first_line(error), kind=DAMAGED)

    @property
    def broken(self) -> list[tuple[str, str]]:
        return pairs(self.named)

    def _leave_out(self, broken: Broken) -> None:
        self._shard.refuse_change()  # a file that is being written looks broken
        if self._strict:
            place = self._shard.name if broken.name == self._shard.name else f"{self._shard.name}: {broken.name}"
            raise SourceError(f"shard {place} cannot be read ({broken.reason}); without strict it would be left out")
        self.broken_count += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(broken)
