"""Patch second moments of CIFAR-10, against the published way and against unfold + BLAS.

The published way unfolds 10,000 images to float64 patches and calls `torch.pca_lowrank`. The straightforward way
unfolds chunks of images and multiplies matrices. Both get as many images as fit memory and patience; times are
compared per image, and the trace of every way's second moment with ours on the same images.
"""

import math

import numpy as np

from benchmarks.measure import Measurement, measure, table, timed
from firstlight.images import load_images
from firstlight.patches.lags import dot, patch_sums, thread_count

KERNEL_SIZES = (3, 5, 7, 11)
CHUNK = 250
# Images for each way and kernel size: the published way holds all patches several times over in 24 GB.
PUBLISHED_IMAGES = {3: 10_000, 5: 2_000, 7: 1_000, 11: 500}
BLAS_IMAGES = {3: 10_000, 5: 5_000, 7: 2_500, 11: 1_000}


def ours(kernel_size: int, count: int) -> dict[str, float]:
    images = np.array(load_images("cifar10").images[:count].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    patch_sums(images[:2], kernel_size, 1)  # compiled or read from numba's cache

    def call() -> float:
        second, _, patches = patch_sums(images, kernel_size, 1)
        return float(np.trace(second)) / patches / 255**2

    return timed(call, repeats=3)


def published(kernel_size: int, count: int) -> dict[str, float]:
    import torch

    images = torch.tensor(np.array(load_images("cifar10").images[:count]))

    def call() -> float:
        patches = torch.nn.functional.unfold(images.double() / 255, kernel_size).transpose(1, 2)
        patches = patches.reshape(-1, patches.shape[-1])
        _, singular, _ = torch.pca_lowrank(patches, q=patches.shape[1])
        mean = patches.mean(dim=0)
        return float((singular**2).sum() / len(patches) + mean @ mean)

    return timed(call, repeats=1)


def blas(kernel_size: int, count: int, dtype: str) -> dict[str, float]:
    import torch

    images = torch.tensor(np.array(load_images("cifar10").images[:count]))
    size = images.shape[1] * kernel_size**2

    def call() -> float:
        second, patches = torch.zeros(size, size, dtype=torch.float64), 0
        for start in range(0, count, CHUNK):
            chunk = images[start : start + CHUNK].to(getattr(torch, dtype)) / 255
            columns = torch.nn.functional.unfold(chunk, kernel_size).transpose(0, 1).reshape(size, -1)
            second += (columns @ columns.T).double()
            patches += columns.shape[1]
        return float(second.trace() / patches)

    return timed(call, repeats=3)


def limits() -> tuple[float, float]:
    """Rates of this machine: bytes a second from memory, and byte multiply-adds a second from the first cache."""
    import time
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

    cores = thread_count()
    planes = np.ones(1 << 15, np.uint8)
    words = np.ones(1 << 25, np.uint64)
    parts = np.array_split(words, cores)
    dots(planes, 1)
    read(parts[0])
    times = 100_000
    macs = reads = 0.0
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(lambda _: dots(planes, times), range(cores)))
            macs = max(macs, cores * times * 8192 / (time.perf_counter() - start))
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


def run() -> str:
    """Measure everything and return the report."""
    rows, limit_rows = [], []
    reads, macs = limits()
    for kernel_size in KERNEL_SIZES:
        mine = measure("benchmarks.patches", "ours", kernel_size=kernel_size, count=50_000)
        mine_each = mine.seconds / 50_000
        rows.append([str(kernel_size), "firstlight, exact", "50,000", *_cells(mine, 50_000, mine)])
        for name, function, count, tolerance, extra in (
            ("unfold + BLAS, float32", "blas", BLAS_IMAGES[kernel_size], 1e-4, {"dtype": "float32"}),
            ("unfold + BLAS, float64", "blas", BLAS_IMAGES[kernel_size], 1e-12, {"dtype": "float64"}),
            ("pca_lowrank, float64", "published", PUBLISHED_IMAGES[kernel_size], 1e-9, {}),
        ):
            other = measure("benchmarks.patches", function, kernel_size=kernel_size, count=count, **extra)
            same = measure("benchmarks.patches", "ours", kernel_size=kernel_size, count=count)
            if not math.isclose(other.check, same.check, rel_tol=tolerance):
                raise AssertionError(f"{name}, k = {kernel_size}: trace {other.check}, ours {same.check}")
            rows.append([str(kernel_size), name, f"{count:,}", *_cells(other, count, mine)])
        billions = 50_000 * products(kernel_size) / 1e9
        multiply, read = 1e9 * billions / macs, 50_000 * 3072 / reads
        limit_rows.append(
            [
                str(kernel_size),
                f"{billions:.1f}",
                f"{1e3 * multiply:.0f}",
                f"{1e3 * read:.0f}",
                f"{50_000 * mine_each / max(multiply, read):.1f}",
            ]
        )
    header = ["k", "way", "images", "seconds", "µs an image", "times slower an image", "peak MB", "times the memory"]
    return (
        table(header, rows)
        + f"\nThe physical limit here: {macs / 1e9:.0f} billion byte multiply-adds a second (both cores, operands in "
        f"the first cache), {reads / 1e9:.1f} GB read a second.\n\n"
        + table(["k", "billion products", "at that rate, ms", "reading 154 MB, ms", "ours over the limit"], limit_rows)
    )


def _cells(way: Measurement, count: int, ours: Measurement) -> list[str]:
    """Seconds, microseconds an image, times ours, megabytes, times ours."""
    each, ours_each = way.seconds / count, ours.seconds / 50_000
    return [
        f"{way.seconds:.3f}",
        f"{1e6 * each:.1f}",
        f"{each / ours_each:.1f}",
        f"{way.megabytes:,.0f}",
        f"{way.megabytes / max(ours.megabytes, 1):.1f}",
    ]
