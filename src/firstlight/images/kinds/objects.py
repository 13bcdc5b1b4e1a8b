"""Data that exist in this process alone, or are prepared already: Python objects, streams, shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from firstlight.errors import InputError
from firstlight.images.kinds.kind import USUAL_CHANNELS, Data
from firstlight.images.shards.cut import Cut
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.memory import PythonImages
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images, ImageStream
from firstlight.utils.text import counted


@dataclass(frozen=True, eq=False, kw_only=True)
class Objects(Data):
    """A torch Dataset or DataLoader, or any other iterable."""

    items: Any = field(repr=False)

    def opened(
        self, split: str | None, layout: str | None, channels: int | None, geometry: Geometry, workers: int
    ) -> Images:
        self.refuse_split(split)
        return PythonImages(self.items, channels or USUAL_CHANNELS, geometry, layout)


@dataclass(frozen=True, eq=False, kw_only=True)
class GivenStream(Objects):
    """An ImageStream, handed on as it is unless its images are to be changed."""

    items: ImageStream = field(repr=False)

    def stream(self, **options: Any) -> ImageStream:
        changes = any(options.get(name) is not None for name in ("resize", "crop", "split")) or options.get("only")
        same = options.get("channels") in (None, self.items.channels)
        return self.items if same and not changes else super().stream(**options)


@dataclass(frozen=True, eq=False, kw_only=True)
class GivenShards(Data):
    """Shards, which are cut already and bring their options with them."""

    items: Sequence[Shard] = field(repr=False)

    def opened(
        self, split: str | None, layout: str | None, channels: int | None, geometry: Geometry, workers: int
    ) -> Images:
        raise InputError(f"{self.called}, which tasks read; expected the data that they were cut from")

    def cut(self, cut: Cut, split: str | None, layout: str | None) -> Iterator[Shard]:
        self.refuse_split(split)
        if cut.geometry or any(shard.channels != (cut.channels or shard.channels) for shard in self.items):
            raise InputError(
                f"{self.called} of {counted(self.items[0].channels, 'channel')}, whose images cannot be changed "
                "any more: give "
                "resize, crop and channels where they are cut"
            )
        return iter(self.items)
