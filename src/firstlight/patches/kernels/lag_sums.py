"""The lag kernel: sums of products of patch entries, without ever forming a patch.

Entry (a, b) of ``sum_n p_n p_n^T``, with a = (c, i, j) and b = (d, i + dy, j + dx), is the sum over the windows
of image channel c times image channel d shifted by the lag (dy, dx). For one lag and one pair of channels all the
(k - |dy|)(k - |dx|) entries share nearly all of their products; they differ only in which border rows and
columns they leave out. So each product is formed once, and the entries follow from one another by sliding: add
the column that enters the window, subtract the one that leaves. Borders are exact.

Two tricks make it quick. A block of images is transposed so that the same pixel of all its images is contiguous:
every inner loop is then a long dot product of bytes, exact in 32-bit integers, which compiles to the machine's
multiply-add of 16-bit pairs. And the pixels of a row are split by phase, x mod stride, so that the windows of any
stride and dilation are contiguous too. A channel of ones rides along: its products are the first moments.

Large images, and few, have long rows of their own: `single_image.py` sums them one by one. Long patches that hardly
overlap are multiplied as matrices: `unfolded.py`. Which way is taken depends on the shapes alone, and of bytes all
three give the same integers.

By hand, two rows of four pixels and patches of 2 x 2, so that there are three windows, side by side::

    1 2 3 4     windows   1 2   2 3   3 4     entry number 2 i + j of a patch is pixel (i, j) of its window
    5 6 7 8               5 6   6 7   7 8

Lag (0, 0), the upper row times itself: 1 4 9 16. Entry (0, 0) is the sum of the first three, 14; entry (1, 1), a pixel
on, loses the 1 and gains the 16: 14 - 1 + 16 = 29. The lower row gives (2, 2) = 25 + 36 + 49 = 110 and
(3, 3) = 110 - 25 + 64 = 149. Lag (1, 0), a row times the one below: 5 12 21 32, so (0, 2) = 38 and
(1, 3) = 38 - 5 + 32 = 65. Lag (0, 1), a row times itself one pixel on: 2 6 12 and 30 42 56, so (0, 1) = 20 and
(2, 3) = 128; no other two taps lie so. Lag (1, 1): 6 14 24, so (0, 3) = 44; lag (1, -1): 10 18 28, so (1, 2) = 56.
That is all: what is below the diagonal is the same again.

>>> image = np.arange(1, 9, dtype=np.uint8).reshape(1, 1, 2, 4)
>>> patch_sums(image, PatchGeometry(kernel_size=2, channels=1))[0]
array([[ 14,  20,  38,  44],
       [ 20,  29,  56,  65],
       [ 38,  56, 110, 128],
       [ 44,  65, 128, 149]])
"""

import functools
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.kernels.compiled import compiled
from firstlight.patches.kernels.dots import dot
from firstlight.patches.kernels.single_image import add_single
from firstlight.patches.kernels.unfolded import is_quicker_unfolded, unfolded_sums
from firstlight.utils.cores import cores

logger = logging.getLogger(__name__)

# The pixels of a block of images (or of a band of one large image) stay in a core's second-level cache.
_BLOCK_BYTES = 1 << 20
# Longer dot products than over this many images gain nothing.
_BLOCK_IMAGES = 256
# Images with so many windows times stride^1.5 (measured with strides 1, 2 and 4 and kernel sizes 3 to 16; beyond the
# extent a stride only leaves pixels out), or so few images, are quicker summed one by one (`single_image.py`), if the
# kernel is not so many times wider than the stride that there is hardly an inside to the borders of an image.
_LARGE = 10_000
_FEW = 8
_WIDE = 64
# So little work, in products and an estimate of the rest, that threads would take longer to start.
_QUICK = 1 << 23
# Images are dealt to at most so many lanes, whatever the number of cores, and the lanes are summed in order:
# so the floating-point path, too, gives the same result with one thread as with many.
_LANES = 16


@compiled
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


@compiled
def _slide(planes, a, b, dx, stride, dilation, phase_size, count, windows, sums, offsets):
    """Sums over the windows of one row, of row a times row b, for every pair of taps j and j + dx.

    a, b: where the rows start in the flat planes; sums[j - j0] for j from j0 = max(0, -dx).
    """
    j0 = max(0, -dx)
    span = windows * count
    # So many taps further, the windows start in the same phase again, so many pixels of that phase further. With stride
    # 2 and dilation 1: two taps, one pixel. Of the row 1 2 3 4 5 6 7 phase 0 is 1 3 5 7 and phase 1 is 2 4 6; over the
    # windows of three taps, tap 0 sees 1 3 5, tap 1 sees 2 4 6, and tap 2 sees 3 5 7: it slides from tap 0's.
    divisor = np.gcd(stride, dilation)
    step, advance = stride // divisor, dilation // divisor
    slides = 2 * advance < windows
    for s in range(offsets):
        u, v = (j0 + s) * dilation, (j0 + s + dx) * dilation
        first_a = a + u % stride * phase_size + u // stride * count
        first_b = b + v % stride * phase_size + v // stride * count
        if s < step or not slides:
            sums[s] = dot(planes, first_a, first_b, span)
        else:
            moved = advance * count
            left = dot(planes, first_a - moved, first_b - moved, moved)
            entered = dot(planes, first_a - moved + span, first_b - moved + span, moved)
            sums[s] = sums[s - step] - left + entered


@compiled
def _accumulate(planes, kernel_size, stride, dilation, windows, second, first):
    """Add the moments of one packed block of images to `second` and `first`.

    windows: rows, columns of windows. Only entries with a lag that is not before (0, 0) are filled in; `patch_sums`
    mirrors them.
    """
    windows_y, windows_x = windows
    channels, height = planes.shape[0] - 1, planes.shape[1]
    flat = planes.reshape(planes.size)
    count = planes.shape[4]
    phase_size = planes.shape[3] * count
    row_size = planes.shape[2] * phase_size
    rows = np.zeros((height, kernel_size), dtype=second.dtype)
    for dy in range(kernel_size):
        down = dy * dilation
        needed = np.zeros(height, np.bool_)  # by a window, together with the row `down` below
        for i in range(kernel_size - dy):
            needed[i * dilation : i * dilation + stride * (windows_y - 1) + 1 : stride] = True
        for dx in range(-(kernel_size - 1) if dy > 0 else 0, kernel_size):
            offsets = kernel_size - abs(dx)
            j0 = max(0, -dx)
            same = dy == 0 and dx == 0
            for c in range(channels):
                for d in range(c if same else 0, channels + 1 if same else channels):
                    for y in range(height - down):
                        if needed[y]:
                            a, b = (c * height + y) * row_size, (d * height + y + down) * row_size
                            _slide(flat, a, b, dx, stride, dilation, phase_size, count, windows_x, rows[y], offsets)
                    for i in range(kernel_size - dy):
                        for s in range(offsets):
                            entry = rows[i * dilation, s]
                            for m in range(1, windows_y):
                                entry += rows[i * dilation + stride * m, s]
                            a = (c * kernel_size + i) * kernel_size + j0 + s
                            if d == channels:
                                first[a] += entry
                            else:
                                b = (d * kernel_size + i + dy) * kernel_size + j0 + s + dx
                                second[a, b] += entry


def _blocks(count: int, windows_y: int, geometry: PatchGeometry, row_bytes: int, per_block: int):
    """Cut images into blocks (first image, stop image, first window row, stop window row) that fit the cache.

    row_bytes: of all channels of a row. per_block: images in a block at most.
    """
    extent, image_bytes = geometry.extent, row_bytes * geometry.span(windows_y)
    per_block = max(1, min(per_block, _BLOCK_BYTES // image_bytes))
    # A band is at least 4 kernels high: its overlap with the next one is computed twice.
    band_rows = max(4 * extent, _BLOCK_BYTES // row_bytes)
    band = windows_y if image_bytes <= _BLOCK_BYTES else max(1, (band_rows - extent) // geometry.stride + 1)
    for n in range(0, count, per_block):
        for m in range(0, windows_y, band):
            yield n, min(n + per_block, count), m, min(m + band, windows_y)


def patch_sums(images: np.ndarray, geometry: PatchGeometry) -> tuple[np.ndarray, np.ndarray, int]:
    """Sum the first and second moments of all patches of a stack of images.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8, float32 or float64
        Any memory layout; at least as large as a patch. Not checked here.
    geometry : PatchGeometry

    Returns
    -------
    second : ndarray, shape (D, D), D = C * kernel_size**2
        ``sum_n p_n p_n^T``: int64 and exact for uint8, else float64.
    first : ndarray, shape (D,)
        ``sum_n p_n``, of the same type.
    count : int
        Number of patches.
    """
    if images.dtype == np.uint8 and is_quicker_unfolded(geometry):
        logger.debug("%d images %s: long patches, multiplied as matrices", len(images), images.shape[1:])
        return unfolded_sums(images, geometry)
    extent, stride, size = geometry.extent, geometry.stride, geometry.size
    windows_y, windows_x = geometry.windows(*images.shape[2:])
    pixel, dtype = (np.uint8, np.int64) if images.dtype == np.uint8 else (np.float64, np.float64)
    large = windows_y * windows_x * min(stride, extent) ** 1.5 >= _LARGE
    alone = (large or len(images) < _FEW) and extent <= _WIDE * stride
    row_bytes = geometry.channels * stride * (windows_x + (extent - 1) // stride) * np.dtype(pixel).itemsize
    blocks = list(_blocks(len(images), windows_y, geometry, row_bytes, 1 if alone else _BLOCK_IMAGES))
    lanes = min(_LANES, len(blocks))
    way = "one by one" if alone else f"in blocks of {_BLOCK_IMAGES}, transposed"
    logger.debug("%d images %s, %s: summed by lags, %s", len(images), images.shape[1:], images.dtype, way)
    quick = images.size * size + 64 * len(images) * size**2 < _QUICK
    # Few blocks are shared out once more, by lag: no entry belongs to two, so no bit depends on the number.
    parts = 1 if quick or not alone else -(-cores() // lanes)

    def task(index: int) -> tuple[np.ndarray, np.ndarray]:
        lane, part = divmod(index, parts)
        second, first = np.zeros((size, size), dtype), np.zeros(size, dtype)
        for n0, n1, m0, m1 in blocks[lane::lanes]:
            # No pixel that lies in no window.
            rows = slice(stride * m0, stride * m0 + geometry.span(m1 - m0))
            block = images[n0:n1, :, rows, : geometry.span(windows_x)]
            if alone:
                add_single(block[0], geometry, part, parts, second, first)
            else:
                phases, run = min(stride, extent), windows_x + (extent - 1) // stride
                planes = np.zeros((geometry.channels + 1, block.shape[2], phases, run, n1 - n0), pixel)
                _pack(block, stride, planes)
                windows = m1 - m0, windows_x
                _accumulate(planes, geometry.kernel_size, stride, geometry.dilation, windows, second, first)
        return second, first

    if quick or lanes * parts == 1 or cores() == 1:
        second, first = functools.reduce(_add, map(task, range(lanes * parts)))
    else:
        with ThreadPoolExecutor(min(lanes * parts, cores())) as pool:
            second, first = functools.reduce(_add, pool.map(task, range(lanes * parts)))
    symmetric = second + second.T  # of (a, b) and (b, a) one is filled
    np.fill_diagonal(symmetric, second.diagonal())
    return symmetric, first, len(images) * windows_y * windows_x


def _add(total: tuple[np.ndarray, np.ndarray], more: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    for sums, others in zip(total, more, strict=True):
        sums += others
    return total
