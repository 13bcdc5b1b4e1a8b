"""Which kind of data set a source is, and the stream that reads it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstlight.errors import InputError
from firstlight.images.array_files import read_array_file
from firstlight.images.arrays import check_images
from firstlight.images.imageset import ImageSet
from firstlight.images.load import NAMES, load_images
from firstlight.images.streams.decode import SUFFIXES
from firstlight.images.streams.encoded import EncodedImages, EncodedSource
from firstlight.images.streams.folder import ImageFiles
from firstlight.images.streams.memory import ArrayImages, PythonImages, as_array
from firstlight.images.streams.resize import Geometry
from firstlight.images.streams.stream import Images, ImageStream
from firstlight.images.streams.tables import (
    TABLE_SUFFIXES,
    ImageTable,
    is_saved_dataset,
    parquet_folder,
    saved_dataset,
)
from firstlight.utils.checks import whole_number
from firstlight.utils.cores import cores
from firstlight.utils.text import printable

# Past so many, threads wait for the interpreter's lock more than they decode.
_MOST_WORKERS = 16
_EXPECTED = (
    "a folder of images, an image file, .npy or .npz, Parquet or Arrow, the folder of a saved Hugging Face data set, "
    "an array, or a torch Dataset or DataLoader"
)


def image_stream(
    source: Any,
    *,
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    channels: int = 3,
    split: str | None = None,
    layout: str | None = None,
    strict: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> ImageStream:
    """Read a data set of any size, in constant memory.

    Parameters
    ----------
    source : str, Path, ndarray, ImageSet, or iterable of images
        - A folder: every image file below it is taken, ``train`` and ``test`` alike (JPEG, PNG, WebP, TIFF, BMP, GIF,
          PPM by suffix, in either case), links followed, hidden files passed over. Or one such file.
        - An array (N, C, H, W) or (N, H, W, C), uint8 or floating; a .npy or .npz file; an `ImageSet`; a name that
          `load_images` knows.
        - The folder that `save_to_disk` of a Hugging Face Dataset or DatasetDict has written; a Parquet or Arrow file,
          or a folder of Parquet files, with a column of encoded images.
        - A torch Dataset or DataLoader, or any iterable, of images, of tuples that begin with one, or of dictionaries
          with an "image", "pixel_values" or "img".
    resize : int or tuple of two int, optional
        The shorter side in pixels (the longer one in proportion, rounded down), or (height, width); bicubic with
        antialiasing, as Pillow does it. None: as they are.
    crop : int or tuple of two int, optional
        Side, or (height, width), of the window at the centre that is kept; smaller images are left out.
    channels : int
        3 for RGB, 1 for gray. Image files are converted to it (gray by ITU-R 601, alpha dropped). Arrays must have as
        many, but RGB bytes can become gray.
    split : str, optional
        Of a data set that has splits: by default "train", or else the first (DatasetDict), or all (Parquet).
    layout : {"NCHW", "NHWC"}, optional
        "NCHW" or "NHWC" for arrays whose shape does not tell.
    strict : bool
        Stop at the first broken image, instead of leaving it out.
    workers : int, optional
        Number of threads that decode; by default one a core, at most 16.
    progress : bool
        Whether to tell on stderr how far the reading is.

    Returns
    -------
    ImageStream
        8 bits a channel, upright (EXIF). 16-bit images become ``round(x / 257)``; floating-point arrays and tensors
        stay as they are, and floating-point image files are left out as broken, since their range is not known.

    Raises
    ------
    InputError
        An option is none, or the source holds no images.
    SourceError
        A file that holds many images is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> stream = image_stream(np.zeros((5, 3, 8, 8), np.uint8), crop=4, progress=False)
    >>> [stack.shape for stack in stream]
    [(5, 3, 4, 4)]
    >>> stream.summary()
    '5 images from array'
    """
    geometry = Geometry.of(resize, crop)
    channels = whole_number("channels", channels, 1)
    threads = min(cores(), _MOST_WORKERS) if workers is None else whole_number("workers", workers, 1)
    images = _images(source, split, layout, channels, geometry, threads)
    return ImageStream(images, strict=strict, progress=progress)


def _images(
    source: Any, split: str | None, layout: str | None, channels: int, geometry: Geometry, workers: int
) -> Images:
    named = isinstance(source, str) and (source in NAMES or is_word(source))
    if named:
        source = load_images(source, split or "train")  # which also knows what to say of a name that is none
    elif isinstance(source, (str, os.PathLike)):
        found = find_images(Path(source).expanduser(), split, layout)
        if isinstance(found, ArrayFile):
            return ArrayImages(found.name, found.images, channels, geometry)
        if channels not in (1, 3):
            raise InputError(f"channels is {channels}, expected 1 (gray) or 3 (RGB) for encoded images")
        return EncodedImages(found, channels, geometry, workers)
    elif split is not None:
        raise InputError(f"split is {split!r}, but a {type(source).__name__} has no splits; leave it out")
    if isinstance(source, ImageSet):
        return ArrayImages(source.name, source.images, channels, geometry)
    if isinstance(source, np.ndarray) or hasattr(source, "detach"):
        return ArrayImages("array", as_array(source, "array", layout), channels, geometry)
    indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    if isinstance(source, (Mapping, bytes)) or not (hasattr(source, "__iter__") or indexed):
        raise InputError(f"source is a {type(source).__name__}, expected {_EXPECTED}")
    return PythonImages(source, channels, geometry, layout)


class ArrayFile(NamedTuple):
    """The images of a NumPy file."""

    name: str
    images: np.ndarray


def find_images(path: Path, split: str | None, layout: str | None) -> "EncodedSource | ArrayFile":
    """What lies at a path.

    Raises
    ------
    InputError
        Nothing, nothing known, or nothing in it.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        found = _find_in_folder(path, split)
    elif suffix in (".npy", ".npz"):
        parts = read_array_file(path)
        if (split or "train") not in parts:
            raise InputError(f"split is {split!r}, but {path} holds {', '.join(parts)}")
        return ArrayFile(path.name, check_images(parts[split or "train"].images, layout, path.name))
    elif not path.exists() and not path.is_symlink():
        raise InputError(f"{path} does not exist, expected {_EXPECTED}")
    elif split is not None:
        raise InputError(f"split is {split!r}, but {path} is one file; leave it out")
    elif suffix in TABLE_SUFFIXES:
        found = ImageTable(printable(path.name), [path], path.parent)
    elif suffix in SUFFIXES:
        return ImageFiles(path)
    else:
        raise InputError(f"{path} is not a file that images are read from, expected {_EXPECTED}")
    if isinstance(found, ImageTable) and not found.total():
        raise InputError(f"{path} has no rows, expected at least one image")
    return found


def _find_in_folder(folder: Path, split: str | None) -> EncodedSource:
    if is_saved_dataset(folder):
        return saved_dataset(folder, split)
    files = ImageFiles(folder)
    has_files = next(files.items(), None) is not None
    table = parquet_folder(folder, split)
    if table is not None and has_files:
        raise InputError(
            f"{folder} holds image files as well as Parquet files; expected one kind: name the folder below"
        )
    if table is not None:
        return table
    if not has_files:
        raise InputError(
            f"{folder} holds no images, expected files that end in {', '.join(sorted(SUFFIXES))}, or in .parquet"
        )
    if split is not None:
        raise InputError(f"split is {split!r}, but {folder} is a folder of image files; pass the folder of the split")
    return files


def is_word(source: str) -> bool:
    path = Path(source)
    return path.name == source and not path.suffix and not path.exists() and not path.is_symlink()
