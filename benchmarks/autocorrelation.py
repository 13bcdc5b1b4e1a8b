"""Auto-correlation of 100 random banks on CIFAR-10 from the lag moments, against convolving with every bank.

Convolving gets fewer images, and times are compared per image; the curves are compared on the same images.
"""

import numpy as np

from benchmarks.measure import Measurement, measure, table, timed
from firstlight.images import ImageSet, load_images
from firstlight.whitening import LagMoments

BANKS, SHAPE = 100, (64, 3, 3, 3)
MAX_DISTANCE = 10
IMAGES, CONVOLVED_IMAGES = 50_000, 100
CHUNK = 50  # images whose responses are held at a time


def subset(count: int) -> ImageSet:
    return load_images("cifar10").subset(count)


def banks() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((BANKS, *SHAPE))


def moments(count: int) -> dict[str, float]:
    """The lag moments alone."""
    images = subset(count)
    LagMoments.of(images.subset(1), SHAPE[-1], MAX_DISTANCE)  # compiled or read from numba's cache
    return timed(lambda: float(LagMoments.of(images, SHAPE[-1], MAX_DISTANCE).matrices.sum()), repeats=3)


def curves(count: int) -> dict[str, float]:
    """All banks, once the lag moments are there; of how many images they are does not matter."""
    lags = LagMoments.of(subset(count), SHAPE[-1], MAX_DISTANCE)
    return timed(lambda: sum(float(lags.curve(bank).value.sum()) for bank in banks()), repeats=3)


def convolved(count: int, dtype: str) -> dict[str, float]:
    """All banks, each convolved with all images."""
    images = subset(count)
    return timed(lambda: float(convolution_curves(images, banks(), dtype).sum()), repeats=2)


def convolution_curves(images: ImageSet, filters: np.ndarray, dtype: str) -> np.ndarray:
    """C(d) / C(0) of every bank, (banks, distances), by convolution."""
    import torch

    kind = getattr(torch, dtype)
    mean, std = (torch.tensor(values, dtype=kind)[:, None, None] for values in (images.mean, images.std))
    sums = np.zeros((len(filters), MAX_DISTANCE + 1))
    for start in range(0, len(images), CHUNK):
        pixels = torch.tensor(np.array(images.images[start : start + CHUNK])).to(kind) / 255
        pixels = (pixels - mean) / std
        for bank, weight in enumerate(filters):
            y = torch.nn.functional.conv2d(pixels, torch.tensor(weight, dtype=kind))
            side = y.shape[-1]
            for d in range(MAX_DISTANCE + 1):
                across = torch.sum(y[..., : side - d] * y[..., d:])
                down = torch.sum(y[:, :, : side - d] * y[:, :, d:])
                sums[bank, d] += float(across + down) / (side * (side - d))
    return sums / sums[:, :1]


def run() -> str:
    """Measure everything and return the report."""
    some = subset(CONVOLVED_IMAGES)
    lags = LagMoments.of(some, SHAPE[-1], MAX_DISTANCE)
    filters = banks()[:5]
    exact = np.array([lags.curve(bank).value for bank in filters])
    counted = measure("benchmarks.autocorrelation", "moments", count=IMAGES)
    evaluated = measure("benchmarks.autocorrelation", "curves", count=CONVOLVED_IMAGES)
    ours = counted.seconds + evaluated.seconds
    rows = [
        cells("lag moments, counted once", IMAGES, counted, ours),
        cells(f"curves of {BANKS} banks from them", IMAGES, evaluated, ours),
        ["together", f"{IMAGES:,}", f"{ours:.3f}", f"{1e6 * ours / IMAGES:.1f}", "1.0", "", ""],
    ]
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-9)):
        other = measure("benchmarks.autocorrelation", "convolved", count=CONVOLVED_IMAGES, dtype=dtype)
        difference = float(np.abs(convolution_curves(some, filters, dtype) - exact).max())
        assert difference < tolerance, f"{dtype}: the curves differ by {difference}"
        rows.append([*cells(f"conv2d, {dtype}", CONVOLVED_IMAGES, other, ours)[:-1], f"{difference:.0e}"])
    return (
        f"{BANKS} banks of {SHAPE[0]} filters of {' x '.join(map(str, SHAPE[1:]))}, distances 0 to {MAX_DISTANCE}.\n\n"
        + table(
            ["way", "images", "seconds", "µs an image", "times ours", "peak MB", "largest difference of C(d) / C(0)"],
            rows,
        )
    )


def cells(way: str, count: int, measured: Measurement, ours: float) -> list[str]:
    """Way, images, seconds, microseconds an image, times ours, megabytes, and nothing yet for the difference."""
    each = measured.seconds / count
    return [
        way,
        f"{count:,}",
        f"{measured.seconds:.3f}",
        f"{1e6 * each:.1f}",
        f"{each / (ours / IMAGES):.1f}",
        f"{measured.megabytes:,.0f}",
        "",
    ]
