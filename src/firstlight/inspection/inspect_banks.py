"""`inspect`: from sources of filters and of images to what a first layer has learnt."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError, InputError
from firstlight.filters import load_filters
from firstlight.filters.bank import FilterBank
from firstlight.inspection.atlas import shipped_atlas, standing
from firstlight.inspection.doubt import random_likes, shuffled_likes
from firstlight.inspection.findings import explain
from firstlight.inspection.inspection import Inspection
from firstlight.inspection.known import Known
from firstlight.inspection.measures import effective_rank, filter_faults, filter_norms
from firstlight.inspection.not_inspected import Failure
from firstlight.inspection.theories import prepare, trajectory_for
from firstlight.inspection.window import window
from firstlight.patches.bank_statistics import PatchStatistics, channels_of
from firstlight.patches.given_statistics import ShippedStatistics
from firstlight.patches.statistics import patch_statistics
from firstlight.profile import energy_profile
from firstlight.theory.fit import fit_formula
from firstlight.theory.theory_fit import explained
from firstlight.utils.text import one_line
from firstlight.whitening.distance import whitening_distance


def inspect(
    source: Any,
    data: Any = None,
    *,
    layer: str | None = None,
    initial: Any = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fold_batch_norm: bool = False,
    data_dir: str | Path | None = None,
    atlas: Sequence[Known] | None = None,
    **options: Any,
) -> Inspection:
    """Measure what a network's first layer has learnt.

    Parameters
    ----------
    source : str, Path, torch.nn.Module, mapping, Tensor, ndarray or FilterBank
        As for `load_filters`.
    data : optional
        Whose patches to look at the filters with: by default CIFAR-10's, which come with the package; else as for
        `patch_statistics`: a data set's name, a folder of images, a file, an array, a torch Dataset.
    layer : str, optional
        The layer to take instead of the first.
    initial : optional
        The same layer at initialisation, as for `source`: the profile is then that of the change.
    mean, std : float or sequence of float, optional
        The normalisation that the network was trained with, in 0..1 for uint8 images. Default: that of the data.
    fold_batch_norm : bool
        Multiply the filters by the scale of the batch normalisation that follows.
    data_dir : str or Path, optional
        Folder of the cache.
    atlas : sequence of Known, optional
        Known networks among which the layer is placed, of `firstlight.inspection.atlas`; those of the package by
        default.
    **options
        Of `image_stream`, where images are read: channels, layout, resize, crop, strict, workers, progress.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError, SourceError
        Filters or data cannot be had or do not fit together.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> found = fl.inspect(np.random.default_rng(0).normal(size=(64, 3, 3, 3)))
    >>> found.findings[0].code
    'untrained'
    """
    bank = load_filters(source, layer)
    start = None if initial is None else load_filters(initial, layer)
    if fold_batch_norm:
        bank, start = bank.folded(), start and start.folded()
    statistics = patch_statistics(data, data_dir, **{"channels": channels_of([bank]), **options})
    prepare(statistics, [bank])
    return inspect_bank(bank, statistics, mean, std, start, atlas, data_dir)


def inspect_bank(
    bank: FilterBank,
    statistics: PatchStatistics,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    initial: FilterBank | None = None,
    atlas: Sequence[Known] | None = None,
    data_dir: str | Path | None = None,
) -> Inspection:
    """Measure a bank that is loaded already, in the patches of a data set; as `inspect` otherwise."""
    bank = replace(bank.ungrouped(), source=bank.source or "filters")
    basis = statistics.basis(bank, mean, std)
    profile = energy_profile(bank, basis, initial)
    start = None if initial is None else initial.ungrouped()
    weight = bank.weight if start is None else bank.weight - start.weight
    fit, unfitted, null, theories = None, "", None, None
    try:
        null = random_likes(weight, basis)
        fit = fit_formula(profile, basis)
        trajectory = partial(trajectory_for, bank, statistics, mean, std, data_dir)
        theories = explained(profile.energy, basis.variance, trajectory, filter_norms(weight), banks=null)
    except InputError as error:
        unfitted = str(error)
    found = Inspection(
        bank=bank,
        data=statistics.data,
        basis=basis,
        profile=profile,
        fit=fit,
        unfitted=unfitted,
        null=null,
        theories=theories,
        shuffled=shuffled_likes(weight, basis, profile.change),
        faults=filter_faults(bank.weight, basis),
        rank=effective_rank(weight),
        whitening=whitening_distance(profile.energy, basis.variance),
        window=window(bank.weight),
        frequency=basis.frequency,
        initial=start,
        window_of_change=None if start is None else window(weight),
    )
    if isinstance(statistics, ShippedStatistics) and mean is None and std is None:  # as the known networks were seen
        found = replace(found, standing=standing(found, shipped_atlas() if atlas is None else atlas))
    return replace(found, findings=explain(found))


def load_banks(
    sources: Sequence[str], layer: str | None = None, fold_batch_norm: bool = False
) -> list[FilterBank | Failure]:
    """The filters of several sources; one that cannot be had does not keep the others from being looked at."""
    found: list[FilterBank | Failure] = []
    for source in sources:
        try:
            bank = load_filters(source, layer)
            found.append(bank.folded() if fold_batch_norm else bank)
        except FirstlightError as error:
            found.append(Failure(source, one_line(error)))
    return found


def inspect_all(
    banks: Sequence[FilterBank | Failure],
    data: Any = None,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    initial: FilterBank | None = None,
    data_dir: str | Path | None = None,
    atlas: Sequence[Known] | None = None,
    **options: Any,
) -> list[Inspection | Failure]:
    """Inspect several banks in the patches of the same data, which are read once; parameters as of `inspect`."""
    loaded = [bank for bank in banks if isinstance(bank, FilterBank)]
    if not loaded:
        return [bank for bank in banks if isinstance(bank, Failure)]
    statistics = patch_statistics(data, data_dir, **{"channels": channels_of(loaded), **options})
    prepare(statistics, loaded)
    found: list[Inspection | Failure] = []
    for bank in banks:
        if isinstance(bank, Failure):
            found.append(bank)
            continue
        try:
            found.append(inspect_bank(bank, statistics, mean, std, initial, atlas, data_dir))
        except FirstlightError as error:
            found.append(Failure(bank.source, f"{bank.source}: {one_line(error)}"))
    return found
