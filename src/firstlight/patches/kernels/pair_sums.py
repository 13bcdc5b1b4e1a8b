"""Sums of products of patches that lie some pixels apart, without ever forming a patch.

For a distance d, entry (a, b) of ``sum p(x) p(x + d)^T``, with a = (c, i, j) and b = (e, i', j'), is a sum of image
channel c times image channel e shifted by the lag (i' - i, d + j' - j). Many entries, of many distances, share a lag:
they differ only in which border rows and columns they leave out. So for each lag the rows and columns are cut where
some entry begins or ends, every product is formed once and summed within its cell, and an entry is the sum of a
rectangle of cells: four of their cumulative sums. As in `lag_sums`, the same pixel of a block of images is contiguous,
so that the inner loops are long dot products of bytes.

By hand, along a row of four pixels, with patches two pixels wide and distances 0 and 1::

    1 2 3 4      patches   p(0) = 1 2   p(1) = 2 3   p(2) = 3 4

Three entries have the lag 1, whose products are 1 * 2, 2 * 3, 3 * 4 = 2 6 12: distance 0 from tap 0 to tap 1, over all
three patches, 20; distance 1 from tap 0 to tap 0, over the two pairs, begins with the same pixel, 2 + 6 = 8; and from
tap 1 to tap 1 it begins a pixel further, 6 + 12 = 18. They begin at pixels 0 and 1 and end before pixels 3 and 2, so
the cells are cut at 0, 1, 2, 3 and hold 2, 6, 12. Of the cumulative sums 0 2 8 20 the entries are 20 - 0, 8 - 0 and
20 - 2.

>>> _cut(side=4, kernel_size=2, max_distance=1).edges[2]  # the shifts are -1, 0, 1, 2
array([0, 1, 2, 3])
>>> row = np.array([[1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
>>> sums = pair_sums(row[None, None], kernel_size=2, max_distance=1).second
>>> print(sums[0, 0, 1], sums[1, 0, 0] // 2, sums[1, 1, 1] // 2)  # pairs count in both orders
20 8 18
"""

import functools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from firstlight.patches.kernels.compiled import compiled
from firstlight.patches.kernels.dots import dot
from firstlight.utils.cores import cores

# As for the patch moments: a block stays in a core's second-level cache, and images are dealt to so many lanes,
# whatever the number of cores, so that sums of floats do not depend on it.
_BLOCK_BYTES = 1 << 20
_BLOCK_IMAGES = 256
_LANES = 16
# The cells of all lanes together take no more, unless those of one do.
_CELL_BYTES = 1 << 26
_BAND = 64  # rows that are summed at once, for the first moments


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums over the pairs of patches of a stack of images, int64 of bytes, else float64.

    The first axis is the shift: distance 0, then 1 to `max_distance` pixels across, then as many down.

    Attributes
    ----------
    second : ndarray, shape (1 + 2 * max_distance, D, D), D = C * kernel_size**2
        ``sum p p^T`` at distance 0, and ``sum p(x) p(x + d)^T + p(x + d) p(x)^T``: each pair in both orders.
    first : ndarray, shape (1 + 2 * max_distance, D)
        ``sum p``, and ``sum p(x) + p(x + d)``.
    count : ndarray, shape (1 + 2 * max_distance,), int64
        Of how many patches, and of how many pairs, each in both orders.
    pixel_second, pixel_first : ndarray, shapes (C, C) and (C,)
        ``sum x x^T`` and ``sum x`` over all pixels.
    pixel_count : int
        Number of pixels.
    """

    second: np.ndarray
    first: np.ndarray
    count: np.ndarray
    pixel_second: np.ndarray
    pixel_first: np.ndarray
    pixel_count: int


def _shifts_up_to(max_distance: int) -> list[tuple[int, int]]:
    """Rows and columns from a patch to its partner, in the order of the sums."""
    return [(0, d) for d in range(max_distance + 1)] + [(d, 0) for d in range(1, max_distance + 1)]


def pair_sums(images: np.ndarray, kernel_size: int, max_distance: int) -> PairSums:
    """Sum over all patches of a stack of images, and over all pairs that lie 1, 2, ... pixels across or down.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8, float32 or float64
        Any memory layout. Not checked here.
    kernel_size, max_distance : int
        In pixels; together at most the smaller side.
    """
    channels, height, width = images.shape[1:]
    rows, columns = _cut(height, kernel_size, max_distance), _cut(width, kernel_size, max_distance)
    lags = np.array(
        [
            (dy, dx)
            for dy in range(1 - kernel_size, max_distance + kernel_size)
            for dx in range(1 - kernel_size, max_distance + kernel_size)
            if abs(dy) < kernel_size or abs(dx) < kernel_size  # a pair lies apart in one direction only
        ]
    )
    shifts = _shifts_up_to(max_distance)
    cells = _cells(images, rows, columns, lags, kernel_size)
    second = np.zeros((len(shifts), *(channels, kernel_size, kernel_size) * 2), cells.dtype)
    _gather(cells, lags, np.array(shifts), rows.starts, rows.stops, columns.starts, columns.stops, second)
    second = second.reshape(len(shifts), channels * kernel_size**2, -1)
    for shift, matrix in enumerate(second):
        if shift > 0:
            matrix += matrix.T.copy()
        elif cells.dtype == np.float64:  # sums of the same products, in another order
            matrix[:] = (matrix + matrix.T) / 2
    first, pixel_first = _first_sums(images, kernel_size, max_distance, shifts)
    windows = [(height - kernel_size + 1 - y) * (width - kernel_size + 1 - x) for y, x in shifts]
    count = len(images) * np.array([windows[0], *(2 * number for number in windows[1:])])
    unshifted = int(np.flatnonzero((lags == 0).all(axis=1))[0])
    pixel_second = cells[unshifted].sum(axis=(2, 3))
    return PairSums(second, first, count, pixel_second, pixel_first, len(images) * height * width)


class _Cut(NamedTuple):
    """How the rows, or the columns, of an image are cut into cells, at every shift from 1 - kernel_size.

    Attributes
    ----------
    edges : ndarray, shape (shifts, 2 * kernel_size)
        Where the cells begin and end; -1 after the last.
    cell : ndarray, shape (shifts, side)
        In which cell a pixel is; -1: in none.
    starts, stops : ndarray, shape (shifts, kernel_size)
        Between which edges the pixels lie at an offset in windows, whose partner is at another.
    """

    edges: np.ndarray
    cell: np.ndarray
    starts: np.ndarray
    stops: np.ndarray


@functools.lru_cache(maxsize=256)
def _cut(side: int, kernel_size: int, max_distance: int) -> _Cut:
    shifts = range(1 - kernel_size, max_distance + kernel_size)
    edges = np.full((len(shifts), 2 * kernel_size), -1)
    cell = np.full((len(shifts), side), -1)
    starts, stops = np.zeros((2, len(shifts), kernel_size), int)
    for index, shift in enumerate(shifts):
        pairs = [
            (first, side - kernel_size + 1 - shift + second, second)
            for first in range(kernel_size)
            for second in range(kernel_size)
            if 0 <= shift + first - second <= max_distance
        ]
        found = sorted({edge for start, stop, _ in pairs for edge in (start, stop)})
        edges[index, : len(found)] = found
        for number, (start, stop) in enumerate(pairwise(found)):
            cell[index, start:stop] = number
        for start, stop, second in pairs:
            starts[index, start], stops[index, second] = found.index(start), found.index(stop)
    return _Cut(edges, cell, starts, stops)


def _first_sums(
    images: np.ndarray, kernel_size: int, max_distance: int, shifts: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the patches and of both patches of all pairs, (shifts, D); and of the pixels, (C,)."""
    height, width = images.shape[2:]
    dtype = np.int64 if images.dtype == np.uint8 else np.float64
    # Where the rectangles begin and end that a tap sees: near the borders.
    edges_y, edges_x = (
        np.array(sorted({*range(kernel_size + max_distance), *range(side - kernel_size + 1 - max_distance, side)}))
        for side in (height, width)
    )
    bands = [
        np.add.reduceat(images[:, :, y : y + _BAND].sum(axis=0, dtype=dtype), edges_x, axis=2)
        for y in range(0, height, _BAND)
    ]
    cells = np.add.reduceat(np.concatenate(bands, axis=1), edges_y, axis=1)
    corners = np.pad(cells.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))

    def seen(edges: np.ndarray, edge: int) -> slice:
        """An edge of the first tap's rectangle, and of those of the others."""
        first = int(np.searchsorted(edges, edge))
        return slice(first, first + kernel_size)

    def rectangles(y: int, x: int, rows: int, columns: int) -> np.ndarray:
        """Sum of so many rows and columns from (y, x), and from wherever else a tap of that window is, (D,)."""
        top, bottom = seen(edges_y, y), seen(edges_y, y + rows)
        left, right = seen(edges_x, x), seen(edges_x, x + columns)
        sums = corners[:, bottom, right] - corners[:, top, right] - corners[:, bottom, left] + corners[:, top, left]
        return sums.ravel()

    first = []
    for y, x in shifts:
        rows, columns = height - kernel_size + 1 - y, width - kernel_size + 1 - x
        own = rectangles(0, 0, rows, columns)
        first.append(own if y == x == 0 else own + rectangles(y, x, rows, columns))
    return np.array(first), corners[:, -1, -1].copy()


def _cells(images: np.ndarray, rows: _Cut, columns: _Cut, lags: np.ndarray, kernel_size: int) -> np.ndarray:
    """Sums of products within each cell, (lags, C, C, 2k - 1, 2k - 1): int64 for uint8, else float64."""
    channels = images.shape[1]
    pixel, dtype = (np.uint8, np.int64) if images.dtype == np.uint8 else (np.float64, np.float64)
    shape = (len(lags), channels, channels, 2 * kernel_size - 1, 2 * kernel_size - 1)
    blocks = list(_blocks(images.shape, np.dtype(pixel).itemsize))
    lanes = min(_LANES, len(blocks), max(1, _CELL_BYTES // (8 * math.prod(shape))))
    # Few lanes are shared out once more, by lag: no cell belongs to two, so no bit depends on the number.
    parts = -(-cores() // lanes)
    moved = lags + kernel_size - 1  # as an index of the cuts

    def task(index: int) -> None:
        lane, part = divmod(index, parts)
        for block in blocks[lane::lanes]:
            planes = np.ascontiguousarray(images[block].transpose(1, 2, 3, 0), pixel)
            _accumulate(planes, lags, moved, rows.cell, columns.edges, part, parts, cells[lane])

    cells = np.zeros((lanes, *shape), dtype)
    with ThreadPoolExecutor(min(lanes * parts, cores())) as pool:
        for _ in pool.map(task, range(lanes * parts)):
            pass
    for more in cells[1:]:
        cells[0] += more
    return cells[0]


def most_cell_bytes(kernel_size: int, channels: int, max_distance: int) -> int:
    """What the cells of an update take at most."""
    lags = (2 * kernel_size - 1 + max_distance) ** 2 - max_distance**2
    return max(_CELL_BYTES, 8 * lags * channels**2 * (2 * kernel_size - 1) ** 2)


def _blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[slice]:
    """Cut images into blocks that fit the cache."""
    count, *image = shape
    size = min(_BLOCK_IMAGES, max(1, _BLOCK_BYTES // (math.prod(image) * itemsize)))
    for start in range(0, count, size):
        yield slice(start, start + size)


@compiled
def _accumulate(planes, lags, moved, row_cell, column_edges, part, parts, cells):
    """Add the products of one block of images, planes[c, y, x, n], to their cells: of every `parts`-th lag."""
    channels, height, width, count = planes.shape
    flat = planes.reshape(planes.size)
    row_size = width * count
    for y in range(height):  # outermost, so that only the rows within reach of one are read again
        for lag in range(part, len(lags), parts):
            row = row_cell[moved[lag, 0], y]
            if row < 0:
                continue
            edges = column_edges[moved[lag, 1]]
            for c in range(channels):
                a = (c * height + y) * row_size
                for e in range(channels):
                    b = (e * height + y + lags[lag, 0]) * row_size + lags[lag, 1] * count
                    for column in range(len(edges) - 1):
                        start, stop = edges[column], edges[column + 1]
                        if stop < 0:
                            break
                        cells[lag, c, e, row, column] += dot(
                            flat, a + start * count, b + start * count, (stop - start) * count
                        )


@compiled
def _gather(cells, lags, shifts, starts_y, stops_y, starts_x, stops_x, second):
    """Put the sum of each entry's rectangle of cells into second[shift, c, i, j, e, i', j']."""
    kernel_size = second.shape[2]
    sums = np.zeros((cells.shape[3] + 1, cells.shape[4] + 1), cells.dtype)  # of all cells above and left
    for lag in range(len(lags)):
        dy, dx = lags[lag]
        top, bottom = starts_y[dy + kernel_size - 1], stops_y[dy + kernel_size - 1]
        left, right = starts_x[dx + kernel_size - 1], stops_x[dx + kernel_size - 1]
        for c, e in np.ndindex(cells.shape[1], cells.shape[2]):
            for m in range(cells.shape[3]):
                row = sums[0, 0]
                for n in range(cells.shape[4]):
                    row += cells[lag, c, e, m, n]
                    sums[m + 1, n + 1] = sums[m, n + 1] + row
            for shift in range(len(shifts)):
                down, across = dy - shifts[shift, 0], dx - shifts[shift, 1]
                for i in range(max(0, -down), min(kernel_size, kernel_size - down)):
                    y0, y1 = top[i], bottom[i + down]
                    for j in range(max(0, -across), min(kernel_size, kernel_size - across)):
                        x0, x1 = left[j], right[j + across]
                        entry = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
                        second[shift, c, i, j, e, i + down, j + across] = entry
