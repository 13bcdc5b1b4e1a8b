"""Comparison: how alike the energy profiles of several first layers are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import basis_for
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.theory.null import agreement, gaussian_profiles, percentile
from firstlight.utils.text import by, listed, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Random pairs of banks for the null distribution.
DRAWS = 1000
_NAMED = 30  # banks, in a notebook's figure
_LONGEST = 32  # characters of a name in a figure


@dataclass(frozen=True, eq=False)
class Comparison:
    """Correlations of the energy profiles of several banks.

    Attributes
    ----------
    labels : tuple of str
        One a bank.
    correlations : ndarray, shape (N, N), float64
        Pearson correlation of each pair of profiles; 1 on the diagonal. NaN with a profile that is constant.
    profiles : tuple of EnergyProfile
        All in the same components.
    basis : PatchBasis
        Those components.
    sizes : tuple of tuple of int
        Kernel size of each bank.
    chance : float
        95th percentile of the correlation of two random banks with as few filters as the two smallest here.
    banks : tuple of FilterBank
        What was compared.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> a, b = np.random.default_rng(0).normal(size=(2, 16, 3, 3, 3))
    >>> fl.compare([a, b], "cifar10", labels=["a", "b"]).to_frame().round(2).loc["a", "a"]
    np.float64(1.0)
    """

    labels: tuple[str, ...]
    correlations: np.ndarray = field(repr=False)
    profiles: tuple[EnergyProfile, ...] = field(repr=False)
    basis: PatchBasis = field(repr=False)
    sizes: tuple[tuple[int, int], ...]
    chance: float
    banks: tuple[FilterBank, ...] = field(repr=False)

    def __repr__(self) -> str:
        labels = listed([printable(label) for label in self.labels], 4, ", ")
        return f"Comparison({labels}: {self._range}; random banks stay below {self.chance:.2f})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        rows = [
            ("compared", listed(self.labels, 12, ", ")),
            ("correlations", self._range),
            ("random banks", f"95% of pairs stay below {self.chance:.2f}"),
            ("components", f"{self.basis.size}, of {by(self.basis.shape)}"),
        ]
        if self.note:
            rows.append(("note", self.note))
        title = f"Correlation of the energy profiles of {len(self.labels)} first layers"
        return card(title, rows, self._plot_small, "Correlation of each pair of energy profiles")

    def _plot_small(self) -> "tuple[Figure, Axes]":
        """The heat map; of many banks without their names, for which it has no room."""
        from firstlight.figures.axes import new_figure

        if len(self.labels) <= _NAMED:
            return self.plot()
        fig, ax = self.plot(new_figure(width=5.0, height=4.0)[1][0])
        ax.set(xticks=[], yticks=[])
        return fig, ax

    @property
    def _range(self) -> str:
        """Lowest and highest correlation of two banks."""
        pairs = self.correlations[np.triu_indices(len(self.labels), 1)]
        known = pairs[np.isfinite(pairs)]
        return f"{known.min():.3f} to {known.max():.3f}" if len(known) else "not defined"

    @property
    def note(self) -> str:
        """How kernels of different size were compared; empty where all are alike."""
        if len(set(self.sizes)) == 1:
            return ""
        rows, columns = self.basis.shape[1:]
        sizes = ", ".join(f"{down} x {across}" for down, across in sorted(set(self.sizes)))
        return (
            f"kernels differ in size ({sizes}): larger ones are compared at matching spatial frequency, by their "
            f"energy in the components of {rows} x {columns} patches, over all windows of that size inside each filter"
        )

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types; NaN is None."""
        return {
            "labels": list(self.labels),
            "correlations": [[float(r) if np.isfinite(r) else None for r in row] for row in self.correlations],
            "chance": self.chance,
            "kernel_sizes": [list(size) for size in self.sizes],
            "compared_in": list(self.basis.shape),
            "note": self.note,
            "mean": list(self.basis.mean),
            "std": list(self.basis.std),
            "variance": self.basis.variance.tolist(),
            "profiles": [profile.energy.tolist() for profile in self.profiles],
        }

    def to_frame(self) -> "pd.DataFrame":
        """The correlation matrix, labelled."""
        import pandas as pd

        return pd.DataFrame(self.correlations, index=list(self.labels), columns=list(self.labels))

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """The correlations as a heat map; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new, literal, new_figure

        if ax is None:
            side = 2.5 + 0.45 * len(self.labels)
            ax = new_figure(width=side + 1.5, height=side)[1][0]
        fig, ax = axes_or_new(ax)
        names = [literal(label) for label in _short(self.labels)]
        picture = ax.imshow(self.correlations, vmin=-1, vmax=1, cmap="RdBu_r")
        places = range(len(self.labels))
        ax.set_xticks(places, names, rotation=45, ha="right", fontsize=8)
        ax.set_yticks(places, names, fontsize=8)
        if len(self.labels) <= 12:
            for (row, column), r in np.ndenumerate(self.correlations):
                colour = "white" if abs(r) > 0.6 else "black"
                ax.text(column, row, f"{r:.2f}", ha="center", va="center", fontsize=8, color=colour)
        fig.colorbar(picture, ax=ax, label="correlation of energy profiles", shrink=0.8)
        return fig, ax

    def plot_profiles(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """All profiles on one axis, each relative to its peak.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        Figure, Axes
        """
        from firstlight.figures.axes import axes_or_new, literal, new_figure
        from firstlight.figures.colours import SERIES
        from firstlight.figures.profiles import component_axis

        if ax is None:  # as high as the legend
            ax = new_figure(width=7.5, height=max(3.6, 0.18 * len(self.labels)))[1][0]
        fig, ax = axes_or_new(ax)
        numbers = np.arange(1, self.basis.size + 1)
        for index, (label, profile) in enumerate(zip(_short(self.labels), self.profiles, strict=True)):
            colour, marker, line = SERIES[index % len(SERIES)]
            ax.plot(numbers, profile.normalized, color=colour, marker=marker, ls=line, ms=4, label=literal(label))
        component_axis(ax, self.basis.size)
        ax.set_ylim(bottom=0)
        ax.set_ylabel("energy / peak energy")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return fig, ax


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
    if isinstance(banks, str | Path | FilterBank):
        raise InputError(f"compare was given {banks!r}; expected a list of at least 2 networks, such as [A, B]")
    loaded = [load_filters(bank, None if isinstance(bank, FilterBank) else layer) for bank in banks]
    found = [(bank.folded() if fold_batch_norm else bank).ungrouped() for bank in loaded]
    if len(found) < 2:
        raise InputError(f"compare was given {len(found)} filter bank; expected at least 2")
    starts = list(initial) if initial is not None else [None] * len(found)
    names = list(labels) if labels is not None else _distinct([bank.source or "filters" for bank in found])
    if len(starts) != len(found) or len(names) != len(found):
        raise InputError(
            f"initial or labels have {len(starts)} and {len(names)} entries; expected {len(found)}, as banks"
        )
    basis = basis_for(_smallest(found), data, mean, std, data_dir, **options)
    profiles = [_profile(bank, basis, start) for bank, start in zip(found, starts, strict=True)]
    size = len(found)
    matrix = np.eye(size)
    for i in range(size):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = _correlation(profiles[i], profiles[j])
    few = sorted(len(bank) for bank in found)[:2]
    return Comparison(
        labels=tuple(names),
        correlations=matrix,
        profiles=tuple(profiles),
        basis=basis,
        sizes=tuple((bank.weight.shape[2], bank.weight.shape[3]) for bank in found),
        chance=_chance(basis.size, few[0], few[1]),
        banks=tuple(found),
    )


def _smallest(banks: Sequence[FilterBank]) -> FilterBank:
    """A bank that stands for the shape of the smallest kernel: the patches that all filters can be looked at with."""
    rows, columns = (min(bank.weight.shape[axis] for bank in banks) for axis in (2, 3))
    dilations = {bank.dilation for bank in banks}
    return FilterBank(
        np.zeros((1, banks[0].weight.shape[1], rows, columns)),
        dilation=dilations.pop() if len(dilations) == 1 else (1, 1),
    )


def _profile(bank: FilterBank, basis: PatchBasis, initial: FilterBank | np.ndarray | None) -> EnergyProfile:
    """The profile in the basis, of every window of its size inside the filters where they are larger."""
    weight, (channels, rows, columns) = bank.weight, basis.shape
    if weight.shape[1:] == basis.shape:
        return energy_profile(bank, basis, initial)
    if weight.shape[1] != channels or weight.shape[2] < rows or weight.shape[3] < columns:
        raise InputError(
            f"{bank.source or 'a bank'} has filters of {by(weight.shape[1:])}; expected {channels} "
            f"channels and at least {rows} x {columns}, the patches of the basis"
        )
    if bank.dilation != (1, 1):
        raise InputError(f"the layer {bank.layer} has dilation {bank.dilation}; expected (1, 1)")
    if initial is not None:
        start = load_filters(initial).ungrouped().weight
        if start.shape != weight.shape:
            raise InputError(f"initial filters have shape {start.shape}; expected {weight.shape}, as the filters")
        weight = weight - start
    windows = np.lib.stride_tricks.sliding_window_view(weight, (rows, columns), axis=(2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels, rows, columns)
    profile = energy_profile(patches, basis)
    return EnergyProfile(profile.energy, len(bank), bank.source, bank.layer, change=initial is not None)


def _correlation(a: EnergyProfile, b: EnergyProfile) -> float:
    try:
        return correlation(a.energy, b.energy)
    except InputError:  # a constant profile, such as that of a dead layer, correlates with nothing
        return float("nan")


def _chance(size: int, first: int, second: int) -> float:
    """95th percentile of the correlation of the profiles of two random banks, with so many filters each."""
    rng = np.random.default_rng(0)
    return percentile(agreement(*(gaussian_profiles(filters, (DRAWS, size), rng) for filters in (first, second))))


def _short(labels: Sequence[str]) -> list[str]:
    """The labels for a figure: of paths the last part, where that still tells them apart, and the end of long ones."""
    labels = [printable(label) for label in labels]
    ends = [label.rstrip("/").rpartition("/")[2] for label in labels]
    names = ends if len(set(ends)) == len(ends) else labels
    return [name if len(name) <= _LONGEST else f"…{name[-_LONGEST:]}" for name in names]


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where the same one occurs again."""
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]
