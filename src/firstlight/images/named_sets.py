"""The data sets that are known by name: what there is, whether it is on disk, and how it is had."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firstlight.errors import InputError
from firstlight.images.cache import cache_dir
from firstlight.images.cifar import CIFAR, CifarDefinition, Pixels
from firstlight.images.cifar.obtain import fetch_cifar, is_stored, load_cifar
from firstlight.images.imageset import SPLITS, ImageSet
from firstlight.images.photos import PER_CLASS, PHOTOGRAPHS, load_photos, photos_folder, require_photos
from firstlight.utils.nearest import entries, nearest

NAMES = (*CIFAR, "photos")


@dataclass(frozen=True)
class DataSetInfo:
    """A data set that can be loaded by name.

    Parameters
    ----------
    name : str
        What to pass to `load_images`.
    description : str
        One line.
    size : str
        Numbers of images, their shape and what they occupy on disk.
    location : Path or None
        The folder it is kept in once fetched; None where there is no such folder.
    present : bool
        Whether it is there already; what the files hold is checked only when they are read.
    """

    name: str
    description: str
    size: str
    location: Path | None
    present: bool


def data_sets(data_dir: str | Path | None = None) -> list[DataSetInfo]:
    """List the data sets that can be loaded by name, and whether they are on disk."""
    known = [
        DataSetInfo(
            name=name,
            description=f"{cifar.title}: small colour photographs in {len(cifar.classes)} classes",
            size=f"{_numbers(cifar.counts['train'], cifar.counts['test'])} of 3x32x32, 184 MB",
            location=cache_dir(data_dir) / name,
            present=is_stored(cifar, data_dir),
        )
        for name, cifar in CIFAR.items()
    ]
    folder = photos_folder()
    train, test = (PER_CLASS[split] * len(PHOTOGRAPHS) for split in SPLITS)
    return [
        *known,
        DataSetInfo(
            name="photos",
            description=f"crops of {len(PHOTOGRAPHS)} photographs inside scikit-image; needs no network",
            size=f"{_numbers(train, test)} of 3x32x32, 2 MB",
            location=folder,
            present=folder is not None,
        ),
    ]


def fetch(name: str, *, data_dir: str | Path | None = None) -> Path:
    """Download a data set unless it is on disk, check it, and return the folder that holds it.

    Raises
    ------
    InputError
        When the name is unknown.
    SourceError
        When it can be had from nowhere.
    """
    if name not in NAMES:
        raise unknown_name(name)
    return require_photos() if name == "photos" else fetch_cifar(CIFAR[name], data_dir)


def load_named(name: str, split: str, data_dir: str | Path | None) -> ImageSet:
    """Load one split of a data set in `NAMES`.

    Raises
    ------
    SourceError
        When it can be had from nowhere.
    """
    if name == "photos":
        return load_photos(split)
    return cifar_set(CIFAR[name], split, load_cifar(CIFAR[name], split, data_dir))


def cifar_set(cifar: CifarDefinition, split: str, pixels: Pixels) -> ImageSet:
    """One split of a CIFAR data set, wherever its pixels come from."""
    images, labels = pixels.images.transpose(0, 3, 1, 2), pixels.labels.astype(np.int64)
    return ImageSet(cifar.name, split, images, labels, cifar.classes, cifar.mean, cifar.std)


def unknown_name(name: str) -> InputError:
    """What to say of a name that is none, nor a path of anything."""
    close = nearest(name, [*entries(Path()), *NAMES])
    hint = f"did you mean {close!r}? " if close else ""
    return InputError(
        f"no data set is called {name!r}; {hint}known are {', '.join(NAMES)}, "
        f"and a path to a .npy or .npz file, or to a folder of images, is accepted too; nothing lies at {name}"
    )


def _numbers(train: int, test: int) -> str:
    return f"{train:,} train and {test:,} test images"
