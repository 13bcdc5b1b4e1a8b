"""Patch moments against the peers: time and peak memory, each in a process of its own.

A peer gets as many images as it sums in some seconds, and as it can hold, and is compared an image; what it finds is
compared with our integers of the same images.
"""

import argparse
import functools
import importlib.util
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Measurement, measure, table, timed
from benchmarks.pictures import cifar, photographs

DATA = {"cifar10": (cifar, 50_000, (3, 5, 7, 11)), "photographs": (photographs, 1_000, (3, 7, 16))}
# Numbers in a chunk of patches that are written out, and patches in a step of IncrementalPCA.
CHUNK_NUMBERS = 1 << 23
STEP_PATCHES = 10_000
# pca_lowrank holds the float64 patches about four times over.
HELD_BYTES = 3 << 29


def trace_of_moments(images: np.ndarray, kernel_size: int) -> float:
    """The mean square of a patch in 0..1, which every way returns."""
    from firstlight.patches import PatchMoments

    moments = PatchMoments(kernel_size, images.shape[1]).update(images)
    return float(np.trace(moments.second)) / moments.count / 255**2


def trace_of_engine(images: np.ndarray, kernel_size: int) -> float:
    from firstlight.engines import open_engine
    from firstlight.images import shards_of
    from firstlight.patches.out_of_core.accumulate import accumulate
    from firstlight.utils.cores import cores

    shards = shards_of(images, images_per_shard=max(1, min(2048, len(images) // 16)))
    with open_engine("local", workers=cores()) as engine:
        moments = accumulate(shards, kernel_size, images.shape[1], engine=engine, progress=False).moments
    return float(np.trace(moments.second)) / moments.count / 255**2


def unfolded(images: np.ndarray, kernel_size: int, dtype: str) -> Iterator:
    """Patches of a chunk of images at a time, pixels in 0..1, (images, D, windows)."""
    import torch

    windows = (images.shape[2] - kernel_size + 1) * (images.shape[3] - kernel_size + 1)
    step = max(1, CHUNK_NUMBERS // (windows * images.shape[1] * kernel_size**2))
    for start in range(0, len(images), step):
        chunk = torch.from_numpy(images[start : start + step]).to(getattr(torch, dtype)) / 255
        yield torch.nn.functional.unfold(chunk, kernel_size)


def trace_of_blas(images: np.ndarray, kernel_size: int, dtype: str) -> float:
    import torch

    size = images.shape[1] * kernel_size**2
    second, count = torch.zeros(size, size, dtype=torch.float64), 0
    for chunk in unfolded(images, kernel_size, dtype):
        columns = chunk.transpose(0, 1).reshape(size, -1)
        second += (columns @ columns.T).double()
        count += columns.shape[1]
    return float(second.trace()) / count


class StreamingCovariance:
    """As metrics of torchmetrics are written: sums in float64, updated a batch at a time, and a result at the end."""

    def __init__(self, size: int) -> None:
        import torch

        self.total = torch.zeros(size, dtype=torch.float64)
        self.outer = torch.zeros(size, size, dtype=torch.float64)
        self.count = 0

    def update(self, features) -> None:
        features = features.double()
        self.total += features.sum(dim=0)
        self.outer += features.T @ features
        self.count += len(features)

    def compute(self) -> tuple:
        mean = self.total / self.count
        return mean, self.outer / self.count - mean.outer(mean)


def trace_of_streaming(images: np.ndarray, kernel_size: int) -> float:
    metric = StreamingCovariance(images.shape[1] * kernel_size**2)
    for chunk in unfolded(images, kernel_size, "float32"):
        metric.update(chunk.transpose(1, 2).flatten(0, 1))
    mean, covariance = metric.compute()
    return float(covariance.trace() + mean @ mean)


def trace_of_incremental(images: np.ndarray, kernel_size: int) -> float:
    # Not a dependency, so by name.
    pca = importlib.import_module("sklearn.decomposition").IncrementalPCA()
    for chunk in unfolded(images, kernel_size, "float32"):
        patches = chunk.transpose(1, 2).flatten(0, 1).numpy()
        for start in range(0, len(patches), STEP_PATCHES):
            pca.partial_fit(patches[start : start + STEP_PATCHES])
    count = int(pca.n_samples_seen_)
    return float(pca.explained_variance_.sum()) * (count - 1) / count + float((pca.mean_**2).sum())


def trace_of_lowrank(images: np.ndarray, kernel_size: int) -> float:
    import torch

    patches = torch.nn.functional.unfold(torch.from_numpy(images).double() / 255, kernel_size).transpose(1, 2)
    patches = patches.reshape(-1, patches.shape[-1])
    _, singular, _ = torch.pca_lowrank(patches, q=min(patches.shape))
    mean = patches.mean(dim=0)
    return float((singular**2).sum() / len(patches) + mean @ mean)


# Way: how it is computed, and how far its result may be from ours.
OURS: dict[str, tuple[Callable[[np.ndarray, int], float], float]] = {
    "PatchMoments": (trace_of_moments, 0),
    "accumulate": (trace_of_engine, 0),
}
PEERS: dict[str, tuple[Callable[[np.ndarray, int], float], float]] = {
    "unfold + BLAS, float32": (lambda images, k: trace_of_blas(images, k, "float32"), 1e-4),
    "unfold + BLAS, float64": (lambda images, k: trace_of_blas(images, k, "float64"), 1e-11),
    "streaming covariance, float64": (trace_of_streaming, 1e-6),
    "sklearn IncrementalPCA, float32": (trace_of_incremental, 1e-3),
    "torch.pca_lowrank, float64": (trace_of_lowrank, 1e-9),
}


def way_of(path: str, way: str, kernel_size: int, seconds: float, cores: int) -> dict[str, float]:
    """Run in a process of its own: as many images as take so many seconds, on so many cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    images = np.load(path).transpose(0, 3, 1, 2)
    call, tolerance = (OURS | PEERS)[way]
    call(images[:40, :, : kernel_size + 3, : kernel_size + 3], kernel_size)  # compiled, threads started
    windows = (images.shape[2] - kernel_size + 1) * (images.shape[3] - kernel_size + 1)
    most, count = len(images), 1
    if call is trace_of_lowrank:
        most = min(most, max(1, HELD_BYTES // (8 * windows * images.shape[1] * kernel_size**2)))
    while True:
        measured = timed(functools.partial(call, images[:count], kernel_size), repeats=1)
        if count == most or measured["seconds"] > seconds / 4:
            break
        count = min(most, max(count + 1, int(count * min(50, 0.9 * seconds / measured["seconds"]))))
    if measured["seconds"] < 2:
        measured = timed(functools.partial(call, images[:count], kernel_size), repeats=3)
    expected = trace_of_moments(images[:count], kernel_size)
    if not math.isclose(measured["check"], expected, rel_tol=tolerance):
        raise AssertionError(f"{way}, k = {kernel_size}: mean square {measured['check']}, ours {expected}")
    return {**measured, "count": count}


def run(arguments: Sequence[str] = ()) -> str:
    """Measure everything, or what the arguments name, and return the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    parser.add_argument("--data", choices=DATA, nargs="+", default=list(DATA), help="images; default: both")
    parser.add_argument("--kernel-size", type=int, nargs="+", help="default: those of the table")
    parser.add_argument("--images", type=int, help="how many at most; default: 50,000 and 1,000")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a peer, about; default: %(default)s")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.data:
            make, number, kernel_sizes = DATA[name]
            path = Path(folder) / f"{name}.npy"
            np.save(path, make(options.images or number).transpose(0, 2, 3, 1))
            for kernel_size in options.kernel_size or kernel_sizes:
                rows += compared(name, str(path), kernel_size, options.seconds)
    header = ["data", "k", "way", "cores", "images", "seconds", "µs an image", "times ours", "peak MB", "times ours"]
    return (
        f"{table(header, rows)}\nTimes ours: an image, against PatchMoments on all cores. Memory is what a way takes "
        f"above its input. A peer gets as many images as it sums in about {options.seconds:.0f} s and holds in 6 GB.\n"
    )


def compared(name: str, path: str, kernel_size: int, seconds: float) -> list[list[str]]:
    """The rows of one set of images and kernel size."""

    def measured(way: str, limit: float, cores: int) -> Measurement:
        return measure(
            "benchmarks.peers", "way_of", path=path, way=way, kernel_size=kernel_size, seconds=limit, cores=cores
        )

    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({1, min(2, every), every}, reverse=True)
    done = [(way, cores, measured(way, 60, cores)) for way in OURS for cores in counts]
    rows = []
    for way in PEERS:
        if way.startswith("sklearn") and importlib.util.find_spec("sklearn") is None:
            rows.append([name, str(kernel_size), way, str(every), "not installed", *[""] * 5])
        else:
            done.append((way, every, measured(way, seconds, every)))
    ours = done[0][2]
    for way, cores, measurement in done:
        each = measurement.seconds / measurement.count
        rows.append(
            [
                name,
                str(kernel_size),
                way,
                str(cores),
                f"{measurement.count:,}",
                f"{measurement.seconds:.3f}",
                f"{1e6 * each:,.1f}",
                f"{each / (ours.seconds / ours.count):,.1f}",
                f"{measurement.megabytes:,.0f}",
                f"{measurement.megabytes / max(ours.megabytes, 1):,.1f}",
            ]
        )
    return rows
