"""Patch moments on a CUDA device, images lying there, against unfold + cuBLAS and pca_lowrank on the same device.

Needs torch, NumPy and numba alone. The images are as many as CIFAR-10's and as large: its own from a .npy file, uint8
(N, 3, 32, 32) or (N, 32, 32, 3), else random bytes. Neither the times nor the checks depend on what the pixels show.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.measure import table
from firstlight.patches import PatchGeometry
from firstlight.patches.kernels import on_device as kernels
from firstlight.patches.kernels.lag_sums import patch_sums
from firstlight.patches.kernels.on_device import tensor_sums

KERNEL_SIZES = (3, 5, 7, 11, 16)
SIDES = (1, 2, 3, 4, 6, 8, 10, 12, 15)
# Numbers in a chunk of patches that are written out, and those of all patches that pca_lowrank can hold.
CHUNK_NUMBERS, HELD_NUMBERS = 1 << 28, 1 << 30
# Our integers are compared with the CPU's on so many images.
CHECKED = 2000


def pixels(path: str | None, count: int) -> tuple[np.ndarray, str]:
    """The images, (N, 3, 32, 32), and what they are."""
    if path is None:
        shape = (count, 3, 32, 32)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), f"{count:,} images of random bytes"
    images = np.load(path)
    if images.dtype != np.uint8 or images.ndim != 4 or 3 not in (images.shape[1], images.shape[3]):
        raise SystemExit(f"{path} holds {images.dtype} of shape {images.shape}; expected uint8, 3 channels")
    images = images if images.shape[1] == 3 else images.transpose(0, 3, 1, 2)
    images = np.ascontiguousarray(images[:count])
    return images, f"{len(images):,} images of {path.rpartition('/')[2]}"


def unfold_and_multiply(images: torch.Tensor, kernel_size: int, dtype: torch.dtype) -> torch.Tensor:
    """Mean of p p^T, pixels in 0..1."""
    size = images.shape[1] * kernel_size**2
    windows = (images.shape[2] - kernel_size + 1) * (images.shape[3] - kernel_size + 1)
    second = torch.zeros(size, size, dtype=torch.float64, device=images.device)
    step = max(1, CHUNK_NUMBERS // (windows * size))
    for start in range(0, len(images), step):
        columns = torch.nn.functional.unfold(images[start : start + step].to(dtype) / 255, kernel_size)
        columns = columns.transpose(0, 1).reshape(size, -1)
        second += (columns @ columns.T).double()
    return second / (len(images) * windows)


def lowrank(images: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """Singular values of all patches, less their mean."""
    patches = torch.nn.functional.unfold(images.double() / 255, kernel_size).transpose(1, 2).flatten(0, 1)
    return torch.pca_lowrank(patches, q=patches.shape[1])[1]


def timed(call: Callable[[], object], on: torch.device, repeats: int) -> tuple[float, float]:
    """Milliseconds, the least of the repeats after a first call; and peak megabytes on the device."""
    cuda = on.type == "cuda"
    call()
    before = torch.cuda.memory_allocated(on) if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats(on)
    seconds = math.inf
    for _ in range(repeats):
        if cuda:
            torch.cuda.synchronize(on)
        start = time.perf_counter()
        call()
        if cuda:
            torch.cuda.synchronize(on)
        seconds = min(seconds, time.perf_counter() - start)
    return 1e3 * seconds, (torch.cuda.max_memory_allocated(on) - before) / 2**20 if cuda else 0.0


def against_peers(images: torch.Tensor, kernel_size: int) -> list[list[str]]:
    """The rows of one kernel size."""
    on, rows = images.device, []

    def row(way: str, call: Callable[[torch.Tensor], object], count: int, repeats: int) -> None:
        milliseconds, megabytes = timed(lambda: call(images[:count]), on, repeats)
        each = milliseconds / count
        ours = float(rows[0][3]) / len(images) if rows else each
        rows.append([str(kernel_size), way, f"{count:,}", f"{milliseconds:.3f}", f"{each / ours:,.1f}"])
        rows[-1].append(f"{megabytes:,.0f}")

    few, geometry = images[:CHECKED], PatchGeometry(kernel_size, images.shape[1])
    second, first, patches = tensor_sums(few, geometry)
    expected = patch_sums(few.cpu().numpy(), geometry)
    if not (np.array_equal(second, expected[0]) and np.array_equal(first, expected[1])):
        raise AssertionError(f"k = {kernel_size}: the integers differ from the CPU's")
    mean_square = float(np.trace(second)) / patches / 255**2
    for found, tolerance in (
        (unfold_and_multiply(few, kernel_size, torch.float32).trace(), 1e-3),
        (unfold_and_multiply(few, kernel_size, torch.float64).trace(), 1e-11),
    ):
        if not math.isclose(float(found), mean_square, rel_tol=tolerance):
            raise AssertionError(f"k = {kernel_size}: mean square {float(found)}, ours {mean_square}")
    windows, size = (images.shape[2] - kernel_size + 1) ** 2, images.shape[1] * kernel_size**2
    held = min(len(images), max(1, HELD_NUMBERS // (windows * size)))
    for name, precision in (("float32", "highest"), ("TF32 allowed", "high")):
        torch.set_float32_matmul_precision(precision)
        row(f"firstlight, exact, {name}", lambda some: tensor_sums(some, geometry), len(images), 5)
        row(
            f"unfold + BLAS, {name}",
            lambda some: unfold_and_multiply(some, kernel_size, torch.float32),
            len(images),
            3,
        )
    torch.set_float32_matmul_precision("highest")
    row("unfold + BLAS, float64", lambda some: unfold_and_multiply(some, kernel_size, torch.float64), len(images), 3)
    row("pca_lowrank, float64", lambda some: lowrank(some, kernel_size), held, 1)
    return rows


def sides(images: torch.Tensor, kernel_size: int) -> list[str]:
    """Milliseconds by the side of a tile, and the side that the model chooses."""
    geometry = PatchGeometry(kernel_size, images.shape[1])
    windows = geometry.windows(*images.shape[2:])
    cells = [str(kernel_size), str(kernels._tile_side(len(images), windows, geometry))]
    for side in SIDES:
        with patch.object(kernels, "_tile_side", lambda *shape, side=side: side):
            milliseconds, _ = timed(lambda: tensor_sums(images, geometry), images.device, 3)
        cells.append(f"{milliseconds:.1f}")
    return cells


def run(arguments: Sequence[str] = ()) -> str:
    """Measure everything and return the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--pixels", help="a .npy file of CIFAR-10's pixels; default: random bytes")
    parser.add_argument("--images", type=int, default=50_000, help="how many; default: %(default)s")
    parser.add_argument("--device", default="cuda", help="where; cpu tries the benchmark out; default: %(default)s")
    parser.add_argument("--kernel-size", type=int, nargs="+", default=KERNEL_SIZES, help="default: 3 5 7 11 16")
    options = parser.parse_args(arguments)
    on = torch.device(options.device)
    if on.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("the benchmark gpu needs a CUDA device, and torch finds none")
    array, what = pixels(options.pixels, options.images)
    images = torch.from_numpy(array).to(on)
    rows = [row for kernel_size in options.kernel_size for row in against_peers(images, kernel_size)]
    name = torch.cuda.get_device_name(on) if on.type == "cuda" else "the CPU"
    header = ["k", "way", "images", "ms", "times ours an image", "peak MB"]
    return (
        f"On {name}, torch {torch.__version__}, {what}, lying there. Ours is compared with the CPU's integers, every "
        f"one.\n\n{table(header, rows)}\nMilliseconds by the windows that a tile is wide, float32.\n\n"
        + table(["k", "chosen", *map(str, SIDES)], [sides(images, kernel_size) for kernel_size in options.kernel_size])
    )
