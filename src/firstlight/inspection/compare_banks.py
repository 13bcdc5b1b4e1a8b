"""`compare`: from several sources of filters to how alike their energy profiles are."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.inspection.comparison import Comparison
from firstlight.inspection.doubt import Doubt, doubt, random_likes, shuffled_likes
from firstlight.inspection.measures import filter_norms
from firstlight.inspection.theories import prepare, trajectory_for
from firstlight.patches.bank_statistics import channels_of
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import basis_for, patch_statistics
from firstlight.profile import EnergyProfile, correlation_or_nan, energy_profile, windows
from firstlight.theory.null import RandomBanks, agreement, gaussian_profiles, percentile
from firstlight.theory.theory_fit import TheoryFit, explained
from firstlight.utils.text import counted, size_text

# Random pairs of banks for the null distribution.
DRAWS = 1000


def compare(
    banks: Sequence[Any],
    data: Any = None,
    initial: Sequence[Any] | None = None,
    labels: Sequence[str] | None = None,
    *,
    layer: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fold_batch_norm: bool = False,
    data_dir: str | Path | None = None,
    **options: Any,
) -> Comparison:
    """How alike first layers are: the correlation of their energy profiles, pair by pair (Table 1 of the paper).

    Parameters
    ----------
    banks : sequence of FilterBank, ndarray of shape (K, C, kh, kw), or whatever else `load_filters` takes
        At least two, over the same channels. K may differ, and so may the kernel sizes: larger filters are then
        measured by their energy in the components of the smaller patches, over all windows of that size inside each
        filter, so that every component stands for the same spatial frequency, in cycles/pixel, for all.
    data : PatchBasis, or whatever else `patch_statistics` takes; optional
        Components of patches of the size of the smallest kernel, or the data whose they are: by default CIFAR-10.
    initial : sequence, optional
        The initial filters of each bank, or None for some: compared is then the change.
    labels : sequence of str, optional
        Names; by default the banks' sources.
    layer : str, optional
        The layer to take of each network instead of the first.
    mean, std : float or sequence of float, optional
        As of `inspect`.
    fold_batch_norm : bool
        As of `inspect`.
    data_dir : str or Path, optional
        Folder of the cache.
    **options
        Of `image_stream`, where images are read.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Fewer than two banks, or shapes that cannot be compared.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    >>> basis = fl.PatchMoments(kernel_size=3, channels=3).update(images).basis()
    >>> filters = np.random.default_rng(1).normal(size=(4, 3, 3, 3))
    >>> fl.compare([filters, 2 * filters[::-1]], basis).correlations  # scale and order do not matter
    array([[1., 1.],
           [1., 1.]])
    """
    if isinstance(banks, str | Path | FilterBank | Mapping) or not isinstance(banks, Iterable):
        raise InputError(f"compare was given a {type(banks).__name__}; expected a list of at least 2 networks: [A, B]")
    loaded = [load_filters(bank, None if isinstance(bank, FilterBank) else layer) for bank in banks]
    found = [(bank.folded() if fold_batch_norm else bank).ungrouped() for bank in loaded]
    if len(found) < 2:
        raise InputError(f"compare was given {counted(len(found), 'filter bank')}; expected at least 2")
    starts = list(initial) if initial is not None else [None] * len(found)
    names = list(labels) if labels is not None else _distinct([bank.source or "filters" for bank in found])
    if len(starts) != len(found) or len(names) != len(found):
        raise InputError(
            f"initial or labels have {len(starts)} and {len(names)} entries; expected {len(found)}, as banks"
        )
    _check_channels(found, names)
    smallest = _smallest(found)
    statistics = patch_statistics(data, data_dir, **{"channels": channels_of([smallest]), **options})
    prepare(statistics, [smallest])
    basis = basis_for(smallest, data if isinstance(data, PatchBasis) else statistics, mean, std, data_dir)
    looked = [_look(bank, basis, start) for bank, start in zip(found, starts, strict=True)]
    profiles, nulls, doubts = zip(*looked, strict=True)

    def theories(bank: FilterBank, start: Any, profile: EnergyProfile, null: RandomBanks | None) -> TheoryFit | None:
        """None of larger kernels, which are seen through windows, and where eq. 3 cannot be fitted."""
        if bank.weight.shape[1:] != basis.shape:
            return None
        try:
            trajectory = partial(trajectory_for, bank, statistics, mean, std, data_dir)
            return explained(profile.energy, basis.variance, trajectory, filter_norms(_weight(bank, start)), banks=null)
        except InputError:
            return None

    size = len(found)
    matrix = np.eye(size)
    for i in range(size):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = correlation_or_nan(profiles[i].energy, profiles[j].energy)
    few = sorted(len(bank) for bank in found)[:2]
    return Comparison(
        labels=tuple(names),
        correlations=matrix,
        profiles=profiles,
        basis=basis,
        sizes=tuple((bank.weight.shape[2], bank.weight.shape[3]) for bank in found),
        chance=_chance(basis.size, few[0], few[1]),
        banks=tuple(found),
        nulls=nulls,
        doubts=doubts,
        theories=tuple(map(theories, found, starts, profiles, nulls)),
    )


def _check_channels(banks: Sequence[FilterBank], names: Sequence[str]) -> None:
    """Components of one channel and of three have nothing to do with each other."""
    first = banks[0].weight.shape[1]
    for bank, name in zip(banks, names, strict=True):
        channels = bank.weight.shape[1]
        if channels != first:
            more = names[0] if first > channels else name
            grey = (
                f", or add up the channels of {more}, for how it sees grey images"
                if {first, channels} == {1, 3}
                else ""
            )
            raise InputError(
                f"{name} sees {counted(channels, 'channel')}, {names[0]} {first}; expected the same of all that are "
                f"compared: leave one of them out{grey}"
            )


def _smallest(banks: Sequence[FilterBank]) -> FilterBank:
    """A bank that stands for the shape of the smallest kernel: the patches that all filters can be looked at with."""
    rows, columns = (min(bank.weight.shape[axis] for bank in banks) for axis in (2, 3))
    dilations = {bank.dilation for bank in banks}
    return FilterBank(
        np.zeros((1, banks[0].weight.shape[1], rows, columns)),
        dilation=dilations.pop() if len(dilations) == 1 else (1, 1),
    )


def _look(
    bank: FilterBank, basis: PatchBasis, initial: FilterBank | np.ndarray | None
) -> tuple[EnergyProfile, RandomBanks | None, Doubt | None]:
    """The profile, what random banks have, and what speaks against the bank's having learnt, as of `inspect`."""
    profile = _profile(bank, basis, initial)
    weight = _weight(bank, initial)
    try:
        null = random_likes(weight, basis)
    except InputError:  # eq. 3 cannot be fitted to any
        null = None
    return profile, null, doubt(bank, profile, null, shuffled_likes(weight, basis, profile.change))


def _weight(bank: FilterBank, initial: FilterBank | np.ndarray | None) -> np.ndarray:
    return bank.weight if initial is None else bank.weight - load_filters(initial).ungrouped().weight


def _profile(bank: FilterBank, basis: PatchBasis, initial: FilterBank | np.ndarray | None) -> EnergyProfile:
    """The profile in the basis, of every window of its size inside the filters where they are larger."""
    weight, (channels, rows, columns) = bank.weight, basis.shape
    if weight.shape[1:] == basis.shape:
        return energy_profile(bank, basis, initial)
    if weight.shape[1] != channels or weight.shape[2] < rows or weight.shape[3] < columns:
        raise InputError(
            f"{bank.source or 'a bank'} has filters of {size_text(weight.shape[1:])}; expected "
            f"{counted(channels, 'channel')} and at least {rows} x {columns}, the patches of the basis"
        )
    if bank.dilation != (1, 1):
        raise InputError(f"the layer {bank.layer} has dilation {bank.dilation}; expected (1, 1)")
    if initial is not None:
        start = load_filters(initial).ungrouped().weight
        if start.shape != weight.shape:
            raise InputError(f"initial filters have shape {start.shape}; expected {weight.shape}, as the filters")
        weight = weight - start
    profile = energy_profile(windows(weight, rows, columns), basis)
    return EnergyProfile(profile.energy, len(bank), bank.source, bank.layer, change=initial is not None)


def _chance(size: int, first: int, second: int) -> float:
    """95th percentile of the correlation of the profiles of two random banks, with so many filters each."""
    rng = np.random.default_rng(0)
    return percentile(agreement(*(gaussian_profiles(filters, (DRAWS, size), rng) for filters in (first, second))))


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where the same one occurs again."""
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]
