"""The lag kernel of a single image: products of the whole image with itself shifted, less what lies outside windows.

For one lag and one pair of channels, the entries of ``sum_n p_n p_n^T`` are sums of one image of products over
rectangles that hold nearly all of it. So the whole is summed once, and of it are taken the rows above and below a
rectangle and the columns left and right of it, and their corners, which were taken twice, are given back.

The image is split by phase, y mod stride and x mod stride, so that the windows of any stride and dilation are
rectangles without gaps. Rows are followed by zeros, which no shift leaves: the sum over the whole image is one long
dot product. The columns at its sides are kept a second time, turned, so that each of them is contiguous, too.

By hand, an image of 3 x 3 and patches of 2 x 2, the lag (0, 0) of their entries with themselves::

    1 2 3      products   1  4  9     285 in all
    4 5 6                16 25 36     rows      0: 14    2: 194
    7 8 9                49 64 81     columns   0: 66    2: 126

Tap (0, 0) sees the four products at the upper left: all, less the row below and the column to the right, and their
corner given back: 285 - 194 - 126 + 81 = 46 = 1 + 4 + 16 + 25. Tap (1, 1) sees those at the lower right:
285 - 14 - 66 + 1 = 206. Rows 0 and 2 and columns 0 and 2 are all that is outside some tap's rectangle, whatever the
size of the image; `_outside` keeps prefix sums over them, here 0, 14 and 14 + 194 of the rows, so that what is outside
one rectangle is a difference or two.

>>> image = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3)
>>> second, first = np.zeros((4, 4), np.int64), np.zeros(4, np.int64)
>>> add_single(image, PatchGeometry(kernel_size=2, channels=1), 0, 1, second, first)
>>> second.diagonal()
array([ 46,  74, 154, 206])
"""

import numpy as np

from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.kernels.compiled import compiled
from firstlight.patches.kernels.dots import dot, products


def add_single(
    image: np.ndarray,
    geometry: PatchGeometry,
    part: int,
    parts: int,
    second: np.ndarray,
    first: np.ndarray,
) -> None:
    """Add the moments of one image to `second` and `first`; only entries with a lag not before (0, 0).

    Parameters
    ----------
    image : ndarray, shape (C, H, W), uint8, float32 or float64
        Not a row or column of it lies outside all windows.
    geometry : PatchGeometry
    part, parts : int
        Of all lags, every `parts`-th is added, from number `part`.
    second, first : ndarray, shapes (D, D) and (D,), int64 for uint8, else float64
    """
    channels, height, width = image.shape
    extent, stride = geometry.extent, geometry.stride
    phases, border = min(stride, extent), (extent - 1) // stride
    windows = geometry.windows(height, width)
    rows, columns = windows[0] + border, windows[1] + border
    pitch = columns + -(-(extent - 1) // stride)
    pixel = np.uint8 if image.dtype == np.uint8 else np.float64
    planes = np.zeros((channels + 1, phases, phases, rows, pitch), pixel)
    turned = np.empty((channels + 1, phases, phases, 2 * border, rows), pixel)
    _pack(image, stride, columns, planes, turned)
    _accumulate(planes, turned, geometry.kernel_size, stride, geometry.dilation, windows, part, parts, second, first)


@compiled
def _pack(image, stride, columns, planes, turned):
    """Split image (C, H, W) into planes[c, y % stride, x % stride, y // stride, x // stride], the last c of ones.

    turned[c, u, v]: the first and last columns of plane (c, u, v), each contiguous.
    """
    channels, height, width = image.shape
    phases, border, rows = planes.shape[1], turned.shape[3] // 2, planes.shape[3]
    for c in range(channels):
        for y in range(height):
            if y % stride < phases:
                for phase in range(phases):
                    for m in range((width - phase + stride - 1) // stride):
                        planes[c, y % stride, phase, y // stride, m] = image[c, y, phase + stride * m]
    planes[channels] = 1
    for c in range(channels + 1):
        for u in range(phases):
            for v in range(phases):
                for x in range(border):
                    for y in range(rows):
                        turned[c, u, v, x, y] = planes[c, u, v, y, x]
                        turned[c, u, v, border + x, y] = planes[c, u, v, y, columns - border + x]


@compiled
def _outside(flat, sides, a, b, side_a, side_b, pitch, rows, columns, border, tops, sums):
    """Fill prefix sums over what is outside some rectangle.

    flat[a], flat[b]: pixel (0, 0) and its partner, tops = (top, bottom, stop, low, left, right, high): rows
    [0, top) and [bottom, stop), columns [low, left) and [right, high). sums[1 + y, 1 + x] is the sum of the products up
    to the y-th of these rows and the x-th of these columns; its last column that of whole rows, its last row that of
    whole columns.
    """
    top, bottom, stop, low, left, right, high = tops
    outer_rows, outer_columns = top + stop - bottom, left - low + high - right
    zero = sums[0, 0]
    for y in range(outer_rows):
        row = y if y < top else y - top + bottom
        first_a, first_b = a + row * pitch, b + row * pitch
        # Two loops without a branch, which vectorise, before the sums along the row.
        products(flat, first_a + low, first_b + low, left - low, sums[1 + y], 1)
        products(flat, first_a + right, first_b + right, high - right, sums[1 + y], 1 + left - low)
        along = zero
        for x in range(1, outer_columns + 1):
            along += sums[1 + y, x]
            sums[1 + y, x] = sums[y, x] + along
        whole = dot(flat, first_a + low, first_b + low, high - low)
        sums[1 + y, 1 + outer_columns] = sums[y, 1 + outer_columns] + whole
    shift = side_b[1]
    for x in range(outer_columns):
        column = low + x if x < left - low else x - (left - low) + right - columns + 2 * border
        whole = dot(sides, side_a + column * rows, side_b[0] + (column + shift) * rows, stop)
        sums[1 + outer_rows, 1 + x] = sums[1 + outer_rows, x] + whole


@compiled
def _accumulate(planes, turned, kernel_size, stride, dilation, windows, part, parts, second, first):
    """Add the moments of one packed image to `second` and `first`: of every `parts`-th lag, from `part`.

    windows: rows, columns of windows. Only entries with a lag that is not before (0, 0) are filled in.
    """
    windows_y, windows_x = windows
    channels, phases = planes.shape[0] - 1, planes.shape[1]
    rows, pitch = planes.shape[3], planes.shape[4]
    border = turned.shape[3] // 2
    columns = windows_x + border
    flat, sides = planes.reshape(planes.size), turned.reshape(turned.size)
    divisor = np.gcd(stride, dilation)
    # So many taps further, windows start in the same phase again, `advance` pixels of that phase further.
    step, advance = stride // divisor, dilation // divisor
    sums = np.zeros((2 * border + 2, 2 * border + 2), second.dtype)
    lag = 0
    for dy in range(kernel_size):
        for dx in range(-(kernel_size - 1) if dy > 0 else 0, kernel_size):
            same = dy == 0 and dx == 0
            for i0 in range(min(step, kernel_size - dy)):
                for j0 in range(max(0, -dx), max(0, -dx) + min(step, kernel_size - abs(dx))):
                    lag += 1
                    if lag % parts != part:
                        continue
                    y_a, y_b = i0 * dilation, (i0 + dy) * dilation
                    x_a, x_b = j0 * dilation, (j0 + dx) * dilation
                    plane_a = y_a % stride * phases + x_a % stride
                    plane_b = y_b % stride * phases + x_b % stride
                    y, x = y_a // stride, x_a // stride
                    down, across = y_b // stride - y, x_b // stride - x
                    taps_y = (kernel_size - dy - i0 - 1) // step + 1
                    taps_x = (kernel_size - abs(dx) - (j0 - max(0, -dx)) - 1) // step + 1
                    top, bottom, stop = y + (taps_y - 1) * advance, y + windows_y, rows - down
                    low, high = max(0, -across), columns - max(0, across)
                    left, right = x + (taps_x - 1) * advance, x + windows_x
                    tops = (top, bottom, stop, low, left, right, high)
                    m, n = top + stop - bottom, left - low + high - right
                    for c in range(channels):
                        for d in range(c if same else 0, channels + 1 if same else channels):
                            p_a, p_b = c * phases * phases + plane_a, d * phases * phases + plane_b
                            a, b = p_a * rows * pitch, p_b * rows * pitch + down * pitch + across
                            side = 2 * border * rows
                            total = dot(flat, a + low, b + low, (stop - 1) * pitch + high - low)
                            _outside(
                                flat, sides, a, b, p_a * side, (p_b * side + down, across),
                                pitch, rows, columns, border, tops, sums,
                            )  # fmt: skip
                            for t in range(taps_y):
                                # Inside are, of the rows that are outside some rectangle, those from y0 to y1.
                                y0, y1 = y + t * advance, top + t * advance
                                for u in range(taps_x):
                                    x0, x1 = x - low + u * advance, left - low + u * advance
                                    above = sums[m, n + 1] - sums[y1, n + 1] + sums[y0, n + 1]
                                    beside = sums[m + 1, n] - sums[m + 1, x1] + sums[m + 1, x0]
                                    corners = (sums[m, n] - sums[m, x1] + sums[m, x0]) - (
                                        sums[y1, n] - sums[y1, x1] + sums[y1, x0]
                                    )
                                    corners += sums[y0, n] - sums[y0, x1] + sums[y0, x0]
                                    entry = total - above - beside + corners
                                    i, j = i0 + t * step, j0 + u * step
                                    q = (c * kernel_size + i) * kernel_size + j
                                    if d == channels:
                                        first[q] += entry
                                    else:
                                        second[q, (d * kernel_size + i + dy) * kernel_size + j + dx] += entry
