"""NumPy files of images: .npy, memory-mapped, and .npz."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.images.arrays import Part
from firstlight.images.npz_slices import NpzArray
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import open_npz
from firstlight.utils.regular_file import check_file, open_file
from firstlight.utils.remote_paths import RemotePath
from firstlight.utils.text import first_line
from firstlight.utils.trouble import refuse_trouble

# How the arrays of a .npz file may be called: images and labels of train, then of test.
_NAMINGS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("images", "labels", None, None),
)
_PICKLE_START = b"\x80"  # the first byte of a pickle of protocol 2 and later


def read_array_file(path: Path, layout: str | None = None, whole: bool = True) -> dict[str, Part]:
    """Read the splits that a .npy or .npz file holds; grey images, (N, H, W), get their axis of one channel.

    Parameters
    ----------
    path : Path
        A .npy file with one array (memory-mapped), or a .npz file with the arrays ``images`` and ``labels``;
        ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``; ``x_train``, ``y_train``,
        ``x_test`` and ``y_test``, in capitals or not; or one 4-D array of any name. Labels may be left out.
    layout : str, optional
        "NHWC" where that axis is to be the last.
    whole : bool
        False: no labels; and images in a .npz file that can be read in slices are an NpzArray, as they are.

    Raises
    ------
    InputError
        When the file is missing, damaged, pickled, or holds something else.
    """
    if path.suffix.lower() not in (".npy", ".npz"):
        raise InputError(
            f"{path} is not a file that images are read from; expected .npy or .npz: "
            "image files, folders of them and saved data sets are read by image_stream"
        )
    if not path.exists() or path.is_dir():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {problem}; expected a .npy or .npz file")
    check_file(path)
    if path.suffix.lower() == ".npy" and isinstance(path, RemotePath):
        array = _remote(path)
        return {"train": Part(with_channels(array.read(0, array.shape[0]), layout, 5) if whole else array, None)}
    if path.suffix.lower() == ".npy":
        return {"train": Part(read_npy_images(path, layout), None)}
    return {
        split: part if isinstance(part.images, NpzArray) else Part(with_channels(part.images, layout), part.labels)
        for split, part in _read_npz(path, whole).items()
    }


def read_npy_images(path: Path, layout: str | None) -> np.ndarray:
    """Memory-map a .npy file of images, as `read_npy`."""
    return with_channels(read_npy(path), layout, 5)


def with_channels(images: np.ndarray, layout: str | None, fewest: int = 1) -> np.ndarray:
    """Grey images with an axis for their channel; what may be a single image of a few channels as it is."""
    if images.ndim != 3 or images.shape[0] < fewest or images.shape[2] <= 4:
        return images
    return images[..., None] if layout == "NHWC" else images[:, None]


def read_npy(path: Path) -> np.ndarray:
    """Memory-map a .npy file, read-only.

    Raises
    ------
    InputError
        When it is damaged or pickled.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except DAMAGE as error:
        refuse_trouble(error, str(path))
        raise refusal(path, error) from None


def _remote(path: Path) -> NpzArray:
    try:
        return NpzArray.of_npy(path)
    except DAMAGE as error:
        raise refusal(path, error) from None


def _read_npz(path: Path, whole: bool) -> dict[str, Part]:
    try:
        # NumPy would take a pickle or a .npy file by this name as well.
        with open_file(path) as file, zipfile.ZipFile(file):
            pass
        with open_npz(path) as archive:
            return _find_splits(path, archive, whole)
    except InputError:
        raise
    except DAMAGE as error:
        refuse_trouble(error, str(path))
        raise refusal(path, error) from None


def _find_splits(path: Path, archive: Any, whole: bool) -> dict[str, Part]:
    def read(name: str) -> Any:
        array = None if whole else NpzArray.of(path, name)
        return archive[name] if array is None else array

    names = {name.lower(): name for name in archive.files}
    for train_images, train_labels, test_images, test_labels in _NAMINGS:
        pairs = {"train": (train_images, train_labels), "test": (test_images, test_labels)}
        parts = {
            split: Part(read(names[images]), archive.get(names.get(labels or "", "")) if whole else None)
            for split, (images, labels) in pairs.items()
            if images in names
        }
        if parts:
            return parts
    candidates = [array for name in archive.files if (array := read(name)).ndim == 4]
    if len(candidates) != 1:
        found = ", ".join(archive.files) or "nothing"
        raise InputError(
            f"{path} holds {found}; expected images and labels, train_images and so on, x_train and so on, "
            f"or exactly one 4-D array: save it with numpy.savez(file, images=..., labels=...)"
        )
    return {"train": Part(candidates[0], None)}


def refusal(path: Path, error: Exception) -> InputError:
    """What to say of a file, of which this was raised."""
    text = first_line(error)
    with open_file(path) as file:
        pickled = file.read(1) == _PICKLE_START
    if pickled or "allow_pickle" in text or "Python objects" in text:
        return InputError(
            f"{path} holds pickled Python objects, which could run code when read and are refused: "
            f"save a plain uint8 or floating array instead"
        )
    return InputError(f"{path} cannot be read as a {path.suffix} file: damaged, cut off or of another kind ({text})")
