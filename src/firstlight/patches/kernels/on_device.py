"""The patch moments of a tensor, summed on the device where it lies: matrix products of tiles.

The windows are cut into tiles of t x t neighbours. A tile is the P pixels that its windows read, written out as one
row of a matrix X. ``X^T X`` holds the products of every two pixels of a tile, summed over the tiles, and an entry of
``sum_n p_n p_n^T`` is the sum of t^2 numbers of it, one for each window of a tile. With t near k that is about 16 k^2
multiply-adds a window and pair of channels, where whole patches written out (t = 1) take k^4; and matrix products are
what such a device does best. Nothing is subtracted, so no border needs care.

By hand, along the row 1 2 3 4 5, with patches two pixels wide and tiles of t = 2 windows: the four windows make the
tiles 1 2 3 and 3 4 5, the two rows of X. ``X^T X`` is (10 14 18, 14 20 26, 18 26 34). The entry of taps 0 and 1 is the
sum over the windows m = 0, 1 of a tile of its numbers (m, m + 1): 14 + 26 = 40 = 1 * 2 + 2 * 3 + 3 * 4 + 4 * 5.

Bytes are exact in float32. With their top bit flipped they are whole numbers q = p - 128 of 8 significant bits, which
float32 holds, and so do TF32 (11 bits) and bfloat16 (8), in which torch may be allowed to multiply float32 matrices. A
product of two is a whole number of at most 2^14 in magnitude. Any sum of 1024 of them or fewer, in any order and
grouping, is a whole number of at most 2^24, and float32 holds all those: no addition rounds, whether it would round to
nearest or cut off. So X is multiplied in chunks of 1024 rows, whose results are added in float64, far below 2^53, and
those of blocks of chunks in int64. Then ``sum p p^T = sum q q^T + 128 (sum q 1^T + 1 sum q^T) + 128^2 n``, in int64.

Floats are multiplied and added in float64. An entry is a plain sum of n products, so its error is at most
``m u / (1 - m u)`` times the sum of their magnitudes, with ``u = 2**-53`` and m = n + 2: within the bound that
`PatchMoments` states.
"""

import functools
import itertools
import logging
import math
from collections.abc import Iterator

import numpy as np
import torch

from firstlight.patches.geometry import PatchGeometry

logger = logging.getLogger(__name__)

# Products of two bytes, less 128 each, of which float32 holds every sum: 2^14 * 1024 = 2^24.
_EXACT = 1024
# Bytes that a block takes: the pixels of its tiles, X, the products of its chunks in float32 and in float64.
_HELD = 1 << 28
# So many matrices torch adds in one pass. From 1024 on it cuts the sum on CUDA, through a buffer of up to 300 MB.
_CHUNKS = 1000
# A model of an H100, from its data sheet and with a margin, not measured: operations and bytes a second, seconds that a
# call of a kernel takes, and the side of the blocks in which matrices are multiplied, whether or not they are full.
_OPERATIONS, _BYTES, _CALL, _BLOCK = 4e13, 1e12, 1e-5, 64
_LARGEST_TILE = 4096


def tensor_sums(images: torch.Tensor, geometry: PatchGeometry) -> tuple[np.ndarray, np.ndarray, int]:
    """As `patch_sums`, of a tensor of bytes or floats: the same integers of bytes, on any device that has float64.

    Besides the images it takes memory of the device for a third of a gigabyte and a few of the matrices ``X^T X``,
    however many the images and whatever the stride.
    """
    count, _, height, width = images.shape
    windows, size = geometry.windows(height, width), geometry.size
    side = _tile_side(count, windows, geometry)
    dtype = np.int64 if images.dtype == torch.uint8 else np.float64
    second, first = np.zeros((size, size), dtype), np.zeros(size, dtype)
    logger.debug("%d images %s, %s: summed on %s", len(images), tuple(images.shape[1:]), images.dtype, images.device)
    # Autocast would round the products to half precision.
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for runs in itertools.product(*(_runs(number, side) for number in windows)):
            used, taps = zip(*(_used(run[1], geometry) for run in runs), strict=True)
            gram, sums = _tile_sums(images, runs, used, geometry.stride)
            for axis, taps_along in enumerate(taps):
                gram = _over_windows(gram, (1 + axis, 4 + axis), taps_along)
                sums = _over_windows(sums, (1 + axis,), taps_along)
            second += gram.reshape(size, size).cpu().numpy()
            first += sums.reshape(size).cpu().numpy()
    patches = count * windows[0] * windows[1]
    if dtype == np.int64:
        second += 128 * (first[:, None] + first) + 128**2 * patches
        first += 128 * patches
    else:  # (a, b) and (b, a) may have been added in different orders
        second = second / 2 + second.T / 2
    return second, first, patches


def _tile_side(count: int, windows: tuple[int, int], geometry: PatchGeometry) -> int:
    """How many windows a tile is high and wide: the least time by the model of the device."""

    def seconds(side: int) -> float:
        pixels, tiles = geometry.channels, count
        for number in windows:
            pixels *= len(_used(min(side, number), geometry)[0])
            tiles *= -(-number // side)
        multiplied = 2 * (_BLOCK * -(-pixels // _BLOCK)) ** 2 * tiles / _OPERATIONS
        # A byte read, and a float written and read twice; then sums over the windows of a tile.
        moved = 13 * pixels * tiles / _BYTES
        added = 2 * side * (3 * _CALL + 32 * pixels**2 / _BYTES)
        return multiplied + moved + added if side == 1 or pixels <= _LARGEST_TILE else math.inf

    return min(range(1, min(max(windows), 32) + 1), key=seconds)


@functools.lru_cache(maxsize=256)
def _used(windows: int, geometry: PatchGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Of the pixels along a tile, those that a window reads; and where among them tap i of window m is, (m, i)."""
    read = geometry.stride * np.arange(windows)[:, None] + geometry.dilation * np.arange(geometry.kernel_size)
    used, taps = np.unique(read, return_inverse=True)
    return used, taps.reshape(read.shape)


def _runs(windows: int, side: int) -> list[tuple[int, int, int]]:
    """Cut a row of windows into tiles of nearly one size: (first window, windows of a tile, tiles), at most twice."""
    tiles = -(-windows // side)
    short, longer = divmod(windows, tiles)
    runs = [(0, short + 1, longer), (longer * (short + 1), short, tiles - longer)]
    return [run for run in runs if run[2]]


def _over_windows(sums: torch.Tensor, axes: tuple[int, ...], taps: np.ndarray) -> torch.Tensor:
    """Add up what each window of a tile reads along the axes."""
    total = torch.zeros((), dtype=sums.dtype, device=sums.device)
    for tap in torch.as_tensor(taps, device=sums.device):
        read = sums
        for axis in axes:
            read = read.index_select(axis, tap)
        total = total + read
    return total


def _tile_sums(
    images: torch.Tensor, runs: tuple[tuple[int, int, int], ...], used: tuple[np.ndarray, ...], stride: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum ``x x^T`` and x over the tiles of one size, x the pixels of a tile: (C, h, w, C, h, w) and (C, h, w)."""
    whole, device = images.dtype == torch.uint8, images.device
    number, dtype = (torch.float32, torch.int64) if whole else (torch.float64, torch.float64)
    shape = (images.shape[1], len(used[0]), len(used[1]))
    size = math.prod(shape)
    gram, sums = torch.zeros((size, size), dtype=dtype, device=device), torch.zeros(size, dtype=dtype, device=device)
    tiles = (len(images), runs[0][2], runs[1][2])
    rows = min(_EXACT, math.prod(tiles))
    chunk_bytes = rows * size * (images.itemsize + number.itemsize) + size**2 * (number.itemsize + 8)
    for block in _blocks(tiles, rows * max(1, min(_CHUNKS, _HELD // chunk_bytes))):
        products, added = _block_sums(_tiles(images, block, runs, used, stride), rows, number)
        gram += products.to(dtype)
        sums += added.to(dtype)
    return gram.view(shape * 2), sums.view(shape)


def _block_sums(pixels: torch.Tensor, rows: int, number: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """``X^T X`` and the sums of the columns of X, in float64. What else this took is free when it returns."""
    length, size = math.prod(pixels.shape[:3]), math.prod(pixels.shape[3:])
    matrix = torch.empty((-(-length // rows) * rows, size), dtype=number, device=pixels.device)
    tiles = matrix[:length].view(pixels.shape)
    if pixels.dtype == torch.uint8:  # as if the top bit were flipped
        torch.sub(pixels, 128.0, out=tiles)
    else:
        tiles.copy_(pixels)
    matrix[length:] = 0
    chunks = matrix.view(-1, rows, size)
    # First over the chunks, which float32 holds: `sum` would write the whole of X as float64 before it adds.
    sums = chunks.sum(0).sum(0, dtype=torch.float64)
    return torch.bmm(chunks.transpose(1, 2), chunks).sum(0, dtype=torch.float64), sums


def _blocks(shape: tuple[int, int, int], most: int) -> Iterator[tuple[slice, ...]]:
    """Cut (images, tiles down, tiles across) into blocks of at most `most` tiles."""
    steps = []
    for number in reversed(shape):
        steps.append(max(1, min(number, most)))
        most //= steps[-1]
    starts = (range(0, number, step) for number, step in zip(shape, reversed(steps), strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + step, number))
            for start, step, number in zip(corner, reversed(steps), shape, strict=True)
        )


def _tiles(
    images: torch.Tensor,
    block: tuple[slice, ...],
    runs: tuple[tuple[int, int, int], ...],
    used: tuple[np.ndarray, ...],
    stride: int,
) -> torch.Tensor:
    """The pixels of a block of tiles, (images, down, across, C, h, w): a view, but of dilated patches."""
    pixels = images[block[0]]
    spans, steps = [int(positions[-1]) + 1 for positions in used], [stride * windows for _, windows, _ in runs]
    for axis in (0, 1):
        start, stop = block[1 + axis].start, block[1 + axis].stop
        length = steps[axis] * (stop - start - 1) + spans[axis]
        pixels = pixels.narrow(2 + axis, stride * runs[axis][0] + steps[axis] * start, length)
    for axis in (0, 1):
        pixels = pixels.unfold(2 + axis, spans[axis], steps[axis])
    if any(len(used[axis]) < spans[axis] for axis in (0, 1)):
        down, across = (torch.as_tensor(positions, device=images.device) for positions in used)
        pixels = pixels[..., down[:, None], across]
    return pixels.permute(0, 2, 3, 1, 4, 5)
