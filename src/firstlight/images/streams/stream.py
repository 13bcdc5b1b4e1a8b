"""ImageStream: a data set of any size, read in stacks."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.streams.choice import ADVICE, left_out_text
from firstlight.images.streams.encoded import Decoded
from firstlight.images.streams.left_out import MOST_NAMED, Broken, broken_table, pairs
from firstlight.images.streams.stacks import Stacks
from firstlight.utils.console import note
from firstlight.utils.progress import ImageProgress
from firstlight.utils.text import counted

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


class Images(Protocol):
    """What a stream reads: `EncodedImages`, `ArrayImages` or `PythonImages`."""

    name: str
    noun: str
    channels: int

    def total(self) -> int | None:
        """Number of images, if it can be known beforehand."""
        ...

    def results(self) -> Generator[Decoded]:
        """The images in their order, one or several of a size at a time."""
        ...

    def fingerprint(self, progress: Callable[[int], None]) -> str | None:
        """SHA-256 of all that decides the pixels; `progress` is told how many images more it covers."""
        ...


@dataclass
class _Tally:
    """What one iteration has come across."""

    count: int = 0
    broken: list[Broken] = field(default_factory=list)
    broken_count: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    finished: bool = False


class ImageStream:
    """Images of a data set as a series of stacks, in constant memory.

    Made by `image_stream`. Iterating reads the data set, and can be done again (except where the source is an
    iterator): it yields arrays (N, C, H, W), contiguous, uint8 or floating, of at most 32 MB unless one image alone is
    larger. Images of one size come in one stack as far as these bounds allow, so not quite in the order of the source;
    the order is the same every time.

    Attributes
    ----------
    name : str
        What the source is called.
    channels : int
        Of every image.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> stream = fl.image_stream([np.zeros((8, 8, 3), np.uint8), np.zeros((6, 9, 3), np.uint8)], progress=False)
    >>> sorted(stack.shape for stack in stream), stream.count
    ([(1, 3, 6, 9), (1, 3, 8, 8)], 2)
    """

    def __init__(self, images: Images, *, strict: bool, progress: bool) -> None:
        self.name, self.channels = images.name, images.channels
        self._images, self._strict, self._progress = images, strict, progress
        self._tally = _Tally()

    def __repr__(self) -> str:
        return f"ImageStream({self.name!r}, {counted(self.channels, 'channel')})"

    @property
    def count(self) -> int:
        """Images read, in the iteration that was begun last."""
        return self._tally.count

    @property
    def broken(self) -> list[tuple[str, str]]:
        """Name and reason of the images left out in that iteration; the first 100,000 of them."""
        return pairs(self._tally.broken)

    def broken_table(self) -> "pd.DataFrame":
        """The same as a table, with the kind of the trouble: "unreadable" or "too small".

        Returns
        -------
        DataFrame
            Columns name, kind and reason, a row an image.
        """
        return broken_table(self._tally.broken)

    @property
    def left_out(self) -> dict[str, int]:
        """What lay beside the images in that iteration and was not read, counted by kind."""
        return dict(self._tally.left_out)

    @property
    def broken_count(self) -> int:
        """Number of all images left out in that iteration."""
        return self._tally.broken_count

    @cached_property
    def fingerprint(self) -> str | None:
        """SHA-256 of all that decides the pixels: options, names and contents of files, versions of the decoders.

        Nothing is decoded for it, but everything is read. It depends neither on where the files lie nor on their
        dates. None where it cannot be known: of data sets that are Python objects.
        """
        with ImageProgress(f"hashing {self.name}", self._total(), self._progress) as progress:
            return self._images.fingerprint(progress.update)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the images.

        Raises
        ------
        SourceError
            A broken image, if strict; no image but broken ones; a damaged file that holds many.
        InputError
            An item of an iterable is no image; or there is none.
        """
        tally = self._tally = _Tally()
        stacks = Stacks()
        with (
            ImageProgress(f"reading {self.name}", self._total(), self._progress) as progress,
            closing(self._images.results()) as results,
        ):
            for name, images, reason, left_out, kind in results:
                tally.left_out.update(left_out)
                if images is None and left_out:
                    continue
                if images is None:
                    self._leave_out(tally, Broken(name, reason, kind))
                    progress.update(1)
                    continue
                tally.count += len(images)
                progress.update(len(images))
                yield from stacks.add(images)
            self._refuse_nothing(tally)
            yield from stacks.rest()
        tally.finished = True
        if self._progress:
            note(f"read {self.summary()} ({progress.seconds:.0f} s)")

    def summary(self) -> str:
        """How many images were read and which were left out, in one paragraph for the terminal."""
        tally = self._tally
        so_far = "" if tally.finished else " so far"
        return f"{counted(tally.count, 'image')} from {self.name}{so_far}{self._left_out(tally)}"

    def _left_out(self, tally: _Tally) -> str:
        other = f"; left out: {left_out_text(tally.left_out)}" if tally.left_out else ""
        if not tally.broken_count:
            return other
        named = ", ".join(f"{name} ({reason})" for name, reason, _ in tally.broken[:_SHOWN])
        more = f", and {tally.broken_count - _SHOWN:,} more" if tally.broken_count > _SHOWN else ""
        return f"; {counted(tally.broken_count, f'broken {self._images.noun}')} left out: {named}{more}{other}"

    def _leave_out(self, tally: _Tally, broken: Broken) -> None:
        if self._strict:
            raise SourceError(
                f"{self.name}: {broken.name} cannot be read ({broken.reason}); without strict it would be left out"
            )
        tally.broken_count += 1
        if len(tally.broken) < MOST_NAMED:
            tally.broken.append(broken)

    def _refuse_nothing(self, tally: _Tally) -> None:
        if tally.count:
            return
        if tally.broken_count:
            raise SourceError(f"{self.name} holds no image that can be read{self._left_out(tally)}")
        other = f"{self._left_out(tally)}{ADVICE}" if tally.left_out else ""
        raise InputError(f"{self.name} holds no images; expected at least one{other}")

    def _total(self) -> int | None:
        return self._images.total() if self._progress else None
