"""The lag kernel: sums of products of patch entries, without ever forming a patch.

Entry (a, b) of ``sum_n p_n p_n^T``, with a = (c, i, j) and b = (d, i + dy, j + dx), is the sum over the windows
of image channel c times image channel d shifted by the lag (dy, dx). For one lag and one pair of channels all the
(k - |dy|)(k - |dx|) entries share nearly all of their products; they differ only in which border rows and
columns they leave out. So each product is formed once, and the entries follow from one another by sliding: add
the column that enters the window, subtract the one that leaves. Borders are exact.

Two tricks make it quick. A block of images is transposed so that the same pixel of all its images is contiguous:
every inner loop is then a long dot product of bytes, exact in 32-bit integers, which compiles to the machine's
multiply-add of 16-bit pairs. And the pixels of a row are split by phase, x mod stride, so that the windows of any
stride are contiguous too. A channel of ones rides along: its products are the first moments.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numba.extending import overload

# The pixels of a block of images (or of a band of one large image) stay in a core's second-level cache.
_BLOCK_BYTES = 1 << 20
# Longer dot products than over this many images gain nothing.
_BLOCK_IMAGES = 256
# 65025 * 32768 < 2**31: so many products of two bytes can be summed in 32 bits.
_DOT_CHUNK = 32768
# Images are dealt to at most so many lanes, whatever the number of cores, and the lanes are summed in order:
# so the floating-point path, too, gives the same result with one thread as with many.
_LANES = 16


def dot(planes, a, b, size):
    """Sum of planes[a + i] * planes[b + i], i < size: exact int64 for bytes, float64 for floats."""
    raise AssertionError("replaced by the overload below when numba compiles a caller")


# Unsigned indices: numba then leaves out the test for negative ones, and the loops vectorise.
@overload(dot, jit_options={"fastmath": {"reassoc", "contract"}})
def _dot_overload(planes, a, b, size):
    if planes.dtype == numba.types.uint8:

        def of_bytes(planes, a, b, size):
            total = np.int64(0)
            for start in range(0, size, _DOT_CHUNK):
                a0, b0 = np.uintp(a + start), np.uintp(b + start)
                partial = np.int32(0)
                for i in range(np.uintp(min(_DOT_CHUNK, size - start))):
                    # The casts keep numba from widening to 64 bits, and LLVM then finds the multiply-add.
                    product = np.int32(np.int32(planes[a0 + i]) * np.int32(planes[b0 + i]))
                    partial = np.int32(partial + product)
                total += np.int64(partial)
            return total

        return of_bytes

    def of_floats(planes, a, b, size):
        a0, b0 = np.uintp(a), np.uintp(b)
        total = 0.0
        for i in range(np.uintp(size)):
            total += planes[a0 + i] * planes[b0 + i]
        return total

    return of_floats


@numba.njit(nogil=True, cache=True)
def _pack(images, stride, planes):
    """Transpose a block of images into planes[c, y, x % stride, x // stride, n]; the last plane is ones."""
    count, channels, height, width = images.shape
    phases, run = planes.shape[2], planes.shape[3]
    for c in range(channels):
        for y in range(height):
            for phase in range(phases):
                used = min(run, (width - phase + stride - 1) // stride)
                for n in range(count):
                    for m in range(used):
                        planes[c, y, phase, m, n] = images[n, c, y, phase + stride * m]
    planes[channels] = 1


@numba.njit(nogil=True, cache=True)
def _slide(planes, a, b, dx, stride, phase_size, count, windows, sums, offsets):
    """Sums over the windows of one row, of row a times row b shifted by dx, for every horizontal offset j.

    a, b: where the rows start in the flat planes; sums[j - j0] for j from j0 = max(0, -dx).
    """
    j0 = max(0, -dx)
    span = windows * count
    for s in range(offsets):
        u, v = j0 + s, j0 + s + dx
        first_a = a + u % stride * phase_size + u // stride * count
        first_b = b + v % stride * phase_size + v // stride * count
        if s < stride:
            sums[s] = dot(planes, first_a, first_b, span)
        else:
            left_a, left_b = first_a - count, first_b - count
            left = dot(planes, left_a, left_b, count)
            entered = dot(planes, left_a + span, left_b + span, count)
            sums[s] = sums[s - stride] - left + entered


@numba.njit(nogil=True, cache=True)
def _accumulate(planes, kernel_size, stride, windows_x, second, first):
    """Add the moments of one packed block of images to `second` and `first`.

    Only entries with a lag that is not before (0, 0) are filled in; `patch_sums` mirrors them.
    """
    channels, height = planes.shape[0] - 1, planes.shape[1]
    windows_y = (height - kernel_size) // stride + 1
    flat = planes.reshape(planes.size)
    count = planes.shape[4]
    phase_size = planes.shape[3] * count
    row_size = planes.shape[2] * phase_size
    rows = np.zeros((height, kernel_size), dtype=second.dtype)
    for dy in range(kernel_size):
        for dx in range(-(kernel_size - 1) if dy > 0 else 0, kernel_size):
            offsets = kernel_size - abs(dx)
            j0 = max(0, -dx)
            same = dy == 0 and dx == 0
            for c in range(channels):
                for d in range(c if same else 0, channels + 1 if same else channels):
                    for y in range(stride * (windows_y - 1) + kernel_size - dy):
                        if y % stride < kernel_size - dy:  # else no window has both of the two rows
                            a, b = (c * height + y) * row_size, (d * height + y + dy) * row_size
                            _slide(flat, a, b, dx, stride, phase_size, count, windows_x, rows[y], offsets)
                    for i in range(kernel_size - dy):
                        for s in range(offsets):
                            entry = rows[i, s]
                            for m in range(1, windows_y):
                                entry += rows[i + stride * m, s]
                            a = (c * kernel_size + i) * kernel_size + j0 + s
                            if d == channels:
                                first[a] += entry
                            else:
                                b = (d * kernel_size + i + dy) * kernel_size + j0 + s + dx
                                second[a, b] += entry


def _blocks(count: int, channels: int, windows_y: int, kernel_size: int, stride: int, row_bytes: int):
    """Cut images into blocks (first image, stop image, first window row, stop window row) that fit the cache."""
    image_bytes = channels * row_bytes * (stride * (windows_y - 1) + kernel_size)
    per_block = max(1, min(_BLOCK_IMAGES, _BLOCK_BYTES // image_bytes))
    # A band is at least 4 kernels high: its overlap with the next one is computed twice.
    band_rows = max(4 * kernel_size, _BLOCK_BYTES // (channels * row_bytes))
    band = windows_y if image_bytes <= _BLOCK_BYTES else max(1, (band_rows - kernel_size) // stride + 1)
    for n in range(0, count, per_block):
        for m in range(0, windows_y, band):
            yield n, min(n + per_block, count), m, min(m + band, windows_y)


def thread_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def patch_sums(images: np.ndarray, kernel_size: int, stride: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Sum the first and second moments of all patches of a stack of images.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8, float32 or float64
        Any memory layout; at least as large as the kernel. Not checked here.
    kernel_size, stride : int
        Windows are read without padding.

    Returns
    -------
    second : ndarray, shape (D, D), D = C * kernel_size**2
        ``sum_n p_n p_n^T``: int64 and exact for uint8, else float64.
    first : ndarray, shape (D,)
        ``sum_n p_n``, of the same type.
    count : int
        Number of patches.
    """
    channels, height, width = images.shape[1:]
    windows_y, windows_x = (height - kernel_size) // stride + 1, (width - kernel_size) // stride + 1
    size = channels * kernel_size**2
    pixel, dtype = (np.uint8, np.int64) if images.dtype == np.uint8 else (np.float64, np.float64)
    phases, run = min(stride, kernel_size), windows_x + (kernel_size - 1) // stride
    row_bytes = phases * run * np.dtype(pixel).itemsize
    blocks = list(_blocks(len(images), channels, windows_y, kernel_size, stride, row_bytes))
    lanes = min(_LANES, len(blocks))

    def lane(index: int) -> tuple[np.ndarray, np.ndarray]:
        second, first = np.zeros((size, size), dtype), np.zeros(size, dtype)
        for n0, n1, m0, m1 in blocks[index::lanes]:
            block = images[n0:n1, :, stride * m0 : stride * (m1 - 1) + kernel_size]
            planes = np.zeros((channels + 1, block.shape[2], phases, run, n1 - n0), pixel)
            _pack(block, stride, planes)
            _accumulate(planes, kernel_size, stride, windows_x, second, first)
        return second, first

    with ThreadPoolExecutor(min(lanes, thread_count())) as pool:
        sums = list(pool.map(lane, range(lanes)))
    second = np.sum([second for second, _ in sums], axis=0)
    first = np.sum([first for _, first in sums], axis=0)
    second = second + second.T - np.diag(np.diag(second))  # one of (a, b) and (b, a) was filled, the other is 0
    return second, first, len(images) * windows_y * windows_x
