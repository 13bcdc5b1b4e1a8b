"""What shards hold: small picklable descriptions, from which a task opens its images wherever it runs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from firstlight.images.array_files import read_npy_images
from firstlight.images.arrays import check_images
from firstlight.images.sliced_images import SlicedImages
from firstlight.images.streams.encoded import Encoded, EncodedImages, SourceInFile
from firstlight.images.streams.image_tables import ImageTable
from firstlight.images.streams.memory import ArrayImages
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images
from firstlight.images.streams.tars import TarImages
from firstlight.utils.text import printable


class Content(Protocol):
    """What a shard holds."""

    def open(self, channels: int, geometry: Geometry) -> Images:
        """Open the images, to be read in this thread."""
        ...


@dataclass
class ImageFileChunk:
    """Some of the image files below a folder."""

    name: str
    root: Path
    entries: tuple[str, ...] = field(repr=False)
    left_out: "Counter[str]" = field(default_factory=Counter, repr=False)
    noun: str = field(default="file", repr=False)

    def total(self) -> int:
        """Number of files."""
        return len(self.entries)

    def items(self) -> Iterator[Encoded]:
        """The files, named relative to the folder."""
        for name in self.entries:
            yield Encoded(printable(name), self.root / name)
        if self.left_out:
            yield Encoded("", self.left_out)

    def open(self, channels: int, geometry: Geometry) -> Images:
        return EncodedImages(self, channels, geometry, 1)


@dataclass(frozen=True)
class TarFile:
    """The images in a tar file."""

    path: Path
    only: tuple[str, ...] = ()

    def open(self, channels: int, geometry: Geometry) -> Images:
        source = TarImages(self.path, self.only)
        return EncodedImages(SourceInFile(source, source.name), channels, geometry, 1)


@dataclass(frozen=True)
class TableFile:
    """The images in one column of a Parquet or Arrow file; those kept by path lie below `root`."""

    path: Path
    root: Path
    column: str

    def open(self, channels: int, geometry: Geometry) -> Images:
        name = printable(self.path.name)
        table = ImageTable(name, [self.path], self.root)
        table.column = self.column  # that of the data set, whatever else this file has
        return EncodedImages(SourceInFile(table, name), channels, geometry, 1)


@dataclass(frozen=True)
class MappedSlice:
    """Images `start` to `stop` of a .npy file, of which no more is read."""

    path: Path
    start: int
    stop: int
    layout: str | None

    def open(self, channels: int, geometry: Geometry) -> Images:
        name = f"{printable(self.path.name)}[{self.start}:{self.stop}]"
        images = read_npy_images(self.path, self.layout)[self.start : self.stop]
        images = check_images(images, self.layout, name, channels)
        return ArrayImages(name, images, channels, geometry)


@dataclass(frozen=True, eq=False)
class ArraySlice:
    """Images in memory, which travel with the shard; or in a .npz file."""

    name: str
    images: np.ndarray | SlicedImages = field(repr=False)

    def open(self, channels: int, geometry: Geometry) -> Images:
        return ArrayImages(self.name, self.images, channels, geometry)
