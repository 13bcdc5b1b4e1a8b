"""The patch statistics that come with the package: exact moments of CIFAR-10's training images, for common kernels.

`python -m firstlight.patches.shipped` computes them anew, from images whose pixels are checked against their SHA-256.
"""

import datetime
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.moments import PatchMoments
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.version import __version__

# Sides of the patches. A kernel of another size, or not square, is looked at inside the next larger ones.
KERNEL_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 16)
DATA = "cifar10"
_FOLDER = files("firstlight.patches") / "shipped_moments"


def shipped_size(rows: int, columns: int) -> int | None:
    """The smallest shipped kernel size that a kernel fits into, or None."""
    return next((size for size in KERNEL_SIZES if size >= max(rows, columns)), None)


@lru_cache(maxsize=2)
def shipped_moments(kernel_size: int) -> PatchMoments:
    """Moments of all patches of CIFAR-10's 50,000 training images, RGB, stride 1.

    Parameters
    ----------
    kernel_size : int
        One of `KERNEL_SIZES`.

    Returns
    -------
    PatchMoments
        The same integers as ``PatchMoments(kernel_size).update(load_images("cifar10").images)``; `provenance` says what
        they were computed of, with what, and when.
    """
    with as_file(_FOLDER / _name(kernel_size)) as path, open_npz(path) as arrays:
        upper, first, header = arrays["upper"], arrays["first"], header_of(arrays)
    size = len(first)
    second = np.zeros((size, size), np.int64)
    second[np.triu_indices(size)] = upper
    second = second + np.triu(second, 1).T
    geometry = PatchGeometry(kernel_size, channels=size // kernel_size**2)
    moments = PatchMoments.of_sums(second, first, header["count"], geometry)
    moments.provenance = header["provenance"]
    return moments


@lru_cache(maxsize=1)
def shipped_normalisation() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and standard deviation per channel, in 0..1, that networks on CIFAR-10 are usually trained with."""
    with as_file(_FOLDER / _name(1)) as path, open_npz(path) as arrays:
        header = header_of(arrays)
    return tuple(header["mean"]), tuple(header["std"])


def write_shipped(folder: Path) -> None:
    """Compute the moments of CIFAR-10 for all `KERNEL_SIZES`, each into a file with half of the symmetric matrix."""
    from firstlight.images import load_images

    images = load_images(DATA)
    provenance = {
        "data": f"{DATA}, train, {len(images):,} images of 3 x 32 x 32",
        "fingerprint": images.fingerprint,
        "firstlight": __version__,
        "written": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    for kernel_size in KERNEL_SIZES:
        moments = PatchMoments(kernel_size, images.channels).update(images.images)
        about = {"count": moments.count, "mean": images.mean, "std": images.std, "provenance": provenance}
        upper = moments.second[np.triu_indices(moments.size)]
        write_npz(folder / _name(kernel_size), {"upper": upper, "first": moments.first}, about, compressed=True)


def _name(kernel_size: int) -> str:
    return f"{DATA}-{kernel_size}.npz"


if __name__ == "__main__":
    with as_file(_FOLDER) as place:
        write_shipped(place)
