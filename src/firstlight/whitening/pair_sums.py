"""Sums of products of patches that lie some pixels apart, without ever forming a patch.

For a distance d, entry (a, b) of ``sum p(x) p(x + d)^T``, with a = (c, i, j) and b = (e, i', j'), is a sum of image
channel c times image channel e shifted by the lag (i' - i, d + j' - j). Many entries, of many distances, share a lag:
they differ only in which border rows and columns they leave out. So for each lag the rows and columns are cut where
some entry begins or ends, every product is formed once and summed within its cell, and an entry is the sum of a
rectangle of cells. As in `firstlight.patches.lags`, the same pixel of a block of images is contiguous, so that the
inner loops are long dot products of bytes.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np

from firstlight.patches.lags import dot, thread_count

# As for the patch moments: a block stays in a core's second-level cache, and images are dealt to so many lanes,
# whatever the number of cores, so that sums of floats do not depend on it.
_BLOCK_BYTES = 1 << 20
_BLOCK_IMAGES = 256
_LANES = 16


@dataclass(frozen=True)
class _Axis:
    """How the rows, or the columns, of an image are cut into cells at each shift."""

    side: int
    kernel_size: int
    max_distance: int

    @property
    def shifts(self) -> range:
        return range(1 - self.kernel_size, self.max_distance + self.kernel_size)

    def limits(self, first: int, shift: int, second: int) -> tuple[int, int]:
        """The pixels at offset `first` of the windows whose partner's offset `second` lies `shift` pixels on."""
        return first, self.side - self.kernel_size + 1 - shift + second

    def edges(self, shift: int) -> list[int]:
        """Where the cells of a shift begin and end."""
        found: set[int] = set()
        for first in range(self.kernel_size):
            for second in range(self.kernel_size):
                if 0 <= shift + first - second <= self.max_distance:
                    found.update(self.limits(first, shift, second))
        return sorted(found)


def lag_matrices(
    images: np.ndarray, kernel_size: int, max_distance: int, mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Second moments of pairs of patches, 0, 1, ... pixels apart: horizontally and vertically, averaged.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8, float32 or float64
        Any memory layout. Not checked here.
    kernel_size, max_distance : int
        In pixels; together at most the smaller side.
    mean, std : ndarray, shape (C,)
        Pixels are normalised as ``(x / 255 - mean) / std`` if uint8, else as ``(x - mean) / std``.

    Returns
    -------
    ndarray, shape (max_distance + 1, D, D), float64, D = C * kernel_size**2
        Mean of ``p(i) p(i + d)^T`` over the pairs of windows inside an image, made symmetric by counting each pair in
        both orders. uint8 images are summed in exact integers, and the sums are normalised: rounding comes last.
    """
    exact = images.dtype == np.uint8
    axes = [_Axis(side, kernel_size, max_distance) for side in images.shape[2:]]
    lags = [
        (dy, dx)
        for dy in axes[0].shifts
        for dx in axes[1].shifts
        if abs(dy) < kernel_size or abs(dx) < kernel_size  # a pair lies apart in one direction only
    ]
    cells = _cells(images, axes, lags, mean, std)
    pixels = images.sum(axis=0, dtype=np.int64) if exact else None
    taps = kernel_size**2
    unit, offset = np.repeat(255 * std, taps), np.repeat(mean / std, taps)
    matrices = []
    for distance in range(max_distance + 1):
        both = []
        for shift in ((0, distance), (distance, 0)):
            second = _second(cells, axes, lags, shift, images.shape[1])
            second = second + second.T
            rows, columns = (axis.side - kernel_size + 1 - moved for axis, moved in zip(axes, shift, strict=True))
            count = 2 * len(images) * rows * columns
            if pixels is None:
                both.append(second / count)
                continue
            first = _first(pixels, kernel_size, shift, rows, columns)
            # Python's integers do not overflow, and their quotient is correctly rounded.
            large, sums = second.astype(object), first.astype(object)
            covariance = ((count * large - np.outer(sums, sums)) / count**2).astype(np.float64)
            centre = (sums / count).astype(np.float64) / unit - offset
            both.append(covariance / np.outer(unit, unit) + np.outer(centre, centre))
        matrices.append((both[0] + both[1]) / 2)
    return np.array(matrices)


def _second(
    cells: np.ndarray, axes: list[_Axis], lags: list[tuple[int, int]], shift: tuple[int, int], channels: int
) -> np.ndarray:
    """Sum over all pairs of windows that lie `shift` apart of their patches' outer product, (D, D)."""
    k = axes[0].kernel_size
    number = {lag: index for index, lag in enumerate(lags)}
    edges = [{moved: axis.edges(moved) for moved in axis.shifts} for axis in axes]
    second = np.empty((channels, k, k, channels, k, k), cells.dtype)

    def part(which: int, first: int, partner: int) -> tuple[int, slice]:
        """Lag of two offsets along one axis, and their cells at it."""
        moved = shift[which] + partner - first
        at = edges[which][moved]
        start, stop = axes[which].limits(first, moved, partner)
        return moved, slice(at.index(start), at.index(stop))

    for i, partner_i in np.ndindex(k, k):
        dy, rows = part(0, i, partner_i)
        for j, partner_j in np.ndindex(k, k):
            dx, columns = part(1, j, partner_j)
            summed = cells[number[dy, dx], :, :, rows, columns].sum(axis=(2, 3))
            second[:, i, j, :, partner_i, partner_j] = summed
    return second.reshape(channels * k * k, channels * k * k)


def _first(pixels: np.ndarray, kernel_size: int, shift: tuple[int, int], rows: int, columns: int) -> np.ndarray:
    """Sum of the patches of all windows that have a partner, and of their partners, (D,)."""
    first = np.empty((len(pixels), kernel_size, kernel_size), np.int64)
    for i, j in np.ndindex(kernel_size, kernel_size):
        starts = ((i, j), (i + shift[0], j + shift[1]))
        first[:, i, j] = sum(pixels[:, y : y + rows, x : x + columns].sum(axis=(1, 2)) for y, x in starts)
    return first.ravel()


def _cells(
    images: np.ndarray, axes: list[_Axis], lags: list[tuple[int, int]], mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Sums of products within each cell, (lags, C, C, 2k - 1, 2k - 1): int64 for uint8, else float64."""
    exact = images.dtype == np.uint8
    channels, height = images.shape[1:3]
    most = 2 * axes[0].kernel_size  # starts and ends, of one shift
    row_cell = np.full((len(lags), height), -1)
    column_edges = np.full((len(lags), most), -1)
    for index, (dy, dx) in enumerate(lags):
        edges = axes[0].edges(dy)
        for cell, (start, stop) in enumerate(pairwise(edges)):
            row_cell[index, start:stop] = cell
        edges = axes[1].edges(dx)
        column_edges[index, : len(edges)] = edges
    blocks = list(_blocks(images.shape, 1 if exact else 8))
    lanes = min(_LANES, len(blocks))

    def lane(index: int) -> np.ndarray:
        shape = (len(lags), channels, channels, most - 1, most - 1)
        cells = np.zeros(shape, np.int64 if exact else np.float64)
        for part in blocks[index::lanes]:
            block = images[part] if exact else (images[part] - mean[:, None, None]) / std[:, None, None]
            planes = np.ascontiguousarray(block.transpose(1, 2, 3, 0))
            _accumulate(planes, np.array(lags), row_cell, column_edges, cells)
        return cells

    with ThreadPoolExecutor(min(lanes, thread_count())) as pool:
        results: Iterator[np.ndarray] = pool.map(lane, range(lanes))
        total = next(results)
        for cells in results:
            total += cells
    return total


def _blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[slice]:
    """Cut images into blocks that fit the cache."""
    count, *image = shape
    size = min(_BLOCK_IMAGES, max(1, _BLOCK_BYTES // (int(np.prod(image)) * itemsize)))
    for start in range(0, count, size):
        yield slice(start, start + size)


@numba.njit(nogil=True, cache=True)
def _accumulate(planes, lags, row_cell, column_edges, cells):
    """Add the products of one block of images, planes[c, y, x, n], to their cells."""
    channels, height, width, count = planes.shape
    flat = planes.reshape(planes.size)
    row_size = width * count
    for y in range(height):  # outermost, so that only the rows within reach of one are read again
        for lag in range(len(lags)):
            row = row_cell[lag, y]
            if row < 0:
                continue
            for c in range(channels):
                a = (c * height + y) * row_size
                for e in range(channels):
                    b = (e * height + y + lags[lag, 0]) * row_size + lags[lag, 1] * count
                    for column in range(column_edges.shape[1] - 1):
                        start, stop = column_edges[lag, column], column_edges[lag, column + 1]
                        if stop < 0:
                            break
                        cells[lag, c, e, row, column] += dot(
                            flat, a + start * count, b + start * count, (stop - start) * count
                        )
