"""Patch moments and lags of many shards, on any engine, that survive being killed.

Sums of uint8 images are integers: in whatever order shards come, whatever dies on the way, and however often a run is
taken up again, the result is the same to the bit. Sums of floating-point images agree to rounding.
"""

import functools
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from firstlight.engines import Engine, open_engine
from firstlight.errors import EngineError, InputError, MachineError, SourceError
from firstlight.images import shards_of
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.choice import ADVICE, left_out_text
from firstlight.images.streams.left_out import Broken, broken_table, pairs
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.patches.out_of_core.shard_sums import SumsKind, sum_shard
from firstlight.patches.out_of_core.total import Total
from firstlight.utils.checks import whole_number
from firstlight.utils.console import note
from firstlight.utils.given import user_path
from firstlight.utils.progress import ImageProgress
from firstlight.utils.text import counted, plural

if TYPE_CHECKING:
    import pandas as pd

# What was done since is lost when the process is killed.
STATE_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Accumulated:
    """The sums of all shards.

    Attributes
    ----------
    moments : PatchMoments
        Of all patches.
    pixels : PatchMoments
        Of all pixels of the same images, as patches of 1 x 1: the mean and deviation of the data.
    images : int
        Images read.
    broken_count : int
        Images left out, since they could not be decoded or are smaller than a patch, or than a pair of them.
    named : list of Broken
        The first 100,000 of them, in the order of the shards.
    left_out : dict from str to int
        What lay beside the images and was not read, by kind, such as ".json" or further pages of an image.
    blocks : list of PatchMoments
        The moments in parts: shard i is in block ``i % blocks``. They sum to `moments`.
    lags : ImageLags or None
        Of all patches and pairs of them, if a `max_distance` was given.
    """

    moments: PatchMoments
    pixels: PatchMoments
    images: int
    broken_count: int
    named: list[Broken]
    left_out: dict[str, int]
    blocks: list[PatchMoments]
    lags: ImageLags | None = None

    @property
    def broken(self) -> list[tuple[str, str]]:
        """Name and reason of `named`."""
        return pairs(self.named)

    def broken_table(self) -> "pd.DataFrame":
        """`named` as a table: name, kind ("unreadable", "too small" or "damaged file") and reason."""
        return broken_table(self.named)


def accumulate(
    shards: Any,
    kernel_size: int,
    channels: int | None = None,
    stride: int = 1,
    dilation: int = 1,
    *,
    max_distance: int | None = None,
    engine: Engine | None = None,
    state: Path | str | None = None,
    restart: bool = False,
    blocks: int = 0,
    strict: bool = False,
    progress: bool = True,
) -> Accumulated:
    """Sum the moments of all patches of a data set.

    Parameters
    ----------
    shards : sequence of Shard, or whatever else `shards_of` takes
        With as many channels.
    kernel_size, channels, stride, dilation : int
        As of `PatchMoments`; channels by default those of the shards.
    max_distance : int, optional
        Sum `ImageLags` up to that distance, with stride and dilation 1. Images must then be that much larger than a
        patch.
    engine : Engine, optional
        Where shards are read. By default one thread a core.
    state : Path or str, optional
        A file that holds what is done: written every 30 s, when the work is interrupted and at the end, and gone on
        from if it is there already. One without an image, or of other shards or options that an error ended, is begun
        anew.
    restart : bool
        Begin any state anew.
    blocks : int
        In how many parts to keep the moments as well, for the error of sampling; 0 for none.
    strict : bool
        Stop at the first broken image, instead of leaving it out.
    progress : bool
        Whether to tell on stderr how far the work is.

    Returns
    -------
    Accumulated

    Raises
    ------
    InputError
        An option is none, there are no shards, or the state is of others.
    SourceError
        A shard has changed since it was made; something is broken, if strict; or all of it is.
    EngineError, MachineError
        Workers are lost, or cannot read what they should; the state, if there is one, holds what was done.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> shards = fl.shards_of(np.zeros((5, 3, 8, 8), np.uint8), images_per_shard=2)
    >>> fl.accumulate(shards, kernel_size=3, progress=False).moments.count
    180
    """
    geometry = PatchGeometry(kernel_size, 1 if channels is None else channels, stride, dilation)
    SumsKind(geometry, max_distance).empty()  # which refuses wrong options
    blocks = whole_number("blocks", blocks, 0)
    if not (isinstance(shards, list | tuple) and all(isinstance(one, Shard) for one in shards)):
        shards = shards_of(shards, channels=channels)
    if not shards:
        raise InputError("there are no shards; expected at least one")
    kind = SumsKind(replace(geometry, channels=shards[0].channels if channels is None else channels), max_distance)
    if engine is not None and not isinstance(engine, Engine):
        raise InputError(f"engine is {engine!r}; expected an Engine: open one with `with open_engine(...) as engine`")
    state = None if state is None else user_path(state)
    total = Total.empty(kind, blocks, shards)
    if state is not None and state.exists() and not restart:
        total = Total.load(state, kind, blocks, shards)
        done = int(total.done.sum())
        if progress and done:
            note(f"{state}: {done:,} of {counted(len(shards), 'shard')} {plural(done, 'is', 'are')} done, going on")
    if strict and total.broken:
        name, reason, _ = total.broken[0]
        raise SourceError(
            f"{name} could not be read before ({reason}); without strict it stays left out: read it again "
            "with --restart (restart=True)"
        )
    if not total.done.all():
        with ExitStack() as stack:
            engine = engine or stack.enter_context(open_engine("local"))
            total = _work(engine, shards, total, state, strict, progress)
    if not total.images:
        named = ", ".join(f"{name} ({reason})" for name, reason, _ in total.broken[:3])
        other = f"; left out: {left_out_text(total.left_out)}{ADVICE}" if total.left_out else ""
        raise SourceError(
            f"no image could be read, {total.broken_count:,} {plural(total.broken_count, 'is', 'are')} broken: "
            f"{named or 'there are none'}{other}"
        )
    return Accumulated(
        moments=total.sums.moments,
        pixels=total.sums.pixels,
        images=total.images,
        broken_count=total.broken_count,
        named=total.broken,
        left_out=dict(sorted(total.left_out.items())),
        blocks=total.blocks,
        lags=None if max_distance is None else cast(ImageLags, total.sums),
    )


def _work(
    engine: Engine, shards: Sequence[Shard], total: Total, state: Path | None, strict: bool, progress: bool
) -> Total:
    """The total with all shards that were not done yet; the state is kept meanwhile."""
    left = [index for index, done in enumerate(total.done) if not done]
    counts = [shards[index].count for index in left]
    images = None if None in counts else sum(count or 0 for count in counts)
    task = functools.partial(sum_shard, kind=total.kind, strict=strict, stopping=engine.stopping)
    saved = time.monotonic()
    try:
        with (
            ImageProgress("patch moments", images, progress) as shown,
            closing(engine.run(task, (shards[index] for index in left))) as results,
        ):
            for number, sums in results:
                total = total.add(left[number], sums)
                shown.update(sums.images + sums.broken_count)
                if state is not None and time.monotonic() - saved > STATE_SECONDS:
                    total.save(state)
                    saved = time.monotonic()
    except (EngineError, MachineError) as error:
        done = int(total.done.sum())
        kept = (
            f"; {state} keeps the {counted(done, 'shard')} that {plural(done, 'is', 'are')} done"
            if state is not None and total.images
            else ""
        )
        raise type(error)(f"{error}{kept}") from None
    except Exception:
        total = replace(total, failed=True)
        raise
    finally:
        if state is not None and total.images:
            total.save(state)
        elif state is not None:
            state.unlink(missing_ok=True)  # it would be worth nothing
    return total
