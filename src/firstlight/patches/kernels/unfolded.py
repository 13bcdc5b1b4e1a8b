"""Patches written out and multiplied as matrices: the quicker way where patches hardly overlap.

The lag kernels gain by what overlapping patches share. With a stride near the kernel size, little is shared, and a
matrix product in float64 is quicker for long patches, as of the patch embedding of a vision transformer. Sums of
products of bytes are whole numbers below 2**53 and so exact in float64, in any order.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.patches.geometry import PatchGeometry

# Patches that are multiplied at once: 65025 times as many is far below 2**53.
_PATCHES = 4096
# Numbers a patch from which it is quicker, measured (benchmarks/patches.py), and the least stride as a share of the
# kernel size.
_CROSSOVERS = ((512, 1 / 2), (128, 2 / 3))


def is_quicker_unfolded(geometry: PatchGeometry) -> bool:
    """Whether bytes are quicker summed here than by lag."""
    return geometry.dilation == 1 and any(
        geometry.size >= least and geometry.stride >= share * geometry.kernel_size for least, share in _CROSSOVERS
    )


def unfolded_sums(images: np.ndarray, geometry: PatchGeometry) -> tuple[np.ndarray, np.ndarray, int]:
    """As `patch_sums`, of uint8 images and without dilation: exact, int64."""
    count, _, height, width = images.shape
    windows_y, windows_x = geometry.windows(height, width)
    size, side, stride = geometry.size, geometry.kernel_size, geometry.stride
    second, first = np.zeros((size, size), np.int64), np.zeros(size, np.int64)
    windows = sliding_window_view(images, (side, side), axis=(2, 3))[:, :, ::stride, ::stride]
    rows = max(1, min(windows_y, _PATCHES // windows_x))
    per_block = max(1, _PATCHES // (windows_y * windows_x))
    for n in range(0, count, per_block):
        for m in range(0, windows_y, rows):
            patches = windows[n : n + per_block, :, m : m + rows].transpose(0, 2, 3, 1, 4, 5).reshape(-1, size)
            patches = patches.astype(np.float64)
            second += (patches.T @ patches).astype(np.int64)
            first += patches.sum(axis=0).astype(np.int64)
    return second, first, count * windows_y * windows_x
