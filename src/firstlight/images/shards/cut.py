"""Cutting a data set into shards, each of which a task can read by itself."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.shards.contents import (
    ArraySlice,
    Content,
    ImageFileChunk,
    MappedSlice,
    TableFile,
    TarFile,
)
from firstlight.images.shards.shard import FileStamp, Shard
from firstlight.images.sliced_images import SlicedImages
from firstlight.images.streams.choice import Choice
from firstlight.images.streams.decode import decoders
from firstlight.images.streams.image_files import ImageFiles, files_below
from firstlight.images.streams.image_tables import ImageTable
from firstlight.images.streams.memory import ArrayImages
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stacks import pieces
from firstlight.images.streams.tars import TarFiles
from firstlight.utils.text import printable

# Slices in memory travel to their task.
_SLICE_BYTES = 8 << 20


@dataclass(frozen=True)
class Cut:
    """How a data set is cut; a method for each way in which images are kept.

    Attributes
    ----------
    images_per_shard : int
        Of image files, or images in an array: at most so many, ...
    at_least : int
        ... and so few that there are as many shards, if there are as many images. Other files are a shard each.
    channels : int
        0: those that the images have, or are usually decoded to.
    geometry : Geometry
    """

    images_per_shard: int
    at_least: int
    channels: int
    geometry: Geometry

    def of(self, channels: int) -> Self:
        """With so many channels, where none were asked for."""
        return replace(self, channels=self.channels or channels)

    def array(self, name: str, images: np.ndarray | SlicedImages) -> Iterator[Shard]:
        """Slices of an array in memory, or in a .npz file, known by their pixels."""
        stamps = (FileStamp.of(images.array.path),) if isinstance(images, SlicedImages) else ()
        ArrayImages(name, images[:1], self.channels, self.geometry)  # which refuses options that do not go with it
        for start, stop in self._ranges(len(images), max(1, _SLICE_BYTES * len(images) // images.nbytes)):
            part, place = images[start:stop], f"{printable(name)}[{start}:{stop}]"
            digest = hashlib.sha256()
            for piece in pieces(part):
                digest.update(np.ascontiguousarray(piece, dtype=images.dtype.newbyteorder("<")).data)
            known_by = [images.dtype.name, *part.shape, digest.hexdigest()]
            content = ArraySlice(place, images.part(start, stop) if isinstance(images, SlicedImages) else part)
            yield replace(self._shard(place, len(part), part.nbytes, content, known_by, []), files=stamps)

    def mapped(self, path: Path, images: np.ndarray, layout: str | None) -> Iterator[Shard]:
        """Slices of a .npy file, which a task reads by itself."""
        path = path.absolute()
        ArrayImages(path.name, images[:1], self.channels, self.geometry)
        stamps = [FileStamp.of(path)]
        for start, stop in self._ranges(len(images)):
            name = f"{printable(path.name)}[{start}:{stop}]"
            content = MappedSlice(path, start, stop, layout)
            nbytes = (stop - start) * images[0].nbytes
            yield self._shard(name, stop - start, nbytes, content, [start, stop, layout], stamps, path.parent)

    def tars(self, tars: TarFiles) -> Iterator[Shard]:
        """Tar files."""
        known_by, root = ["tar", *tars.only, *self._decoded_by()], tars.root.absolute()
        for name in tars.files:
            path = root / name
            yield self._shard(
                printable(name), None, None, TarFile(path, tars.only), known_by, [FileStamp.of(path)], root
            )

    def table(self, table: ImageTable) -> Iterator[Shard]:
        """The files of a table, of which only the first must be whole."""
        known_by, root = [table.column, *self._decoded_by()], table.root.absolute()
        for path in (file.absolute() for file in table.files):
            name = printable(os.path.relpath(path, root))
            try:
                count = ImageTable(name, [path], root).total()
            except (SourceError, InputError):  # told when the shard is read, and counted as broken
                count = None
            content = TableFile(path, root, table.column)
            yield self._shard(name, count, None, content, known_by, [FileStamp.of(path)], root)

    def files(self, files: ImageFiles) -> Iterator[Shard]:
        """Image files, listed but not opened."""
        path, known_by = files.path.absolute(), self._decoded_by()
        root = path if path.is_dir() else path.parent
        choice = Choice(files.only)
        entries = list(files_below(root, choice.takes)) if path.is_dir() else [path.name]
        stamps = [FileStamp.of(os.path.join(root, entry)) for entry in entries]
        for start, stop in self._ranges(len(entries)):
            chunk, known = tuple(entries[start:stop]), stamps[start:stop]
            left = choice.left if stop == len(entries) else Counter()
            name = f"{files.name}[{start}:{stop}]" if len(entries) > 1 else files.name
            content = ImageFileChunk(name, root, chunk, left)
            yield self._shard(name, len(chunk), None, content, known_by, known, root)

    def _decoded_by(self) -> list[str]:
        """What decides the pixels of encoded images, beside how they are resized."""
        return [decoders(self.geometry.max_pixels), *(["all pages"] if self.geometry.pages == "all" else [])]

    def _shard(
        self,
        name: str,
        count: int | None,
        nbytes: int | None,
        content: Content,
        known_by: list[Any],
        stamps: list[FileStamp],
        root: Path | None = None,
    ) -> Shard:
        """Make a shard; its size is that of its files, unless it is given."""
        options = [self.channels, self.geometry.resize, self.geometry.crop]
        files = [[stamp.path.removeprefix(str(root)), *stamp[1:]] for stamp in stamps]
        identity = hashlib.sha256(json.dumps([type(content).__name__, options, known_by, files]).encode()).hexdigest()
        if nbytes is None:  # of encoded images, of which there may be several in a file
            count = None if self.geometry.pages == "all" and count else count
            nbytes = sum(max(0, stamp.size) for stamp in stamps)
        return Shard(name, count, nbytes, identity, content, self.channels, self.geometry, tuple(stamps))

    def _ranges(self, count: int, most: int | None = None) -> Iterator[tuple[int, int]]:
        """Start and stop of every shard of so many images, of which at most `most` lie in one."""
        step = min(self.images_per_shard, self.images_per_shard if most is None else most)
        if -(-count // step) < self.at_least:
            step = max(1, count // self.at_least)
        return ((start, min(start + step, count)) for start in range(0, count, step))
