"""Labelled images in folders: FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE, or FOLDER/CLASS/IMAGE."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.images.arrays import Part
from firstlight.images.streams.decode import SUFFIXES
from firstlight.images.streams.encoded import Encoded, EncodedImages
from firstlight.images.streams.image_files import ImageFiles
from firstlight.images.streams.resize import Geometry
from firstlight.utils.console import note
from firstlight.utils.progress import ImageProgress
from firstlight.utils.text import counted

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
TEST_SHARE = 6  # of a folder without splits, one image in so many, as CIFAR-10 has it
_LAYOUT = "FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE"


class Labelled(NamedTuple):
    """Images in one array a split, (N, C, H, W), each with its class, an index into the names."""

    parts: dict[str, Part]
    classes: tuple[str, ...]


class _Place(NamedTuple):
    """Where an image lies: its split ("" where there are none), and the folder of its class."""

    split: str
    label: str


def read_class_folders(folder: Path, workers: int, only: tuple[str, ...] = ()) -> Labelled:
    """Read the images of a folder, train and test, in an order that their pixels decide.

    The first images of a set stand for the whole wherever a part is enough, and files are listed class by class: so
    they are put in the order of the SHA-256 of their pixels. Without folders of splits it decides, too, which are for
    testing; equal images are always in one split. Images that are all grey have one channel.

    Parameters
    ----------
    folder : Path
    workers : int
        Number of threads that decode.
    only : tuple of str
        Patterns of the names to take; see `Choice`.

    Raises
    ------
    InputError
        The images lie in no folders of classes, have several sizes, or would not fit into memory.
    SourceError
        An image cannot be read.
    """
    images = ImageFiles(folder, only or tuple(f"*{suffix}" for suffix in SUFFIXES))
    encoded = [item for item in images.items() if not isinstance(item.content, Counter)]
    for item in encoded:
        if isinstance(item.content, str):
            raise _unreadable(folder / item.name, item.content)
    places = _places(folder, [item.name for item in encoded])
    encoded = [item for item in encoded if item.name in places]
    images = _decoded(folder, encoded, workers)
    if all(np.array_equal(images[:, 0], images[:, channel]) for channel in (1, 2)):
        images = images[:, :1]
    classes = tuple(sorted({place.label for place in places.values()}))
    numbers = {label: number for number, label in enumerate(classes)}
    indices: dict[str, list[int]] = {"train": [], "test": []}
    for digest, index in sorted((hashlib.sha256(image).digest(), index) for index, image in enumerate(images)):
        indices[places[encoded[index].name].split or _drawn(digest)].append(index)
    labels = np.array([numbers[places[item.name].label] for item in encoded])
    if not any(place.split for place in places.values()):
        note(
            f"{folder} has no folders train and test: drawn by their SHA-256, "
            f"{counted(len(indices['train']), 'image')} for "
            f"training and {len(indices['test']):,} for testing"
        )
    return Labelled({split: Part(images[part], labels[part]) for split, part in indices.items() if part}, classes)


def _drawn(digest: bytes) -> str:
    return "train" if int.from_bytes(digest[:8]) % TEST_SHARE else "test"


def _places(folder: Path, names: Sequence[str]) -> dict[str, _Place]:
    """Where each image lies, by its name; those in other folders beside the splits are left out."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    splits = {top: split for split, known in (("train", TRAIN), ("test", TEST)) for top in _first(known, tops)}
    _refuse_splits(folder, names, splits)
    places = {}
    for name in names:
        top, *below = name.split("/")
        if splits and (top not in splits):
            continue
        within = below if splits else [top, *below]
        if len(within) < 2:
            raise InputError(f"{folder / name} lies in no folder of a class; expected {_LAYOUT}: move it into one")
        places[name] = _Place(splits.get(top, ""), within[0])
    trained = {place.label for place in places.values() if place.split != "test"}
    if strange := sorted({place.label for place in places.values()} - trained):
        raise InputError(
            f"{folder} has test images of {strange[0]!r} but no train images; expected the same classes: move or "
            "rename that folder"
        )
    return places


def _first(known: Sequence[str], tops: set[str]) -> Iterator[str]:
    """The folder of a split: that whose name, in any case, comes first among the known ones."""
    found = [top for name in known for top in sorted(tops) if top.lower() == name]
    yield from found[:1]


def _refuse_splits(folder: Path, names: Sequence[str], splits: dict[str, str]) -> None:
    if len(splits) == 1:
        (there,) = splits
        missing = "test" if splits[there] == "train" else "train"
        raise InputError(
            f"{folder} has a folder {there} but none of {missing} images; expected {_LAYOUT}: make one, or name "
            f"{folder / there}, of which one image in {TEST_SHARE} is then for testing"
        )
    nested = next((name for name in names if name.count("/") > 1 and name.split("/")[1].lower() in TRAIN + TEST), None)
    if not splits and nested is not None:
        raise InputError(
            f"{folder} has its train and test images deeper, as {nested}; expected {_LAYOUT}: name "
            f"{folder / nested.split('/')[0]}, or move the folders"
        )


@dataclass
class _Listed:
    """Images of which it is known that they are wanted."""

    name: str
    encoded: Sequence[Encoded]
    noun: str = "file"

    def total(self) -> int:
        return len(self.encoded)

    def items(self) -> Iterator[Encoded]:
        return iter(self.encoded)


def _decoded(folder: Path, encoded: Sequence[Encoded], workers: int) -> np.ndarray:
    """All images, (N, 3, H, W) uint8."""
    source = EncodedImages(_Listed(folder.name, encoded), 3, Geometry.of(None, None), workers)
    images = np.empty((0, 0, 0, 0), dtype=np.uint8)
    with ImageProgress(f"reading {folder}", len(encoded), True) as progress, closing(source.results()) as results:
        for index, (name, image, reason, *_) in enumerate(results):
            if image is None:
                raise _unreadable(folder / name, reason)
            if index == 0:
                images = _room(folder, len(encoded), image)
            if image.shape[1:] != images.shape[1:]:
                height, width = images.shape[2], images.shape[3]
                raise InputError(
                    f"{folder / name} has {image.shape[2]} x {image.shape[3]} pixels, but {encoded[0].name} "
                    f"{height} x {width}; expected one size for all: resize them, as with Pillow's "
                    f"ImageOps.fit(image, ({width}, {height}))"
                )
            images[index] = image[0]
            progress.update(1)
    return images


def _unreadable(path: Path, reason: str) -> SourceError:
    return SourceError(f"{path} cannot be read ({reason}); expected all images of a training set: mend or delete it")


def _room(folder: Path, count: int, image: np.ndarray) -> np.ndarray:
    try:
        return np.empty((count, *image.shape[1:]), dtype=np.uint8)
    except MemoryError:
        raise InputError(
            f"{folder} has {count:,} images of {image.shape[2]} x {image.shape[3]} pixels, {count * image.nbytes:,} "
            "bytes; expected as many as fit into memory: resize them, or give fewer"
        ) from None
