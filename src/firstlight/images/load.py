"""Loading images by name, from a file or from an array; and what there is to load."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firstlight.errors import InputError
from firstlight.images.array_files import read_array_file, read_npy
from firstlight.images.arrays import Part, build_image_set
from firstlight.images.cache import cache_dir
from firstlight.images.cifar import CIFAR
from firstlight.images.cifar.find import fetch_cifar, is_stored, load_cifar
from firstlight.images.imageset import SPLITS, ImageSet
from firstlight.images.photos import PER_CLASS, PHOTOGRAPHS, load_photos, photos_folder, require_photos

NAMES = (*CIFAR, "photos")


@dataclass(frozen=True)
class DataSetInfo:
    """A data set that can be loaded by name.

    Parameters
    ----------
    name
        What to pass to `load_images`.
    description
        One line.
    size
        Numbers of images, their shape and what they occupy on disk.
    location
        The folder it is kept in once fetched; None where there is no such folder.
    present
        Whether it is there already; what the files hold is checked only when they are read.
    """

    name: str
    description: str
    size: str
    location: Path | None
    present: bool


def load_images(
    source: "str | Path | np.ndarray | ImageSet",
    split: str = "train",
    *,
    data_dir: str | Path | None = None,
    labels: "np.ndarray | Sequence[int] | str | Path | None" = None,
    layout: str | None = None,
) -> ImageSet:
    """Load one split of a data set.

    Parameters
    ----------
    source : str, Path, ndarray or ImageSet
        ``"cifar10"``, ``"cifar100"`` (downloaded once) or ``"photos"`` (no download); the path of a .npy or
        .npz file; an array of shape (N, C, H, W) or (N, H, W, C), uint8 or floating; or an ImageSet, which is
        returned as it is.
    split : str
        ``"train"`` or ``"test"``. An array, or a file without named splits, is a train split.
    data_dir : str or Path, optional
        For CIFAR: the folder to cache in, or one in which the original batches already lie; by default the
        environment variable FIRSTLIGHT_CACHE, else the platform's cache folder.
    labels : int array of shape (N,), or the path of a .npy file with one
        Class numbers for an array or a file; they replace those that the file has.
    layout : {"NCHW", "NHWC"}, optional
        ``"NCHW"`` or ``"NHWC"`` for an array or a file, where its shape does not tell.

    Returns
    -------
    ImageSet

    Raises
    ------
    InputError
        When the source is unknown, or a file or array is not images.
    SourceError
        When a named data set can be had from nowhere.

    Examples
    --------
    >>> import numpy as np
    >>> from firstlight.images import load_images
    >>> load_images(np.arange(384).reshape(2, 8, 8, 3).astype(np.uint8))
    ImageSet('array', train: 2 images of 3x8x8, uint8, no labels)
    """
    if split not in SPLITS:
        raise InputError(f"split is {split!r}, expected 'train' or 'test'")
    named = isinstance(source, str) and source in NAMES
    if (named or isinstance(source, ImageSet)) and not (labels is None and layout is None):
        what = source if named else "an ImageSet"
        raise InputError(f"labels= and layout= are for arrays and files, but the source is {what}; leave them out")
    if isinstance(source, ImageSet):
        return source
    if isinstance(labels, (str, Path)):
        labels = read_npy(_existing(Path(labels)))
    if isinstance(source, np.ndarray):
        return build_image_set("array", {"train": Part(source, None)}, split, layout, labels)
    if not isinstance(source, (str, Path)):
        raise InputError(
            f"source is a {type(source).__name__}, expected a name, a path or a numpy.ndarray; "
            f"convert it with numpy.asarray"
        )
    if source == "photos":
        return load_photos(split)
    if isinstance(source, str) and source in CIFAR:
        return _load_named_cifar(source, split, data_dir)
    path = Path(source).expanduser()
    if isinstance(source, str) and path.name == source and not path.suffix and not path.exists():
        raise _unknown(source)
    return build_image_set(path.name, read_array_file(path), split, layout, labels)


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
    if name == "photos":
        return require_photos()
    if name not in CIFAR:
        raise _unknown(name)
    return fetch_cifar(CIFAR[name], data_dir)


def _load_named_cifar(name: str, split: str, data_dir: str | Path | None) -> ImageSet:
    cifar = CIFAR[name]
    images, labels = load_cifar(cifar, split, data_dir)
    images = images.transpose(0, 3, 1, 2)
    return ImageSet(name, split, images, labels.astype(np.int64), cifar.classes, cifar.mean, cifar.std)


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise InputError(f"labels file {path} does not exist, expected a .npy file")
    return path


def _unknown(name: str) -> InputError:
    close = difflib.get_close_matches(name.lower(), NAMES, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return InputError(
        f"no data set is called {name!r}; {hint}known are {', '.join(NAMES)}, "
        f"and a path to a .npy or .npz file is accepted too"
    )


def _numbers(train: int, test: int) -> str:
    return f"{train:,} train and {test:,} test images"
