"""What a bank and its single filters look like: rank, dead and equal filters."""

import math
from dataclasses import dataclass

import numpy as np

from firstlight.patches.basis import PatchBasis
from firstlight.profile import filter_responses

# A filter is dead when its norm, and what it responds to patches, are at most this share of the upper quartile of the
# bank's, which even a bank of mostly dead filters has from the others. Fixed by ablation on 2,000 test images of
# CIFAR-10: in ResNet20 and ResNet32, trained by others (akamaster), the five filters below 0.013 of the norms cost 0.0
# points of accuracy each (responses below 0.018); the others, from 0.060 on (0.15), up to 2.7. The recorded networks
# have none below 0.5. Norms alone would not do: of filters that whiten, those of much variance are small.
DEAD = 0.03
# Two filters are duplicates when the cosine of the angle between them is at least this, or, where there are so few
# dimensions that random filters come as near, so much that a pair of random ones does in so many banks.
DUPLICATE, _BY_CHANCE = 0.99, 0.05
# Filters that are compared with each other at once.
_BLOCK = 1024


@dataclass(frozen=True)
class FilterFaults:
    """Filters by number, counted from 0.

    Attributes
    ----------
    dead : tuple of int
        With hardly any weight.
    duplicates : tuple of tuple of int
        Groups of filters that are equal but for a positive factor.
    """

    dead: tuple[int, ...]
    duplicates: tuple[tuple[int, ...], ...]


def filter_faults(weight: np.ndarray, basis: PatchBasis | None = None) -> FilterFaults:
    """Find dead and duplicate filters.

    Parameters
    ----------
    weight : ndarray, shape (K, C, kh, kw), float64
    basis : PatchBasis, optional
        Of patches of their shape, to which dead filters hardly respond; default: norms alone tell.

    Returns
    -------
    FilterFaults
        Dead filters are no duplicates.
    """
    norms = filter_norms(weight)
    dead = dead_filters(weight, basis)
    flat = weight.reshape(len(weight), -1) / (np.abs(weight).max() or 1.0)
    unit = np.divide(flat, norms[:, None], out=np.zeros_like(flat), where=norms[:, None] > 0)
    return FilterFaults(_numbers(dead), _groups(unit, ~dead))


def dead_filters(weight: np.ndarray, basis: PatchBasis | None = None) -> np.ndarray:
    """Which filters have hardly any weight, and respond to hardly any patch of a basis; bool, shape (K,)."""
    sizes = [filter_norms(weight)]
    if basis is not None:
        sizes.append(filter_responses(weight / (np.abs(weight).max() or 1.0), basis))
    return np.all([size <= DEAD * np.percentile(size, 75) for size in sizes], axis=0)


def filter_norms(weight: np.ndarray) -> np.ndarray:
    """Norms of filters (K, C, kh, kw), relative to the largest weight, so that no square over- or underflows."""
    flat = weight.reshape(len(weight), -1)
    return np.linalg.norm(flat / (np.abs(flat).max() or 1.0), axis=1)


def effective_rank(weight: np.ndarray) -> float:
    """Number of directions that the filters span, weighted: exp of the entropy of the singular values (float, 0 to D).

    References
    ----------
    O. Roy and M. Vetterli, "The effective rank", EUSIPCO 2007.
    """
    flat = weight.reshape(len(weight), -1)
    largest = np.abs(flat).max()
    if largest == 0:
        return 0.0
    values = np.linalg.svd(flat / largest, compute_uv=False)
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-np.sum(share * np.log(share))))


def _numbers(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def _groups(unit: np.ndarray, alive: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Groups of filters whose cosine with the first of the group is that of duplicates."""
    group = np.full(len(unit), -1)
    alike = max(DUPLICATE, _nearest_by_chance(*unit.shape))
    for start in range(0, len(unit), _BLOCK):
        similar = (unit[start : start + _BLOCK] @ unit.T >= alike) & alive
        for row in np.flatnonzero(alive[start : start + _BLOCK] & (similar.sum(axis=1) > 1)):
            members = np.flatnonzero(similar[row] & (group < 0))
            if group[start + row] < 0 and len(members) > 1:
                group[members] = start + row
    firsts = sorted(set(group[group >= 0].tolist()))
    return tuple(tuple(np.flatnonzero(group == first).tolist()) for first in firsts)


def _nearest_by_chance(count: int, size: int) -> float:
    """The cosine that one pair of so many random directions reaches in one bank of 20; none in one dimension.

    Of small angles a: two directions are as near with probability ``a^(D-1) / ((D-1) B((D-1)/2, 1/2))``.
    """
    if size == 1 or count < 2:
        return math.inf
    beta = math.exp(math.lgamma((size - 1) / 2) + math.lgamma(1 / 2) - math.lgamma(size / 2))
    share = _BY_CHANCE / math.comb(count, 2)
    return math.cos(min(1.0, (share * (size - 1) * beta) ** (1 / (size - 1))))
