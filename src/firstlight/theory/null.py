"""What chance gives: random filters, bases and profiles, how eq. 3 fits them, and how alike any two are.

Every null of the package is drawn here. The coefficients of Gaussian filters on any orthonormal basis are Gaussian
again, and so one draw of numbers serves for filters and for their coefficients.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.profile import correlation, energy_profile, windows
from firstlight.theory.fit import fit_formula
from firstlight.theory.formula import checked_variance
from firstlight.theory.scan import checked_range, scan, shape_scores

# Random banks to draw: the 95th percentile is then known to about two hundredths of a correlation.
DRAWS = 1000
# Filters of a random bank that are drawn one by one, and numbers that this may take.
_MOST_DRAWN, _MOST_NUMBERS = 16, 500_000
# Orders of its own weights that a bank is compared with, and products that this may take.
_SHUFFLINGS, _MOST_PRODUCTS = 99, 2_000_000_000
_EQUAL = 1e-9


def gaussians(*shape: int, seed: int = 0) -> np.ndarray:
    """Independent normal numbers of deviation 1: random filters, directions, or their coefficients in any basis."""
    return np.random.default_rng(seed).standard_normal(shape)


def gaussian_profiles(filters: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Energies e_i of random Gaussian banks, float64 of any shape; the number K of filters is that of each bank.

    No filter is drawn: e_i^2 is a chi-squared variable with K degrees of freedom over K.
    """
    return np.sqrt(rng.chisquare(filters, shape) / filters)


def profiles_of_norms(norms: ArrayLike, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Energies of random banks whose filters have given norms, and directions that are uniform.

    Parameters
    ----------
    norms : array_like, shape (K,)
        Not all of them 0.
    size, draws : int
        Number D of components, and of banks.
    rng : Generator

    Returns
    -------
    ndarray, shape (D, draws), float64
        Up to one factor. The largest filters are drawn; of all the others, none of which matters much by itself, the
        sum of squares, as the gamma variable of its mean and variance.
    """
    power = np.sort(np.square(np.asarray(norms, dtype=np.float64) / np.max(norms)))[::-1]
    drawn = min(_MOST_DRAWN, _MOST_NUMBERS // (size * draws))
    energy = np.zeros((size, draws))
    for one in power[:drawn]:
        squares = rng.standard_normal((size, draws)) ** 2
        energy += one * squares / squares.mean(axis=0)
    rest = power[drawn:]
    if (total := rest.sum()) > 0:
        # Of a direction's D squares, which have one sum, the variance is D / (D + 2) of that of Gaussian ones.
        freedom = total**2 / np.sum(rest**2) * (1 + 2 / size)
        energy += total / freedom * rng.chisquare(freedom, (size, draws))
    return np.sqrt(energy)


def orthonormal_bases(draws: int, size: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Random orthonormal bases, each of shape (size, size)."""
    return (np.linalg.qr(numbers).Q for numbers in gaussians(draws, size, size, seed=seed))


def fit_correlations(banks: np.ndarray, basis: PatchBasis, tau_range: tuple[float, float] | None = None) -> np.ndarray:
    """Correlation of the best fit of eq. 3 to the profile of each bank (N, K, C, k, k), shape (N,)."""
    profiles = (energy_profile(bank, basis) for bank in banks)
    return np.array([fit_formula(profile, basis, tau_range=tau_range).correlation for profile in profiles])


def agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of profiles (N, D) with other ones, pair by pair, shape (N,)."""
    return np.array([correlation(a, b) for a, b in zip(first, second, strict=True)])


@dataclass(frozen=True, eq=False)
class RandomBanks:
    """Random banks, which no training has touched, measured like a trained one.

    Attributes
    ----------
    correlations : ndarray, shape (N,)
        Of the best fit of eq. 3 to each bank's profile: the higher the fewer filters, and never about 0, since tau is
        chosen to fit.
    spreads : ndarray, shape (N,)
        Standard deviation of each profile over its mean: 0 for a flat one.
    filters : int
        Number K of filters of each bank.
    """

    correlations: np.ndarray = field(repr=False)
    spreads: np.ndarray = field(repr=False)
    filters: int

    def share_above(self, *, correlation: float | None = None, spread: float | None = None) -> float:
        """Share of random banks that reach a correlation or a spread: its p-value, at least 1 / (N + 1)."""
        values, value = (self.correlations, correlation) if correlation is not None else (self.spreads, spread)
        assert value is not None
        return float((1 + np.sum(values >= value)) / (1 + len(values)))

    def to_dict(self) -> dict[str, Any]:
        """Means and 95th percentiles, in JSON's types."""
        return {
            "draws": len(self.correlations),
            "filters": self.filters,
            "correlation": {"mean": float(self.correlations.mean()), "p95": percentile(self.correlations)},
            "spread": {"mean": float(self.spreads.mean()), "p95": percentile(self.spreads)},
        }


def percentile(values: np.ndarray, share: float = 95) -> float:
    """A percentile of values."""
    return float(np.percentile(values, share))


def spread(energy: np.ndarray) -> float:
    """How uneven a profile is: standard deviation over mean; 0 for a flat one and for one without energy."""
    relative = np.ldexp(energy, -np.frexp(energy.max())[1])  # of huge and tiny energies no square is a number
    mean = relative.mean()
    return float(relative.std() / mean) if mean > 0 else 0.0


def shuffled_share(weight: np.ndarray, basis: PatchBasis, seed: int = 0, *, by_channel: bool = False) -> float:
    """Share of shufflings of the filters that are as uneven as the filters: a p-value, at least 1 / 100.

    Parameters
    ----------
    weight : ndarray, shape (K, C, kh, kw), float64
        Not all of them 0; kernels at least as large as the patches, whose windows in them are looked at. In each filter
        the weights change places, over taps and channels: what the values alone give, such as the mean of random ones
        that are all positive, stays. Along an axis on which no weight differs they move together.
    basis : PatchBasis
    seed : int
    by_channel : bool
        The weights of each channel change places among themselves: their mean and size in it stay, too.

    Returns
    -------
    float
        Of the largest filters, where all would take long.
    """
    _, rows, columns = basis.shape
    looks = (weight.shape[2] - rows + 1) * (weight.shape[3] - columns + 1)
    most = max(1, _MOST_PRODUCTS // (_SHUFFLINGS * looks * basis.size**2))
    norms = np.linalg.norm(weight.reshape(len(weight), -1) / np.abs(weight).max(), axis=1)
    weight = weight[np.argsort(-norms, kind="stable")[:most]] / np.abs(weight).max()
    apart = weight
    for axis in (1, 2, 3):
        if np.ptp(weight, axis=axis).max() <= _EQUAL:
            apart = apart.take([0], axis)
    places = apart.reshape(len(apart) * (apart.shape[1] if by_channel else 1), -1)
    components = basis.components.T
    rng = np.random.default_rng(seed)

    def uneven(values: np.ndarray) -> float:
        filters = np.broadcast_to(values.reshape(apart.shape), weight.shape)
        patches = windows(filters, rows, columns).reshape(-1, basis.size)
        return spread(np.sqrt(np.mean((patches @ components) ** 2, axis=0)))

    own = uneven(places) * (1 - _EQUAL)  # equal weights stay equal in any order, but for rounding
    above = sum(uneven(rng.permuted(places, axis=1)) >= own for _ in range(_SHUFFLINGS))
    return (1 + above) / (1 + _SHUFFLINGS)


def random_banks(
    variance: ArrayLike,
    filters: int,
    draws: int = DRAWS,
    seed: int = 0,
    tau_range: tuple[float, float] | None = None,
    norms: ArrayLike | None = None,
    shapes: np.ndarray | None = None,
) -> RandomBanks:
    """Fit eq. 3, or another theory, to random banks, for a null distribution of the correlation.

    All at once, at the times of the scan only: a thousand fits by `fit_formula` would take a second.

    Parameters
    ----------
    variance : array_like, shape (D,)
        lambda_i^2 of the patches.
    filters : int
        Number K of filters of a bank.
    draws, seed : int
        How many banks, and the seed of their random numbers.
    tau_range : tuple of two float, optional
        As for `fit_formula`.
    norms : array_like, shape (K,), optional
        Of the filters that a bank is compared with: unequal ones make random profiles more uneven. Default, and where
        all are 0: those of Gaussian filters of one deviation.
    shapes : ndarray, shape (T, D), optional
        The profiles that a theory has at its times; by default those of eq. 3, in the range.

    Returns
    -------
    RandomBanks

    Raises
    ------
    InputError
        `filters` or `draws` is below 1, there are not 3 components that differ in variance, or the range is none.
    """
    variance = checked_variance(variance)
    if filters < 1 or draws < 1:
        raise InputError(f"filters is {filters} and draws is {draws}; expected at least 1 of each")
    if len(set(variance[variance > 0].tolist())) < 3:
        raise InputError("the variances have fewer than 3 different positive values; expected some to fit eq. 3 to")
    rng = np.random.default_rng(seed)
    shape = len(variance), draws
    energy = (
        gaussian_profiles(filters, shape, rng)
        if norms is None or not np.any(norms)
        else profiles_of_norms(norms, *shape, rng)
    )
    mean = energy.mean(axis=0)
    centred = energy - mean
    length = np.linalg.norm(centred, axis=0)
    if shapes is None:
        _, shapes = scan(variance, checked_range(tau_range))
    scores = shape_scores(centred / length, shapes).max(axis=0)
    return RandomBanks(scores, length / np.sqrt(len(variance)) / mean, filters)
