"""Data: what a user named, recognised; the one value from which everything that needs images takes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from firstlight.errors import InputError
from firstlight.images.imageset import ImageSet
from firstlight.images.shards.cut import Cut
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images, ImageStream
from firstlight.utils.checks import whole_number
from firstlight.utils.cores import cores

# Past so many, threads wait for the interpreter's lock more than they decode.
_MOST_WORKERS = 16
# Of images that can be had with several numbers of channels, where none is asked for.
USUAL_CHANNELS = 3


@dataclass(frozen=True, eq=False)
class Data:
    """Images that a user named; none is read before it is asked for. Made by `recognise`.

    A kind of data is a class below this one and says what it can give; what it cannot is refused here.

    Attributes
    ----------
    name : str
        What results call it.
    kind : str
        What it is, as messages say it: "a folder of image files".
    where : Path or None
        The file or folder, as it was named; None of what lies in memory or is known by its name.
    """

    name: str
    kind: str
    where: Path | None = None
    whole: ClassVar[bool] = False
    """Whether it is one array, so that there is an `image_set`."""

    def image_set(self, split: str = "train", *, labels: Any = None, layout: str | None = None) -> ImageSet:
        """One split in one array; see `load_images`."""
        raise InputError(
            f"{self.called}, whose images are read one after the other; expected a name, a .npy or .npz file, a "
            "folder of folders of classes, an array or an ImageSet: image_stream reads the others"
        )

    def stream(
        self,
        *,
        resize: int | tuple[int, int] | None = None,
        crop: int | tuple[int, int] | None = None,
        channels: int | None = None,
        split: str | None = None,
        only: str | Sequence[str] = (),
        layout: str | None = None,
        max_pixels: int | None = None,
        pages: str = "first",
        strict: bool = False,
        workers: int | None = None,
        progress: bool = True,
    ) -> ImageStream:
        """The images in stacks, read in this process; see `image_stream`."""
        geometry = Geometry.of(resize, crop, max_pixels, pages)
        threads = decoding_threads() if workers is None else whole_number("workers", workers, 1)
        images = self.choosing(only).opened(split, layout, _checked(channels), geometry, threads)
        return ImageStream(images, strict=strict, progress=progress)

    def shards(
        self,
        *,
        images_per_shard: int = 2048,
        at_least: int = 1,
        resize: int | tuple[int, int] | None = None,
        crop: int | tuple[int, int] | None = None,
        channels: int | None = None,
        split: str | None = None,
        only: str | Sequence[str] = (),
        layout: str | None = None,
        max_pixels: int | None = None,
        pages: str = "first",
    ) -> list[Shard]:
        """The images in parts that can be read anywhere; see `shards_of`."""
        per_shard = whole_number("images_per_shard", images_per_shard, 1)
        cut = Cut(per_shard, at_least, _checked(channels) or 0, Geometry.of(resize, crop, max_pixels, pages))
        return list(self.choosing(only).cut(cut, split, layout))

    def opened(
        self, split: str | None, layout: str | None, channels: int | None, geometry: Geometry, workers: int
    ) -> Images:
        """What a stream reads."""
        raise NotImplementedError

    def cut(self, cut: Cut, split: str | None, layout: str | None) -> Iterator[Shard]:
        """The parts."""
        raise InputError(
            f"{self.called}, which cannot be cut into shards; expected a folder, a file, an array or a name: "
            "image_stream reads it in this process"
        )

    def choosing(self, only: str | Sequence[str]) -> Self:
        """The same data, of which only files of these names are read, or this column of a table."""
        if only:
            raise InputError(f"only is {only!r}, but {self.called}, which is read whole: leave it out")
        return self

    @property
    def called(self) -> str:
        """How a message begins: what was given, and what it is."""
        return f"{self.where or 'source'} is {self.kind}"

    def refuse_split(self, split: str | None) -> None:
        """Refuse a split of what has none."""
        if split is not None:
            raise InputError(f"split is {split!r}, but {self.called}, which has no splits: name the data of that split")


def _checked(channels: int | None) -> int | None:
    return None if channels is None else whole_number("channels", channels, 1)


def decoding_threads() -> int:
    """How many threads decode: one a core, as far as that helps."""
    return min(cores(), _MOST_WORKERS)


def refuse_changes(given: str, labels: Any, layout: str | None) -> None:
    """Refuse labels and a layout for what has its own."""
    if (labels is not None and labels is not False) or layout is not None:
        raise InputError(f"labels= and layout= are for arrays and files, but the source is {given}: leave them out")
