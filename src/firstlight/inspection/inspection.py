"""Inspection: what a network's first layer has learnt, measured and put into words."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.filters.bank import FilterBank
from firstlight.inspection.doubt import Doubt, doubt
from firstlight.inspection.finding import Finding
from firstlight.inspection.measures import FilterFaults
from firstlight.inspection.theories import in_short, theory_rows
from firstlight.inspection.window import Window, no_window
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.theory.formula_fit import FormulaFit
from firstlight.theory.null import RandomBanks, percentile, spread
from firstlight.theory.theory_fit import TheoryFit
from firstlight.utils.text import counted, named, printable, size_text, spaced

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from firstlight.inspection.known import Standing


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
    theories : TheoryFit or None
        Eq. 3 and composition, each beside chance; None where eq. 3 cannot be fitted.
    shuffled : float or None
        Share of random orders of each filter's own weights that make the profile as uneven, over the filter or within
        its channels; None without energy.
    faults : FilterFaults
        Dead and duplicate filters.
    rank : float
        Effective rank of the bank, of at most min(K, D).
    whitening : float
        Distance from a whitening profile: 0 for one, 1 for equal energy in all components.
    window : Window or None
        How the squared weights are shared out over the taps; None where kernels have no centre, or one tap only.
    frequency : ndarray, shape (D,)
        Mean spatial frequency of each component, cycles/pixel.
    initial : FilterBank or None
        The filters at initialisation, where they were given.
    window_of_change : Window or None
        Of what was added since then.
    standing : Standing or None
        Where the layer stands among known networks; None where it was looked at with other patches than they, or too
        few of its kernel size are known.
    findings : list of Finding
        What the numbers mean, the most important first.

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
    theories: TheoryFit | None = field(repr=False)
    shuffled: float | None = field(repr=False)
    faults: FilterFaults = field(repr=False)
    rank: float
    whitening: float
    window: Window | None = field(repr=False)
    frequency: np.ndarray = field(repr=False)
    initial: FilterBank | None = field(repr=False, default=None)
    window_of_change: Window | None = field(repr=False, default=None)
    standing: "Standing | None" = field(repr=False, default=None)
    findings: list[Finding] = field(repr=False, default_factory=list)

    def __repr__(self) -> str:
        fit = self.unfitted if self.fit is None else f"tau {self.fit.tau:.4g}, correlation {self.fit.correlation:.3f}"
        said = self.findings[0].text.partition(":")[0] if self.findings else ""
        name = named(self.source, self.bank.layer) or "filters"
        filters = f"{counted(len(self.bank), 'filter')} of {size_text(self.bank.weight.shape[1:])}"
        return f"Inspection({name}: {filters}, patches of {printable(self.data)}; eq. 3: {fit}; {said})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        rows = [("findings", "\n".join(map(str, self.findings))), *self.rows]
        title = f"First layer of {self.source or 'filters'}"
        return card(title, rows, self.plot, f"Energy profile of the {self.shown}, and eq. 3")

    @property
    def source(self) -> str:
        """What was inspected."""
        return self.bank.source

    @property
    def spread(self) -> float:
        """Standard deviation of the profile over its mean: 0 for a flat one; random banks have `null.spreads`."""
        return spread(self.profile.energy)

    @property
    def doubt(self) -> Doubt | None:
        """The code of the finding that keeps the layer from being said to have learnt; None where none does."""
        return doubt(self.bank, self.profile, self.null, self.shuffled)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What is said of the layer: names of measures and their values, each with how to read it."""
        measures = [(name, f"{value} ({how})" if how else value) for name, value, how in self.measures]
        if self.theories and self.theories.eq3:
            other = self.theories.composition
            measures.append(("eq. 3", in_short(self.theories.eq3)))
            measures.append(("composition", in_short(other) if other else self.theories.refusal))
        return [*self.about, *measures]

    @property
    def theory_rows(self) -> list[tuple[str, str, str, str]]:
        """Both theories side by side: name, eq. 3, composition, how to read it; empty where eq. 3 cannot be fitted."""
        return theory_rows(self.theories) if self.theories else []

    @property
    def about(self) -> list[tuple[str, str]]:
        """What was looked at, and with which patches."""
        bank, basis = self.bank, self.basis
        count, *shape = bank.weight.shape
        stride = "" if bank.stride in (None, (1, 1)) else f", stride {_pair(bank.stride)}"
        stored = f", {bank.dtype}" if bank.dtype else ""
        return [
            ("layer", f"{bank.layer or '-'}: {counted(count, 'filter')} of {size_text(shape)}{stride}{stored}"),
            ("patches", f"{self.data}, mean {spaced(basis.mean)}, std {spaced(basis.std)}"),
        ]

    @property
    def measures(self) -> list[tuple[str, str, str]]:
        """The numbers: name, value, and how to read it."""
        faults, peak, size = self.faults, self.profile.peak, self.basis.size
        copies = sum(len(group) - 1 for group in faults.duplicates)
        found = f"{len(faults.dead)} dead, {copies} duplicate"
        number, frequency = str(peak + 1), f", {self.frequency[peak]:.2f} cycles/pixel"
        if self.profile.energy[peak] == 0:
            number, frequency = "-", ""
        whitening = f"{self.whitening:.2f}" if math.isfinite(self.whitening) else "-"
        return [
            ("peak", number, f"of {counted(size, 'component')}{frequency}"),
            *([("eq. 3", "-", self.unfitted)] if self.fit is None else []),
            ("unevenness", f"{self.spread:.2f}", f"{self._random_spreads()}std/mean, 0 is flat"),
            ("whitening", whitening, "distance from it: 0 is whitened, 1 is equal energy"),
            ("window", *self._window_measure()),
            ("rank", f"{self.rank:.1f}", f"of {min(len(self.bank), size)}, effective"),
            ("filters", str(len(self.bank)), f"{found}; counted from 0"),
        ]

    def _window_measure(self) -> tuple[str, str]:
        own, change = self.window, self.window_of_change
        if own is None:
            return "-", no_window(self.bank.weight.shape[2:]) or "no weights"
        added = f"; of the change {change.to_corner:.2f}, p {change.p_value:.2g}" if change else ""
        return f"{own.to_corner:.2f}", f"centre over corners, p {own.p_value:.2g}; over edges {own.to_edge:.2f}{added}"

    def _random_spreads(self) -> str:
        """What random banks have of unevenness."""
        if self.null is None:
            return ""
        values = self.null.spreads
        return f"random banks: {values.mean():.2f} (95% below {percentile(values):.2f}); "

    @property
    def shown(self) -> str:
        """What the profile is of."""
        return "change since the initialisation" if self.profile.change else "filters"

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
            "theories": self.theories and {**self.theories.to_dict(), **({"better": ""} if self.doubt else {})},
            "spread": self.spread,
            "shuffled_share": self.shuffled,
            "whitening_distance": self.whitening if np.isfinite(self.whitening) else None,
            "effective_rank": self.rank,
            "window": self.window
            and {**self.window.to_dict(), "change": self.window_of_change and self.window_of_change.to_dict()},
            "filters": {
                "dead": list(self.faults.dead),
                "duplicates": [list(group) for group in self.faults.duplicates],
            },
            "standing": self.standing and self.standing.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
            "error": None,
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: source, layer, number from 1, variance, frequency, energy and what eq. 3 predicts."""
        import pandas as pd

        size = self.basis.size
        return pd.DataFrame(
            {
                "source": [printable(self.source)] * size,
                "layer": [printable(self.bank.layer)] * size,
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


def _pair(pair: "tuple[int, int] | None") -> str:
    return "unknown" if pair is None else str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"
