"""A labelled set of images, and the per-channel statistics that normalise it."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.text import counted, plural, spaced

SPLITS = ("train", "test")

# Statistics and hashes walk through the images in blocks, so that a memory map is never held whole.
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """One split of a data set: images, labels, and how to normalise them.

    Parameters
    ----------
    name : str
        ``"cifar10"``, ``"cifar100"``, ``"photos"``, a file's name, or ``"array"``.
    split : str
        ``"train"`` or ``"test"``.
    images : ndarray of shape (N, C, H, W), uint8 or floating
        A view of what the source holds where that is possible; it may be a read-only memory map.
    labels : ndarray of shape (N,), int64, or None
        Class numbers; None where the source has none.
    classes : tuple of str
        The name of each class, indexed by label; empty without labels.
    mean, std : tuple of float
        Per-channel normalisation, always of the train split: on the 0..1 scale for uint8, so that the network
        sees ``(x / 255 - mean) / std``, and on the raw scale for floats.

    Raises
    ------
    InputError
        When the shapes do not belong together.

    Examples
    --------
    >>> import firstlight as fl
    >>> photos = fl.load_images("photos", "test")
    >>> photos
    ImageSet('photos', test: 4000 images of 3x32x32, uint8, 5 classes)
    >>> photos.classes[photos.labels[0]], photos.subset(10).images.shape
    ('astronaut', (10, 3, 32, 32))
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"split is {self.split!r}; expected 'train' or 'test'")
        if self.images.ndim != 4 or 0 in self.images.shape:
            raise InputError(f"images have shape {self.images.shape}; expected a non-empty (N, C, H, W)")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise InputError(
                f"mean and std have {len(self.mean)} and {len(self.std)} values; "
                f"expected one for each of {counted(self.channels, 'channel')}"
            )
        if self.unit == 255 and max(map(abs, self.mean)) > 1:
            raise InputError(f"mean is {spaced(self.mean)} of uint8 images; expected 0..1: divide mean and std by 255")
        if self.labels is not None and self.labels.shape != (len(self),):
            raise InputError(f"labels have shape {self.labels.shape}; expected ({len(self)},): one for each image")

    def __len__(self) -> int:
        return self.images.shape[0]

    def __repr__(self) -> str:
        height, width = self.size
        labelled = counted(len(self.classes), "class", "classes") if self.labels is not None else "no labels"
        shape = f"{len(self)} {plural(len(self), 'image')} of {self.channels}x{height}x{width}"
        return f"ImageSet({self.name!r}, {self.split}: {shape}, {self.images.dtype}, {labelled})"

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, (H, W)."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of shape, dtype, pixels and labels.

        It does not depend on how the images lie in memory: pixels count in C-order (N, H, W, C), every number
        little-endian, labels as int64.
        """
        height, width = self.size
        labelled = self.labels is not None
        header = f"{len(self)},{height},{width},{self.channels} {self.images.dtype.name} labels={labelled}\n"
        digest = hashlib.sha256(header.encode())
        little = self.images.dtype.newbyteorder("<")
        for block in _blocks(self.images):
            digest.update(np.ascontiguousarray(block.transpose(0, 2, 3, 1), dtype=little).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()

    @property
    def unit(self) -> int:
        """What pixels are divided by before mean and std apply: 255 for uint8, 1 for floats."""
        return 255 if self.images.dtype == np.uint8 else 1

    def normalised(self, part: slice = slice(None)) -> np.ndarray:
        """Pixels as a network sees them, ``(x / unit - mean) / std`` channel by channel.

        Parameters
        ----------
        part : slice
            Which images.

        Returns
        -------
        ndarray, shape (n, C, H, W), float64
        """
        mean, std = (np.array(values)[:, None, None] for values in (self.mean, self.std))
        return (self.images[part] / self.unit - mean) / std

    def subset(self, count: int) -> "ImageSet":
        """Return the first `count` images, with the normalisation of the whole.

        Parameters
        ----------
        count : int

        Returns
        -------
        ImageSet

        Raises
        ------
        InputError
            When `count` is not between 1 and the number of images.
        """
        if not 1 <= count <= len(self):
            raise InputError(f"count is {count}; expected 1 to {len(self)}, the images in {self.name} {self.split}")
        labels = None if self.labels is None else self.labels[:count]
        return replace(self, images=self.images[:count], labels=labels)


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute the mean and the population standard deviation of every channel.

    Parameters
    ----------
    images : ndarray of shape (N, C, H, W), uint8 or floating

    Returns
    -------
    mean, std
        C values each; on the 0..1 scale for uint8, from exact integer sums, and on the raw scale for floats.

    Raises
    ------
    InputError
        When a channel is constant: nothing can be divided by its standard deviation, 0.
    """
    exact = images.dtype == np.uint8
    means, variances = _exact_moments(images) if exact else _float_moments(images)
    for channel, variance in enumerate(variances):
        if not variance > 0:
            raise InputError(
                f"channel {channel} has the same value in every pixel and cannot be normalised: drop that channel"
            )
    return tuple(means), tuple(math.sqrt(variance) for variance in variances)


def _exact_moments(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and variance of uint8 images on the 0..1 scale, rounded only in the last division."""
    levels = np.arange(256, dtype=np.int64)
    histogram = np.zeros((images.shape[1], 256), dtype=np.int64)
    for block in _blocks(images):
        for channel in range(images.shape[1]):
            histogram[channel] += np.bincount(block[:, channel].ravel(order="K"), minlength=256)
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    means, variances = [], []
    for counts in histogram:
        # Python integers: the products below outgrow 64 bits, and their quotient is rounded once.
        total, squares = int(counts @ levels), int(counts @ levels**2)
        means.append(total / (255 * pixels))
        variances.append((pixels * squares - total**2) / (255 * pixels) ** 2)
    return means, variances


def _float_moments(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and variance of floating images: float64, and two passes so that a large mean cancels nothing."""
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    means = sum(block.sum(axis=(0, 2, 3), dtype=np.float64) for block in _blocks(images)) / pixels
    variances = np.zeros(images.shape[1])
    for block in _blocks(images):
        variances += np.square(block - means[:, None, None]).sum(axis=(0, 2, 3), dtype=np.float64)
    return means.tolist(), (variances / pixels).tolist()


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _BLOCK_BYTES * len(images) // max(1, images.nbytes))
    for start in range(0, len(images), step):
        yield images[start : start + step]
