"""Compute the trajectories of composition that come with the package, from CIFAR-10's images: minutes in all.

`python -m tools.trajectories` writes them; the moments that are shipped do not reach the widest windows.
"""

import itertools
from importlib.resources import as_file
from pathlib import Path

from firstlight.images import load_images
from firstlight.patches.bank_statistics import zeros
from firstlight.patches.statistics import patch_statistics
from firstlight.theory.kept_trajectories import SHIPPED, computed, file_name, write

SIZES, STRIDES = (3, 5, 7), (1, 2)


def write_shipped(folder: Path) -> None:
    """One file for each size of kernels and stride."""
    shipped = patch_statistics()
    normalisation = shipped.normalisation(3)
    images = patch_statistics(load_images(shipped.data))
    for size, stride in itertools.product(SIZES, STRIDES):
        name = file_name(zeros(3, size), shipped, stride, normalisation)
        write(folder / name, computed(size, 3, images, stride, *normalisation))


if __name__ == "__main__":
    with as_file(SHIPPED) as place:
        write_shipped(place)
