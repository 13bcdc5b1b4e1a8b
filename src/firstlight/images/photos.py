"""The offline data set: crops of the photographs that ship inside scikit-image."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.imageset import ImageSet, channel_statistics

# The true-colour natural photographs in the wheel since 0.22. Left out are the second view of the motorcycle
# (the same scene), everything grey, drawn or computed, and what a microscope, a telescope or an eye doctor's
# camera took.
PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
CROP = 32
PER_CLASS = {"train": 4000, "test": 800}
_TEST_SHARE = 0.25  # the right quarter of each photograph
_SEED = 20220604


def load_photos(split: str) -> ImageSet:
    """Load 20,000 train or 4,000 test crops of five photographs, 32 x 32 pixels, RGB.

    The class is the photograph that a crop was cut from. Train crops lie in the left three quarters of a
    photograph and test crops in the right quarter, so none of one overlaps any of the other; within a split,
    crops of one photograph overlap but no position occurs twice. Classes take turns, so the first images are
    balanced however few are taken. The crops are the same on every machine and with any NumPy version (up to
    the JPEG decoder, for the one photograph stored so).

    What it is good for: trying everything without a network, and patch statistics that fall off as those of
    natural images do. What it is not: a benchmark. The labels are easy (there are five scenes, and colour
    gives most of them away), and the statistics are those of these scenes, not of the visual world.

    Raises
    ------
    SourceError
        When scikit-image is not installed or lacks a photograph.
    """
    train, mean, std = _crops_and_statistics()
    images = train if split == "train" else _crops("test")
    labels = np.arange(len(images), dtype=np.int64) % len(PHOTOGRAPHS)
    return ImageSet("photos", split, images, labels, tuple(PHOTOGRAPHS), mean, std)


def photos_folder() -> Path | None:
    """Return the folder in scikit-image that holds the photographs, or None where it is not installed."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data"


def require_photos() -> Path:
    """Return the folder that holds the photographs.

    Raises
    ------
    SourceError
        When scikit-image is not installed or lacks a photograph.
    """
    folder = photos_folder()
    if folder is None:
        raise SourceError("the photographs come with scikit-image, which is missing: pip install 'firstlight[photos]'")
    for file in PHOTOGRAPHS.values():
        if not (folder / file).is_file():
            raise SourceError(
                f"scikit-image in {folder} has no {file}; expected the photographs of version 0.22 or later: "
                f"pip install --upgrade 'firstlight[photos]'"
            )
    return folder


def crop_positions(height: int, width: int, count: int, key: tuple[int, ...]) -> np.ndarray:
    """Choose `count` different top-left corners of crops in a region: (count, 2), row and column.

    The raw stream of PCG64 decides, not a Generator's method: NumPy promises for the former alone that it
    never changes.
    """
    rows, columns = height - CROP + 1, width - CROP + 1
    draws = np.random.PCG64(np.random.SeedSequence([_SEED, *key])).random_raw(rows * columns)
    chosen = np.argsort(draws, kind="stable")[:count]
    return np.stack(np.divmod(chosen, columns), axis=1)


@lru_cache(maxsize=1)
def _crops_and_statistics() -> tuple[np.ndarray, tuple[float, ...], tuple[float, ...]]:
    train = _crops("train")
    mean, std = channel_statistics(train)
    return train, mean, std


def _crops(split: str) -> np.ndarray:
    """(N, 3, 32, 32) uint8, read-only; image i is of photograph i modulo their number."""
    from PIL import Image

    folder = require_photos()
    count = PER_CLASS[split]
    images = np.empty((count, len(PHOTOGRAPHS), 3, CROP, CROP), dtype=np.uint8)
    for index, file in enumerate(PHOTOGRAPHS.values()):
        with Image.open(folder / file) as photograph:
            pixels = np.asarray(photograph.convert("RGB"))
        border = round(pixels.shape[1] * (1 - _TEST_SHARE))
        region = pixels[:, :border] if split == "train" else pixels[:, border:]
        windows = np.lib.stride_tricks.sliding_window_view(region, (CROP, CROP), axis=(0, 1))
        height, width = region.shape[:2]
        rows, columns = crop_positions(height, width, count, (index, int(split == "test"))).T
        images[:, index] = windows[rows, columns]
    images.flags.writeable = False
    return images.reshape(-1, 3, CROP, CROP)
