"""Data that are one array: a data set known by name, an ImageSet, an array, a .npy or .npz file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.array_files import read_array_file
from firstlight.images.arrays import Part, build_image_set, check_images
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.images.cifar.original import read_folder
from firstlight.images.cifar.tarballs import read_archive
from firstlight.images.imageset import ImageSet
from firstlight.images.kinds.kind import Data, refuse_changes
from firstlight.images.named_sets import cifar_set, load_named
from firstlight.images.npz_slices import NpzArray
from firstlight.images.shards.cut import Cut
from firstlight.images.shards.shard import Shard
from firstlight.images.sliced_images import SlicedImages
from firstlight.images.streams.memory import ArrayImages, as_array, as_numpy
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images


@dataclass(frozen=True, eq=False)
class OneArray(Data):
    """Images in one array, possibly mapped from a file."""

    whole: ClassVar[bool] = True

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray | SlicedImages:
        """The images, (N, C, H, W); `channels` are those expected, where the shape does not tell the layout."""
        raise NotImplementedError

    def opened(
        self, split: str | None, layout: str | None, channels: int | None, geometry: Geometry, workers: int
    ) -> Images:
        images = self.array(split, layout, channels)
        return ArrayImages(self.name, images, channels or images.shape[1], geometry)

    def cut(self, cut: Cut, split: str | None, layout: str | None) -> Iterator[Shard]:
        images = self.array(split, layout, cut.channels)
        return cut.of(images.shape[1]).array(self.name, images)


@dataclass(frozen=True, eq=False, kw_only=True)
class NamedSet(OneArray):
    """A data set that is known by its name."""

    data_dir: str | Path | None = None

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        refuse_changes(self.name, labels, layout)
        return load_named(self.name, split, self.data_dir)

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray:
        return load_named(self.name, split or "train", self.data_dir).images


@dataclass(frozen=True, eq=False, kw_only=True)
class OriginalFiles(OneArray):
    """The original files of CIFAR, where a user has them: a folder of batches, or an archive."""

    definition: CifarDefinition = field(repr=False)

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        refuse_changes(self.kind, labels, layout)
        return cifar_set(self.definition, split, self._read(split))

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray:
        return self.image_set(split or "train").images

    def _read(self, split: str) -> Pixels:
        assert self.where is not None
        read = read_folder if self.where.is_dir() else read_archive
        try:
            pixels = read(self.definition, self.where, split)
        except SourceError as error:
            raise SourceError(f"{self.where}: {error}: download it again") from None
        if pixels is None:
            raise SourceError(
                f"{self.where} has no {split} batches; expected all of {self.definition.title}: copy the others there"
            )
        return pixels


@dataclass(frozen=True, eq=False, kw_only=True)
class GivenSet(OneArray):
    """An ImageSet, of one split, whichever is asked for."""

    images: ImageSet = field(repr=False)

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        refuse_changes("an ImageSet", labels, layout)
        return self.images

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray:
        self.refuse_split(split)
        return self.images.images


@dataclass(frozen=True, eq=False, kw_only=True)
class GivenArray(OneArray):
    """An array or a tensor."""

    images: Any = field(repr=False)

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        return build_image_set(self.name, {"train": Part(as_numpy(self.images), None)}, split, layout, labels)

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray:
        self.refuse_split(split)
        return as_array(self.images, self.name, layout, channels)


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayFile(OneArray):
    """A .npy or .npz file."""

    @property
    def path(self) -> Path:
        """Of the file."""
        assert self.where is not None
        return self.where

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        return build_image_set(self.name, read_array_file(self.path, layout), split, layout, labels)

    def array(self, split: str | None, layout: str | None, channels: int | None = None) -> np.ndarray | SlicedImages:
        parts = read_array_file(self.path, layout, whole=False)
        if (split or "train") not in parts:
            raise InputError(f"split is {split!r}, but {self.path} holds {', '.join(parts)}")
        images = parts[split or "train"].images
        if isinstance(images, NpzArray):
            return SlicedImages(images, layout, self.name, channels)
        return check_images(images, layout, self.name, channels)

    def cut(self, cut: Cut, split: str | None, layout: str | None) -> Iterator[Shard]:
        images = self.array(split, layout, cut.channels)
        cut = cut.of(images.shape[1])
        if isinstance(images, SlicedImages) or self.path.suffix.lower() == ".npz":
            return cut.array(self.name, images)
        return cut.mapped(self.path, images, layout)
