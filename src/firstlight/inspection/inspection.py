"""Inspection: what a network's first layer has learnt, measured and put into words."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import FirstlightError, InputError, one_line
from firstlight.filters import load_filters
from firstlight.filters.bank import FilterBank
from firstlight.inspection.findings import explain
from firstlight.inspection.measures import FilterFaults, effective_rank, filter_faults, whitening_distance
from firstlight.inspection.statistics import PatchStatistics, patch_statistics
from firstlight.patches.basis import PatchBasis
from firstlight.patches.spectra import frequencies
from firstlight.profile import EnergyProfile, energy_profile
from firstlight.theory.fit import FormulaFit, fit_formula
from firstlight.theory.null import RandomBanks, random_banks, spread

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Inspection:
    """A first layer, measured.

    Attributes
    ----------
    bank : FilterBank
        The filters, as they are shown: after folding, where that was asked for.
    data : str
        Whose patches they are looked at with.
    basis : PatchBasis
    profile : EnergyProfile
        Of the filters, or of their change where the initial filters were given.
    fit : FormulaFit or None
        Eq. 3 at the tau that fits best; None where it cannot be fitted, for the reason in `unfitted`.
    unfitted : str
    null : RandomBanks or None
        What random banks of as many filters give; None where eq. 3 cannot be fitted to any bank.
    faults : FilterFaults
        Dead, duplicate and noisy filters.
    rank : float
        Effective rank of the bank, of at most min(K, D).
    whitening : float
        Distance from a whitening profile: 0 for one, 1 for equal energy in all components.
    frequency : ndarray, shape (D,)
        Mean spatial frequency of each component, cycles/pixel.
    initial : FilterBank or None
        The filters at initialisation, where they were given.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> found = fl.inspect(np.random.default_rng(0).normal(size=(64, 3, 3, 3)))
    >>> found.data, found.basis.size, found.faults.dead
    ('cifar10', 27, ())
    >>> f"{found.whitening:.2f} from whitening, effective rank {found.rank:.1f}"
    '1.01 from whitening, effective rank 25.3'
    """

    bank: FilterBank
    data: str
    basis: PatchBasis = field(repr=False)
    profile: EnergyProfile = field(repr=False)
    fit: FormulaFit | None = field(repr=False)
    unfitted: str = field(repr=False)
    null: RandomBanks | None = field(repr=False)
    faults: FilterFaults = field(repr=False)
    rank: float
    whitening: float
    frequency: np.ndarray = field(repr=False)
    initial: FilterBank | None = field(repr=False, default=None)

    @property
    def source(self) -> str:
        """What was inspected."""
        return self.bank.source

    @property
    def spread(self) -> float:
        """Standard deviation of the profile over its mean: 0 for a flat one; random banks have `null.spreads`."""
        return spread(self.profile.energy)

    @property
    def findings(self) -> list[str]:
        """What the numbers mean, in plain sentences, the most important first."""
        return explain(self)

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types, as `firstlight inspect --json` writes it: `schema.json` here describes it."""
        bank, peak = self.bank, self.profile.peak
        return {
            "source": self.source,
            "layer": bank.layer,
            "shape": list(bank.weight.shape),
            "kernel_size": list(bank.weight.shape[2:]),
            "stride": bank.stride and list(bank.stride),
            "dtype": bank.dtype,
            "batch_norm": bank.batch_norm,
            "alternatives": list(bank.alternatives),
            "notes": list(bank.notes),
            "data": self.data,
            "mean": list(self.basis.mean),
            "std": list(self.basis.std),
            "change": self.profile.change,
            "variance": self.basis.variance.tolist(),
            "frequency": self.frequency.tolist(),
            "energy": self.profile.energy.tolist(),
            "peak": {"component": peak + 1, "frequency": float(self.frequency[peak])},
            "fit": self.fit and self.fit.to_dict(),
            "random_banks": self.null and self.null.to_dict(),
            "spread": self.spread,
            "whitening_distance": self.whitening if np.isfinite(self.whitening) else None,
            "effective_rank": self.rank,
            "filters": {
                "dead": list(self.faults.dead),
                "duplicates": [list(group) for group in self.faults.duplicates],
                "noise": list(self.faults.noise),
            },
            "findings": self.findings,
            "error": None,
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: source, layer, number from 1, variance, frequency, energy and what eq. 3 predicts."""
        import pandas as pd

        size = self.basis.size
        return pd.DataFrame(
            {
                "source": [self.source] * size,
                "layer": [self.bank.layer] * size,
                "component": np.arange(1, size + 1),
                "variance": self.basis.variance,
                "frequency": self.frequency,
                "energy": self.profile.energy,
                "normalized": self.profile.normalized,
                "prediction": np.full(size, np.nan) if self.fit is None else self.fit.prediction,
            }
        )

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot the profile, and eq. 3 where it was fitted, relative to the peak; returns the figure and its axes."""
        return self.profile.plot(ax) if self.fit is None else self.fit.plot(ax)


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
    **options: Any,
) -> Inspection:
    """Measure what a network's first layer has learnt.

    Parameters
    ----------
    source : str, Path, torch.nn.Module, ndarray or FilterBank
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
    **options
        Of `image_stream`, where images are read: resize, crop, strict, workers, progress.

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
    >>> found.findings[0].partition(":")[0]
    'looks untrained'
    """
    bank = load_filters(source, layer)
    start = None if initial is None else load_filters(initial, layer)
    if fold_batch_norm:
        bank, start = bank.folded(), start and start.folded()
    statistics = patch_statistics(data, data_dir, channels=1 if bank.weight.shape[1] == 1 else 3, **options)
    return inspect_bank(bank, statistics, mean, std, start)


def inspect_bank(
    bank: FilterBank,
    statistics: PatchStatistics,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    initial: FilterBank | None = None,
) -> Inspection:
    """Measure a bank that is loaded already, in the patches of a data set; as `inspect` otherwise."""
    bank = replace(bank.ungrouped(), source=bank.source or "filters")
    basis = statistics.basis(bank, mean, std)
    profile = energy_profile(bank, basis, initial)
    start = None if initial is None else initial.ungrouped()
    weight = bank.weight if start is None else bank.weight - start.weight
    fit, unfitted, null = None, "", None
    try:
        null = random_banks(basis.variance, len(bank))
        fit = fit_formula(profile, basis)
    except InputError as error:
        unfitted = str(error)
    return Inspection(
        bank=bank,
        data=statistics.data,
        basis=basis,
        profile=profile,
        fit=fit,
        unfitted=unfitted,
        null=null,
        faults=filter_faults(weight, basis),
        rank=effective_rank(weight),
        whitening=whitening_distance(profile.energy, basis.variance),
        frequency=frequencies(basis.images),
        initial=start,
    )


@dataclass(frozen=True)
class Failure:
    """A source that could not be inspected, and why.

    Attributes
    ----------
    source, error : str
    """

    source: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The fields of `Inspection.to_dict`, empty but for the source and the error, which is the one finding."""
        empty: dict[str, Any] = dict.fromkeys(_FIELDS)
        lists = {name: [] for name in ("alternatives", "notes", "variance", "frequency", "energy")}
        return {**empty, **lists, "source": self.source, "findings": [self.error], "error": self.error}


_FIELDS = (
    *("source", "layer", "shape", "kernel_size", "stride", "dtype", "batch_norm", "alternatives", "notes", "data"),
    *("mean", "std", "change", "variance", "frequency", "energy", "peak", "fit", "random_banks", "spread"),
    *("whitening_distance", "effective_rank", "filters", "findings", "error"),
)


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
    **options: Any,
) -> list[Inspection | Failure]:
    """Inspect several banks in the patches of the same data, which are read once; parameters as of `inspect`."""
    loaded = [bank for bank in banks if isinstance(bank, FilterBank)]
    if not loaded:
        return [bank for bank in banks if isinstance(bank, Failure)]
    gray = all(bank.ungrouped().weight.shape[1] == 1 for bank in loaded)
    statistics = patch_statistics(data, data_dir, channels=1 if gray else 3, **options)
    statistics.prepare(loaded)
    found: list[Inspection | Failure] = []
    for bank in banks:
        if isinstance(bank, Failure):
            found.append(bank)
            continue
        try:
            found.append(inspect_bank(bank, statistics, mean, std, initial))
        except FirstlightError as error:
            found.append(Failure(bank.source, f"{bank.source}: {one_line(error)}"))
    return found
