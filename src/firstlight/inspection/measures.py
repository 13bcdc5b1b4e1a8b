"""What a bank and its single filters look like: rank, dead, equal and noisy filters."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from firstlight.patches.basis import PatchBasis
from firstlight.theory.null import gaussians

# A filter is dead when its norm is at most this share of the bank's median norm.
DEAD = 0.01
# Two filters are duplicates when the cosine of the angle between them is at least this.
DUPLICATE = 0.99
# A filter is noise when its power is spread over the components at least as evenly as that of this share of random
# directions: 1 - NOISE of random filters are called so.
NOISE = 0.05
# With fewer components than this, structured and random directions cannot be told apart.
_FEWEST_COMPONENTS = 12
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
    noise : tuple of int
        That look like random directions.
    """

    dead: tuple[int, ...]
    duplicates: tuple[tuple[int, ...], ...]
    noise: tuple[int, ...]


def filter_faults(weight: np.ndarray, basis: PatchBasis | None) -> FilterFaults:
    """Find dead, duplicate and noisy filters.

    Parameters
    ----------
    weight : ndarray, shape (K, C, kh, kw), float64
    basis : PatchBasis or None
        Of patches of that shape; without it no filter is called noise.

    Returns
    -------
    FilterFaults
        Dead filters are neither duplicates nor noise.
    """
    flat = weight.reshape(len(weight), -1)
    scale = np.abs(flat).max()
    flat = flat / scale if scale > 0 else flat  # squares of tiny weights would vanish
    norms = np.linalg.norm(flat, axis=1)
    dead = norms <= DEAD * np.median(norms)
    unit = np.divide(flat, norms[:, None], out=np.zeros_like(flat), where=norms[:, None] > 0)
    noise = () if basis is None else _numbers(~dead & _noisy(unit, basis))
    return FilterFaults(_numbers(dead), _groups(unit, ~dead), noise)


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
    """Groups of filters whose cosine with the first of the group reaches DUPLICATE."""
    group = np.full(len(unit), -1)
    for start in range(0, len(unit), _BLOCK):
        similar = (unit[start : start + _BLOCK] @ unit.T >= DUPLICATE) & alive
        for row in np.flatnonzero(alive[start : start + _BLOCK] & (similar.sum(axis=1) > 1)):
            members = np.flatnonzero(similar[row] & (group < 0))
            if group[start + row] < 0 and len(members) > 1:
                group[members] = start + row
    firsts = sorted(set(group[group >= 0].tolist()))
    return tuple(tuple(np.flatnonzero(group == first).tolist()) for first in firsts)


def _noisy(unit: np.ndarray, basis: PatchBasis) -> np.ndarray:
    if basis.size < _FEWEST_COMPONENTS:
        return np.zeros(len(unit), dtype=bool)
    return participation(unit @ basis.components.T) >= _random_participation(basis.size)


def participation(coefficients: np.ndarray) -> np.ndarray:
    """In how many components a filter's power lies, (sum a^2)^2 / sum a^4, shape (K,), of coefficients (K, D)."""
    power = coefficients**2
    fourth = np.sum(power**2, axis=1)
    return np.divide(power.sum(axis=1) ** 2, fourth, out=np.zeros(len(power)), where=fourth > 0)


@lru_cache(maxsize=16)
def _random_participation(size: int) -> float:
    """The participation that all but the share NOISE of random directions reach."""
    return float(np.quantile(participation(gaussians(2000, size)), NOISE))
