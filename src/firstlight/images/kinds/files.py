"""Data that are encoded images in files: image files, tables, tar files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from firstlight.errors import InputError
from firstlight.images.arrays import build_image_set
from firstlight.images.class_folders import Labelled, read_class_folders
from firstlight.images.imageset import ImageSet
from firstlight.images.kinds.kind import USUAL_CHANNELS, Data, decoding_threads, refuse_changes
from firstlight.images.named_sets import NAMES
from firstlight.images.shards.cut import Cut
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.encoded import EncodedImages
from firstlight.images.streams.image_tables import ImageTable
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images
from firstlight.utils.text import printable


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedFiles(Data):
    """Encoded images at a path.

    Attributes
    ----------
    source : callable
        The images of a split as an `EncodedSource`, none of them read; where there are no splits, without an argument.
    cut_by : callable
        The method of `Cut` that such a source is cut by.
    has_splits : bool
    passed_over : str
        A file of another kind in the same folder: a stream passes those over, shards must not.
    """

    source: Callable[..., Any] = field(repr=False)
    cut_by: Callable[[Cut, Any], Iterator[Shard]] = field(repr=False)
    has_splits: bool = False
    passed_over: str = ""
    only: tuple[str, ...] = ()

    def choosing(self, only: str | Sequence[str]) -> Self:
        return replace(self, only=(only,) if isinstance(only, str) else tuple(only))

    def opened(
        self, split: str | None, layout: str | None, channels: int | None, geometry: Geometry, workers: int
    ) -> Images:
        channels = channels or USUAL_CHANNELS
        source = self._source(split, channels)
        if isinstance(source, ImageTable):
            self._refuse_empty(source.total())
        return EncodedImages(source, channels, geometry, workers)

    def cut(self, cut: Cut, split: str | None, layout: str | None) -> Iterator[Shard]:
        if self.passed_over:
            raise InputError(
                f"{self.called}, but {printable(self.passed_over)} lies there as well; expected one kind: name the "
                "folder below"
            )
        cut = cut.of(USUAL_CHANNELS)
        shards = list(self.cut_by(cut, self._source(split, cut.channels)))
        self._refuse_empty(any(shard.count != 0 for shard in shards))
        return iter(shards)

    def _source(self, split: str | None, channels: int | None) -> Any:
        if channels not in (1, 3):
            raise InputError(
                f"channels is {channels}; expected 1 (grey) or 3 (RGB) for encoded images: others are read from arrays"
            )
        if not self.has_splits:
            self.refuse_split(split)
        source = self.source(split) if self.has_splits else self.source()
        source.only = self.only
        return source

    def _refuse_empty(self, images: int) -> None:
        if not images:
            raise InputError(f"{self.where} has no rows; expected at least one image")


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageFolder(EncodedFiles):
    """A folder of image files; a set of labelled images, too, where they lie in folders of classes."""

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        refuse_changes(self.kind, labels, layout)
        name = f"{self.name}/" if self.name in NAMES else self.name  # it is not that set
        found = build_image_set(name, self._labelled.parts, split, "NCHW")
        return replace(found, classes=self._labelled.classes)

    @cached_property
    def _labelled(self) -> Labelled:
        assert self.where is not None
        return read_class_folders(self.where, decoding_threads(), self.only)


@dataclass(frozen=True, eq=False, kw_only=True)
class OtherFiles(ImageFolder):
    """A folder without a file that is called like an image, of which some are images if their names are given."""

    refusal: str = field(repr=False)

    def choosing(self, only: str | Sequence[str]) -> Self:
        if not only:
            raise InputError(self.refusal)
        return super().choosing(only)

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        if not self.only:
            raise InputError(self.refusal)
        return super().image_set(split, labels=labels, layout=layout)
