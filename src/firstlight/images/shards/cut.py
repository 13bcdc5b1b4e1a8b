"""Cutting a data set into shards."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.imageset import ImageSet
from firstlight.images.load import NAMES, load_images
from firstlight.images.shards.contents import (
    ArraySlice,
    Content,
    FileEntry,
    ImageFileChunk,
    MappedSlice,
    TableFile,
    TarFile,
)
from firstlight.images.shards.shard import FileStamp, Shard
from firstlight.images.shards.tars import is_tar
from firstlight.images.streams.choose import ArrayFile, find_images, is_word
from firstlight.images.streams.decode import SUFFIXES, decoders
from firstlight.images.streams.folder import ImageFiles, files_below
from firstlight.images.streams.memory import ArrayImages, as_array
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stacks import pieces
from firstlight.images.streams.tables import TABLE_SUFFIXES, ImageTable, is_saved_dataset, parquet_folder, saved_dataset
from firstlight.utils.checks import whole_number
from firstlight.utils.text import printable

__all__ = ["Shard", "shards_of"]

_TAR_ENDS = frozenset({".tar", ".gz", ".tgz"})
# Slices in memory travel to their task.
_SLICE_BYTES = 8 << 20


def shards_of(
    source: Any,
    *,
    images_per_shard: int = 2048,
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    channels: int = 3,
    split: str | None = None,
    layout: str | None = None,
) -> list[Shard]:
    """Cut a data set into shards, in an order that is always the same.

    Nothing is decoded, and of files only names, sizes, time stamps and the heads of tables are read.

    Parameters
    ----------
    source
        - A folder of image files, or one such file: shards are `images_per_shard` of its files.
        - A tar file (``.tar``, ``.tar.gz``, ``.tgz``) of image files, or a folder of them, as WebDataset has them:
          every tar file is a shard.
        - A Parquet or Arrow file, a folder of Parquet files, or a saved Hugging Face data set: a file is a shard.
        - An array (N, C, H, W) or (N, H, W, C), a .npy or .npz file, an `ImageSet`, a name that `load_images` knows:
          shards are slices. Those of a .npy file are read where the task runs; others travel there, 8 MB at most.
    images_per_shard
        Of files or slices.
    resize, crop, channels, split, layout
        As of `image_stream`.

    Returns
    -------
    list of Shard

    Raises
    ------
    InputError
        An option is none, or the source holds no images, or is Python objects that only this process has.
    SourceError
        The first of several tables is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> from firstlight.images.shards.cut import shards_of
    >>> [shard.name for shard in shards_of(np.zeros((5, 3, 8, 8), np.uint8), images_per_shard=2)]
    ['array[0:2]', 'array[2:4]', 'array[4:5]']
    """
    geometry = Geometry.of(resize, crop)
    count, channels = whole_number("images_per_shard", images_per_shard, 1), whole_number("channels", channels, 1)
    cut = _Cut(count, geometry, channels)
    if isinstance(source, str) and (source in NAMES or is_word(source)):
        source = load_images(source, split or "train")
    elif isinstance(source, str | os.PathLike):
        return list(cut.path(Path(source).expanduser().absolute(), split, layout))
    elif split is not None:
        raise InputError(f"split is {split!r}, but a {type(source).__name__} has no splits; leave it out")
    if isinstance(source, ImageSet):
        return list(cut.array(source.name, source.images))
    if isinstance(source, np.ndarray) or hasattr(source, "detach"):
        return list(cut.array("array", as_array(source, "array", layout)))
    raise InputError(
        f"source is a {type(source).__name__}, which cannot be cut into shards; expected a folder, a file, an array "
        "or a name: image_stream reads it in this process"
    )


@dataclass(frozen=True)
class _Cut:
    """How a source is cut."""

    images_per_shard: int
    geometry: Geometry
    channels: int

    def path(self, path: Path, split: str | None, layout: str | None) -> Iterator[Shard]:
        """Whatever lies at a path."""
        if path.is_file() and is_tar(path):
            if split is not None:
                raise InputError(f"split is {split!r}, but {path} is one file; leave it out")
            return self._tars([path], path.parent)
        if path.is_dir():
            tars = _tars_below(path)
            if tars:
                return self._tars(_of_split(tars, path, split), path)
            table = _tables_below(path, split)
            if table is not None:
                return self._table(table)
        found = find_images(path, split, layout)
        if isinstance(found, ArrayFile):
            if path.suffix.lower() == ".npy":
                return self._mapped(path, found.images, layout)
            return self.array(found.name, found.images)
        if isinstance(found, ImageTable):
            return self._table(found)
        assert isinstance(found, ImageFiles)
        return self._folder(found)

    def array(self, name: str, images: np.ndarray) -> Iterator[Shard]:
        """Slices of an array in memory, known by their pixels."""
        ArrayImages(name, images[:1], self.channels, self.geometry)  # which refuses options that do not go with it
        per_shard = max(1, min(self.images_per_shard, _SLICE_BYTES // images[0].nbytes))
        for start, stop in _ranges(len(images), per_shard):
            part, place = images[start:stop], f"{printable(name)}[{start}:{stop}]"
            digest = hashlib.sha256()
            for piece in pieces(part):
                digest.update(np.ascontiguousarray(piece, dtype=images.dtype.newbyteorder("<")).data)
            known_by = [images.dtype.name, *part.shape, digest.hexdigest()]
            yield self._shard(place, len(part), part.nbytes, ArraySlice(place, part), known_by, [])

    def _mapped(self, path: Path, images: np.ndarray, layout: str | None) -> Iterator[Shard]:
        ArrayImages(path.name, images[:1], self.channels, self.geometry)
        stamps = [FileStamp.of(path)]
        for start, stop in _ranges(len(images), self.images_per_shard):
            name = f"{printable(path.name)}[{start}:{stop}]"
            content = MappedSlice(path, start, stop, layout)
            nbytes = (stop - start) * images[0].nbytes
            yield self._shard(name, stop - start, nbytes, content, [start, stop, layout], stamps, path.parent)

    def _tars(self, paths: list[Path], root: Path) -> Iterator[Shard]:
        self._refuse_channels()
        for path in paths:
            name = printable(str(path.relative_to(root)))
            yield self._shard(name, None, None, TarFile(path), ["tar", decoders()], [FileStamp.of(path)], root)

    def _table(self, table: ImageTable) -> Iterator[Shard]:
        self._refuse_channels()
        for path in table.files:
            name = printable(os.path.relpath(path, table.root))
            try:
                count = ImageTable(name, [path], table.root).total()
            except (SourceError, InputError):  # told when the shard is read, and counted as broken
                count = None
            content = TableFile(path, table.root, table.column)
            known_by = [table.column, decoders()]
            yield self._shard(name, count, None, content, known_by, [FileStamp.of(path)], table.root)

    def _folder(self, files: ImageFiles) -> Iterator[Shard]:
        self._refuse_channels()
        root = files.path if files.path.is_dir() else files.path.parent
        listed = files_below(root, SUFFIXES) if files.path.is_dir() else [(files.path.name, "")]
        entries = [FileEntry(*entry) for entry in listed]
        for start, stop in _ranges(len(entries), self.images_per_shard):
            chunk = tuple(entries[start:stop])
            stamps = [FileStamp.of(os.path.join(root, entry.name)) for entry in chunk if not entry.problem]
            name = f"{files.name}[{start}:{stop}]" if len(entries) > 1 else files.name
            known_by = [*(entry.name for entry in chunk if entry.problem), decoders()]
            yield self._shard(name, len(chunk), None, ImageFileChunk(name, root, chunk), known_by, stamps, root)

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
        if nbytes is None:
            nbytes = sum(max(0, stamp.size) for stamp in stamps)
        return Shard(name, count, nbytes, identity, content, self.channels, self.geometry, tuple(stamps))

    def _refuse_channels(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"channels is {self.channels}, expected 1 (gray) or 3 (RGB) for encoded images")


def _ranges(count: int, step: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + step, count)) for start in range(0, count, step))


def _tars_below(folder: Path) -> list[Path]:
    names = [name for name, problem in files_below(folder, _TAR_ENDS) if not problem and is_tar(Path(name))]
    if names and (other := next(files_below(folder, SUFFIXES | TABLE_SUFFIXES), None)):
        raise InputError(
            f"{folder} holds tar files like {names[0]} as well as {printable(other[0])}; expected one kind: "
            "name the folder below"
        )
    return [folder / name for name in names]


def _tables_below(folder: Path, split: str | None) -> ImageTable | None:
    """The tables in a folder, of which only the first is opened: others may be damaged."""
    if is_saved_dataset(folder):
        return saved_dataset(folder, split)
    mixed = next(files_below(folder, SUFFIXES), None) is not None  # which `find_images` refuses
    return None if mixed else parquet_folder(folder, split)


def _of_split(tars: list[Path], folder: Path, split: str | None) -> list[Path]:
    """The tar files of a split: in a folder of that name, or with a name that begins with it; None takes all."""
    if split is None:
        return tars
    chosen = [path for path in tars if split in path.relative_to(folder).parts[:-1] or path.name.startswith(split)]
    if not chosen:
        raise InputError(f"split is {split!r}, but no tar file in {folder} is called so, like {tars[0].name}")
    return chosen
