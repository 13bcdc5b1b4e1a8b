"""Patch second moments of CIFAR-10, against the published way and against unfold + BLAS.

The published way unfolds 10,000 images to float64 patches and calls `torch.pca_lowrank`. The straightforward way
unfolds chunks of images and multiplies matrices. Both get as many images as fit memory and patience; times are
compared per image, and the trace of every way's second moment with ours on the same images.

A second table has every kernel size to 16, on CIFAR-10 and on crops of photographs, by lag and unfolded in float64,
both exact and compared in every number; a third, strides at which patches hardly overlap; a fourth, images in calls of
their own.
"""

import math
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np

from benchmarks.measure import Measurement, measure, table, timed
from firstlight.images import load_images
from firstlight.images.photos import PHOTOGRAPHS, require_photos
from firstlight.patches import PatchMoments, lags
from firstlight.patches.dots import dot
from firstlight.patches.lags import patch_sums, thread_count
from firstlight.patches.unfolded import unfolded_sums

KERNEL_SIZES = (3, 5, 7, 11)
CHUNK = 250
# Kernel sizes and strides of the third table.
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
# Images for each way and kernel size: the published way holds all patches several times over in 24 GB.
PUBLISHED_IMAGES = {3: 10_000, 5: 2_000, 7: 1_000, 11: 500}
BLAS_IMAGES = {3: 10_000, 5: 5_000, 7: 2_500, 11: 1_000}


def ours(kernel_size: int, count: int) -> dict[str, float]:
    images = cifar(count)
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


def cifar(count: int) -> np.ndarray:
    """Images as most decoders leave them, channels last in memory."""
    return np.array(load_images("cifar10").images[:count].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def photographs(count: int, rows: int = 224, columns: int = 224) -> np.ndarray:
    """Crops at random places of the photographs in scikit-image, as large as they are or larger."""
    from PIL import Image

    folder, rng, crops = require_photos(), np.random.default_rng(0), []
    scenes = [np.asarray(Image.open(folder / name).convert("RGB")) for name in PHOTOGRAPHS.values()]
    scenes = [scene for scene in scenes if scene.shape[0] >= rows and scene.shape[1] >= columns]
    for i in range(count):
        scene = scenes[i % len(scenes)]
        y, x = rng.integers(scene.shape[0] - rows + 1), rng.integers(scene.shape[1] - columns + 1)
        crops.append(scene[y : y + rows, x : x + columns])
    return np.stack(crops).transpose(0, 3, 1, 2)


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
        return patch_sums(images, kernel_size, stride)


def versus_blas(images: np.ndarray, few: int, kernel_size: int, stride: int = 1) -> tuple[float, float]:
    """Microseconds an image by lag, and unfolded (`few` of the images); the results are the same integers."""
    for ours, theirs in zip(
        by_lag(images[:few], kernel_size, stride), unfolded_sums(images[:few], kernel_size, stride), strict=True
    ):
        if not np.array_equal(ours, theirs):
            raise AssertionError(f"k = {kernel_size}, stride {stride}: the ways differ")
    lag = best(lambda: by_lag(images, kernel_size, stride)) / len(images)
    unfolded = best(lambda: unfolded_sums(images[:few], kernel_size, stride), 1) / few
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
        taken = "unfolded" if lags.is_quicker_unfolded(kernel_size, 3, stride, 1) else "by lag"
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
        + f"\nEvery kernel size, stride 1, both ways exact (float64 sums of bytes' products are).\n\n{curve()}"
        + f"\nStrides, 224 x 224 photographs.\n\n{crossovers()}"
        + f"\nA call for every image, as where sizes differ.\n\n{calls()}"
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
