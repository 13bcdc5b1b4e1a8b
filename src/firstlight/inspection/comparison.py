"""Comparison: how alike the energy profiles of several first layers are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.filters.bank import FilterBank
from firstlight.inspection.doubt import Doubt
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.theory.null import RandomBanks
from firstlight.theory.theory_fit import TheoryFit
from firstlight.utils.text import listed, plural, printable, size_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMED = 30  # banks, in a notebook's figure
_LONGEST = 32  # characters of a name in a figure
_CAVEATS: dict[Doubt, str] = {"untrained": "untrained", "grey-input": "sees grey"}  # zeros have no correlation
_NUMBERED, _NAMED_TWICE = 8, 12  # banks whose correlations are in the heat map, and whose names are below it, too


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
    nulls : tuple of RandomBanks or None
        As of `Inspection.null`, of each.
    doubts : tuple of str or None
        Of each bank that is not said to have learnt, the code of the finding of `inspect` that says why: "untrained",
        "grey-input", "all-zero" or "not-moved".
    theories : tuple of TheoryFit or None
        Eq. 3 and composition, of each; None where eq. 3 cannot be fitted, and of kernels larger than the patches.

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
    nulls: tuple[RandomBanks | None, ...] = field(repr=False)
    doubts: tuple[Doubt | None, ...]
    theories: tuple[TheoryFit | None, ...] = field(repr=False)

    def __repr__(self) -> str:
        labels = listed([printable(label) for label in self.labels], 4, ", ")
        return f"Comparison({labels}: {self._range}; random banks stay below {self.chance:.2f})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        rows = [
            ("compared", listed(self.labels, 12, ", ")),
            ("correlations", self._range),
            ("random banks", f"95% of pairs stay below {self.chance:.2f}"),
            ("components", f"{self.basis.size}, of {size_text(self.basis.shape)}"),
        ]
        rows += self.caveats
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
        pairs = self.pairs
        return f"{pairs[-1][0]:.3f} to {pairs[0][0]:.3f}" if pairs else "not defined"

    @property
    def pairs(self) -> list[tuple[float, int, int]]:
        """Correlation and places of every two banks for which it is defined, the most alike first."""
        places = zip(*np.triu_indices(len(self.labels), 1), strict=True)
        found = [(float(self.correlations[a, b]), int(a), int(b)) for a, b in places]
        return sorted((pair for pair in found if np.isfinite(pair[0])), key=lambda pair: -pair[0])

    def is_beyond_chance(self, one: int, other: int) -> bool | None:
        """Whether two banks are more alike than random ones.

        Parameters
        ----------
        one, other : int
            Their places in `banks`.

        Returns
        -------
        bool or None
            None where one is not said to have learnt, so that it says nothing: random filters of other values, such as
            positive ones, are alike, too.
        """
        if not self.correlations[one, other] > self.chance:
            return False
        return None if self.doubts[one] or self.doubts[other] else True

    @property
    def caveats(self) -> list[tuple[str, str]]:
        """Why banks are not said to have learnt, in a word, and which they are."""
        found = []
        for doubt, word in _CAVEATS.items():
            names = [label for label, has in zip(self.labels, self.doubts, strict=True) if has == doubt]
            if names:
                shares = plural(len(names), "it shares", "they share")
                found.append((word, f"{listed(names, 4, ', ')}: what {shares} need not be learnt"))
        return found

    @property
    def described(self) -> str:
        """How well both theories describe the networks: lowest and highest r; empty where neither was fitted to any."""
        said = []
        for name in ("eq3", "composition"):
            fits = [fit for one in self.theories if one and (fit := getattr(one, name))]
            r = sorted(fit.correlation for fit in fits)
            span = f"{r[0]:.2f} to {r[-1]:.2f}" if len(r) > 1 else "".join(f"{one:.2f}" for one in r)
            said += [f"{'eq. 3' if name == 'eq3' else name} r = {span}"] if r else []
        return "; ".join(said)

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
            "doubts": list(self.doubts),
            "theories": [
                fit and {**fit.to_dict(), **({"better": ""} if doubt else {})}
                for fit, doubt in zip(self.theories, self.doubts, strict=True)
            ],
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

        labels = pd.Index(self.labels, dtype=object)  # which need not be UTF-8, as Arrow's text must
        return pd.DataFrame(self.correlations, index=labels, columns=labels)

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """The correlations as a heat map; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new, literal, new_figure
        from firstlight.figures.colours import ON_DARK, ON_LIGHT

        count, many = len(self.labels), len(self.labels) > _NAMED_TWICE
        names = [literal(label) for label in _short(self.labels)]
        if ax is None:
            room = 1 + 0.065 * max(map(len, names))  # for names and colour bar
            width = min(0.45 * count, 4.7 - room)
            ax = new_figure(width=room + width, height=1 + 0.15 * count if many else room + width)[1][0]
        fig, ax = axes_or_new(ax)
        picture = ax.imshow(self.correlations, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto" if many else "equal")
        places = range(count)
        if many:
            ax.set_xticks([])
            ax.set_xlabel("in the same order")
        else:
            ax.set_xticks(places, names, fontsize=8, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(places, names, fontsize=8)
        if count <= _NUMBERED:
            for (row, column), r in np.ndenumerate(self.correlations):
                colour = ON_DARK if abs(r) > 0.6 else ON_LIGHT if np.isfinite(r) else None  # where no cell is drawn
                number = f"{r:.2f}" if np.isfinite(r) else "-"
                ax.text(column, row, number, ha="center", va="center", fontsize=8, color=colour)
        fig.colorbar(picture, ax=ax, label="correlation of energy profiles", location="top", aspect=40)
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
        from firstlight.figures.axes import axes_or_new, legend, legend_beside, literal, new_figure
        from firstlight.figures.colours import SERIES
        from firstlight.figures.profiles import component_axis

        own = ax is None
        if ax is None:  # as high as the legend
            ax = new_figure(width=7.5, height=max(3.6, 0.6 + 0.19 * len(self.labels)))[1][0]
        fig, ax = axes_or_new(ax)
        numbers = np.arange(1, self.basis.size + 1)
        for index, (label, profile) in enumerate(zip(_short(self.labels), self.profiles, strict=True)):
            colour, marker, line = SERIES[index % len(SERIES)]
            ax.plot(numbers, profile.normalized, color=colour, marker=marker, ls=line, ms=4, label=literal(label))
        component_axis(ax, self.basis.size)
        ax.set_ylim(bottom=0)
        ax.set_ylabel("energy / peak energy")
        if own:
            legend_beside(fig)
        else:
            legend(ax, loc="center left", bbox_to_anchor=(1, 0.5))
        return fig, ax


def _short(labels: Sequence[str]) -> list[str]:
    """The labels for a figure: of paths the last part, where that still tells them apart, and the end of long ones."""
    labels = [printable(label) for label in labels]
    ends = [label.rstrip("/").rpartition("/")[2] for label in labels]
    names = ends if len(set(ends)) == len(ends) else labels
    return [name if len(name) <= _LONGEST else f"…{name[-_LONGEST:]}" for name in names]
