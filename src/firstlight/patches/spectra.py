"""Spatial frequency of filters and of patch components, in cycles/pixel."""

import numpy as np

# Spectra are evaluated at the centres of this many bins an axis.
BINS = 96
FREQUENCIES = (np.arange(BINS) + 0.5) / BINS - 0.5  # cycles/pixel, -0.5 to 0.5
_BLOCK = 64  # spectra of so many filters take 14 MB a channel
# Half of the plane, fx > 0: the spectrum of a real filter is the same at f and -f.
RADIUS = np.hypot(FREQUENCIES[:, None], FREQUENCIES[None, BINS // 2 :])


def spectra(filters: np.ndarray) -> np.ndarray:
    """Power of filters over the half plane of frequencies, summed over their channels.

    Parameters
    ----------
    filters : ndarray, shape (N, C, kh, kw)

    Returns
    -------
    ndarray, shape (N, BINS, BINS / 2), float64
        ``sum_c |W_c(fy, fx)|^2`` at `FREQUENCIES` along fy and at the positive ones along fx, W_c the Fourier transform
        of channel c: the power of the responses to gratings of that frequency, one in each channel.
    """
    down, across = (np.exp(-2j * np.pi * np.outer(FREQUENCIES, np.arange(side))) for side in filters.shape[-2:])
    transform = down @ filters @ across[BINS // 2 :].T
    return np.square(np.abs(transform)).sum(axis=1)


def mean_frequency(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of |f| weighted with the power of spectra, and its standard deviation, in cycles/pixel, shapes (N,)."""
    weight = power / power.sum(axis=(1, 2), keepdims=True)
    mean = (weight * RADIUS).sum(axis=(1, 2))
    return mean, np.sqrt((weight * (RADIUS - mean[:, None, None]) ** 2).sum(axis=(1, 2)))


def frequencies(filters: np.ndarray) -> np.ndarray:
    """Mean spatial frequency of filters (N, C, kh, kw) in cycles/pixel, shape (N,), some at a time to save memory."""
    blocks = range(0, len(filters), _BLOCK)
    return np.concatenate([mean_frequency(spectra(filters[start : start + _BLOCK]))[0] for start in blocks])
