"""The auto-correlation by its definition: convolve, shift, multiply, average."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.images import ImageSet


def normalised(images: ImageSet) -> np.ndarray:
    """Images as a network sees them, float64."""
    unit = 255.0 if images.images.dtype == np.uint8 else 1.0
    mean, std = (np.array(values)[:, None, None] for values in (images.mean, images.std))
    return (images.images / unit - mean) / std


def responses(weight: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Output (N, K, H', W') of a convolution without padding or bias."""
    windows = sliding_window_view(images, weight.shape[2:], axis=(2, 3))
    return np.einsum("ncyxij,kcij->nkyx", windows, weight, optimize=True)


def curve(weight: np.ndarray, images: ImageSet, max_distance: int) -> np.ndarray:
    """C(d) for d = 0 to max_distance."""
    y = responses(weight, normalised(images))
    height, width = y.shape[2:]
    values = []
    for d in range(max_distance + 1):
        across = (y[..., : width - d] * y[..., d:]).sum(axis=1).mean()
        down = (y[:, :, : height - d] * y[:, :, d:]).sum(axis=1).mean()
        values.append((across + down) / 2)
    return np.array(values)


def image_set(images: np.ndarray, mean: float = 0.4, std: float = 0.25) -> ImageSet:
    """Images normalised by a slightly different mean and std in each channel, in their own units."""
    unit = 1.0 if images.dtype == np.uint8 or images.max() <= 1 else float(images.max())
    channels = images.shape[1]
    means = tuple(unit * (mean + 0.03 * c) for c in range(channels))
    stds = tuple(unit * (std + 0.02 * c) for c in range(channels))
    return ImageSet("made", "train", images, None, (), means, stds)


def made_images(shape: tuple[int, ...], dtype: type, seed: int = 0) -> ImageSet:
    """Noise on a gradient, so that no two directions and no two channels are alike."""
    rng = np.random.default_rng(seed)
    count, channels, height, width = shape
    ramp = np.linspace(0, 120, height)[:, None] + np.linspace(0, 60, width)
    pixels = ramp + 60 * rng.random((count, channels, 1, 1)) + rng.integers(0, 16, shape)
    return image_set(pixels.astype(np.uint8) if dtype is np.uint8 else (pixels / 255).astype(dtype))
