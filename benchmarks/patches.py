"""The kernels of the patch moments, against the machine's limit and against one another.

A first table has CIFAR-10 against what the machine can multiply and read at all. A second has every kernel size to 16,
on CIFAR-10 and on crops of photographs, by lag and unfolded in float64, both exact and compared in every number; a
third, strides at which patches hardly overlap; a fourth, images in calls of their own. `peers.py` has the other ways.
"""

import math
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np

from benchmarks.measure import table
from benchmarks.pictures import cifar, photographs
from firstlight.patches import PatchGeometry, PatchMoments
from firstlight.patches.kernels import lag_sums as lags
from firstlight.patches.kernels.dots import dot
from firstlight.patches.kernels.lag_sums import patch_sums
from firstlight.patches.kernels.unfolded import unfolded_sums
from firstlight.utils.cores import cores

KERNEL_SIZES = (3, 5, 7, 11)
# Kernel sizes and strides.
STRIDES = (
    (3, 3),
    (4, 4),
    (7, 2),
    (7, 4),
    (7, 7),
    (8, 8),
    (11, 4),
    (11, 11),
    (14, 7),
    (14, 14),
    (16, 4),
    (16, 8),
    (16, 16),
)


def best(call: Callable[[], object], repeats: int = 3) -> float:
    """Seconds: the least of the repeats, after a call that may compile."""
    call()
    seconds = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds = min(seconds, time.perf_counter() - start)
    return seconds


def by_lag(images: np.ndarray, kernel_size: int, stride: int = 1) -> tuple[np.ndarray, np.ndarray, int]:
    """The lag kernels, also where unfolded patches are quicker."""
    with patch.object(lags, "is_quicker_unfolded", lambda *shape: False):
        return patch_sums(images, PatchGeometry(kernel_size, images.shape[1], stride))


def versus_blas(images: np.ndarray, few: int, kernel_size: int, stride: int = 1) -> tuple[float, float]:
    """Microseconds an image by lag, and unfolded (`few` of the images); the results are the same integers."""
    geometry = PatchGeometry(kernel_size, images.shape[1], stride)
    for ours, theirs in zip(
        by_lag(images[:few], kernel_size, stride), unfolded_sums(images[:few], geometry), strict=True
    ):
        if not np.array_equal(ours, theirs):
            raise AssertionError(f"k = {kernel_size}, stride {stride}: the ways differ")
    lag = best(lambda: by_lag(images, kernel_size, stride)) / len(images)
    unfolded = best(lambda: unfolded_sums(images[:few], geometry), 1) / few
    return 1e6 * lag, 1e6 * unfolded


def curve() -> str:
    """Every kernel size, by lag and unfolded."""
    small, large, rows = cifar(2000), photographs(20), []
    for kernel_size in range(1, 17):
        cells = [str(kernel_size)]
        for images, few in ((small, 200), (large, 2)):
            lag, unfolded = versus_blas(images, few, kernel_size)
            cells += [f"{lag:,.1f}", f"{unfolded:,.1f}", f"{unfolded / lag:.1f}"]
        rows.append(cells)
    names = ("by lag, µs an image", "unfold + BLAS, µs", "times slower")
    return table(["k", *(f"{data}: {name}" for data in ("CIFAR-10", "224 x 224") for name in names)], rows)


def crossovers() -> str:
    """Strides at which patches share less: which way is quicker, and which is taken."""
    large, rows = photographs(20), []
    for kernel_size, stride in STRIDES:
        lag, unfolded = versus_blas(large, 20, kernel_size, stride)
        taken = "unfolded" if lags.is_quicker_unfolded(PatchGeometry(kernel_size, 3, stride)) else "by lag"
        rows.append([str(kernel_size), str(stride), f"{lag:,.0f}", f"{unfolded:,.0f}", taken])
    return table(["k", "stride", "by lag, µs an image", "unfold + BLAS, µs an image", "taken"], rows)


def calls() -> str:
    """Images of different sizes, each in a call of its own, against stacks."""
    rows = []
    for images in (cifar(1000), photographs(10, 300, 400)):
        pixels, shape = images[0, 0].size, f"{images.shape[2]} x {images.shape[3]}"
        for kernel_size in (3, 7, 16):
            moments = PatchMoments(kernel_size)
            few = images[: max(5, 200 // kernel_size)]
            alone = best(lambda moments=moments, few=few: [moments.update(image[None]) for image in few]) / len(few)
            stack = best(lambda moments=moments, images=images: moments.update(images)) / len(images)
            rows.append([shape, str(kernel_size)])
            rows[-1] += [f"{1 / alone:,.0f}", f"{pixels / alone / 1e6:.1f}"]
            rows[-1] += [f"{1 / stack:,.0f}", f"{pixels / stack / 1e6:.1f}"]
    return table(
        ["image", "k", "images/s, a call each", "megapixels/s", "images/s, in one stack", "megapixels/s"], rows
    )


def limits() -> tuple[float, float]:
    """Rates of this machine: bytes a second from memory, and byte multiply-adds a second from the first cache."""
    from concurrent.futures import ThreadPoolExecutor

    import numba

    @numba.njit(nogil=True)
    def dots(planes: np.ndarray, times: int) -> int:
        total = 0
        for i in range(times):
            total += dot(planes, i % 64, 8192 + i % 64, 8192)
        return total

    @numba.njit(nogil=True)
    def read(words: np.ndarray) -> np.uint64:
        total = np.uint64(0)
        for i in range(words.size):
            total ^= words[i]
        return total

    available = cores()
    planes = np.ones(1 << 15, np.uint8)
    words = np.ones(1 << 25, np.uint64)
    parts = np.array_split(words, available)
    dots(planes, 1)
    read(parts[0])
    times = 100_000
    macs = reads = 0.0
    with ThreadPoolExecutor(available) as pool:
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(lambda _: dots(planes, times), range(available)))
            macs = max(macs, available * times * 8192 / (time.perf_counter() - start))
            start = time.perf_counter()
            list(pool.map(read, parts))
            reads = max(reads, words.nbytes / (time.perf_counter() - start))
    return reads, macs


def products(kernel_size: int, side: int = 32, channels: int = 3) -> int:
    """Multiply-adds an image: one a pixel for each lag and pair of channels, symmetric ones once."""
    total = 0
    for dy in range(kernel_size):
        for dx in range(-(kernel_size - 1) if dy else 0, kernel_size):
            pairs = channels * (channels + 1) // 2 if (dy, dx) == (0, 0) else channels**2
            total += pairs * (side - dy) * (side - abs(dx))
    return total


def against_limit() -> str:
    """CIFAR-10 against what the machine can do at all."""
    images, rows = cifar(50_000), []
    reads, macs = limits()
    for kernel_size in KERNEL_SIZES:
        seconds = best(lambda kernel_size=kernel_size: patch_sums(images, PatchGeometry(kernel_size, 3)))
        billions = 50_000 * products(kernel_size) / 1e9
        multiply, read = 1e9 * billions / macs, images.nbytes / reads
        rows.append([str(kernel_size), f"{1e3 * seconds:.0f}", f"{billions:.1f}", f"{1e3 * multiply:.0f}"])
        rows[-1] += [f"{1e3 * read:.0f}", f"{seconds / max(multiply, read):.1f}"]
    header = ["k", "ours, ms", "billion products", "at that rate, ms", "reading 154 MB, ms", "ours over the limit"]
    return (
        f"The physical limit here: {macs / 1e9:.0f} billion byte multiply-adds a second (all cores, operands in the "
        f"first cache), {reads / 1e9:.1f} GB read a second.\n\n{table(header, rows)}"
    )


def run() -> str:
    """Measure everything and return the report."""
    return (
        against_limit() + "\nEvery kernel size, stride 1, both ways exact (float64 sums of bytes' products are).\n\n"
        f"{curve()}\nStrides, 224 x 224 photographs.\n\n{crossovers()}"
        f"\nA call for every image, as where sizes differ.\n\n{calls()}"
    )
