"""Eq. 3 and composition beside each other: both fitted to a layer, and one sentence that says which describes it."""

from collections.abc import Sequence
from pathlib import Path

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.inspection.finding import Finding
from firstlight.patches.bank_statistics import PatchStatistics, zeros
from firstlight.theory.explanation import Explanation
from firstlight.theory.kept_trajectories import LAST, trajectory_of
from firstlight.theory.theory_fit import TheoryFit, stride_of
from firstlight.theory.trajectory import Trajectory, seconds_for, window_sides

# What composition may take, once for each data set: kernels of 3 x 3, with either stride.
MOST_SECONDS = 4.0
# Correlations that differ by less are about equal; more than that may still be no more than the components scatter.
_ALIKE = 0.05
_UNTOLD = "; which is better the components do not tell"


def trajectory_for(
    bank: FilterBank,
    statistics: PatchStatistics,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
) -> Trajectory:
    """Composition's over time for the kernels of a bank; InputError where there is none, or none soon."""
    return trajectory_of(bank, statistics, stride_of(bank), mean, std, data_dir, MOST_SECONDS)


def prepare(statistics: PatchStatistics, banks: Sequence[FilterBank]) -> None:
    """Read images once for the patches of all banks, and for the windows that composition needs."""
    try:
        statistics.prepare([*banks, *filter(None, map(_window, banks))])
    except InputError:  # of images smaller than windows
        statistics.prepare(banks)


def _window(bank: FilterBank) -> FilterBank | None:
    """What stands for the shape of a window; None where composition is not computed."""
    _, channels, side, _ = bank.ungrouped().weight.shape
    try:
        sizes, stride = (side, side, 1, 1), stride_of(bank)
        wide, _ = window_sides(sizes, stride, channels)
        return zeros(channels, wide) if seconds_for(channels, sizes, stride, LAST) <= MOST_SECONDS else None
    except InputError:
        return None


def regime(found: TheoryFit) -> Finding | None:
    """Which theory describes the layer, where both could be fitted."""
    one, other, (low, high) = found.eq3, found.composition, found.interval
    if one is None or other is None:
        return None
    numbers = f"r = {other.correlation:.2f} for composition, {one.correlation:.2f} for eq. 3"
    sure = f"{numbers} (difference {found.difference:+.2f}, 95% interval {low:+.2f} to {high:+.2f})"
    if found.better == "neither":
        chance = f"by chance below {other.chance:.2f} and {one.chance:.2f}"
        return Finding("regime", f"neither eq. 3 nor composition describes it: {numbers}; {chance}")
    if found.better == "composition":
        said = "composition describes it better than eq. 3"
    elif found.better == "eq3":
        said = "eq. 3 describes it better than composition"
    elif one.beyond_chance and other.beyond_chance:
        alike = abs(found.difference) < _ALIKE
        said = f"eq. 3 and composition describe it{' about equally' if alike else _UNTOLD}"
    elif other.beyond_chance:
        said = f"composition describes it, eq. 3 not beyond chance{_UNTOLD}"
    else:
        said = f"eq. 3 describes it, composition not beyond chance{_UNTOLD}"
    return Finding("regime", f"{said}: {sure}")


def theory_rows(found: TheoryFit) -> list[tuple[str, str, str, str]]:
    """A table of both: name, eq. 3, composition, and how to read it; the first row has the headings."""
    one, other = found.eq3, found.composition
    assert one is not None

    def row(name: str, show: str, value: str, how: str) -> tuple[str, str, str, str]:
        shown = ["-" if fit is None else f"{getattr(fit, value):{show}}" for fit in (one, other)]
        return name, shown[0], shown[1], how

    return [
        ("theory", "eq. 3", "composition", ""),
        row("r", ".3f", "correlation", "with the profile, t being fitted"),
        row("by chance", ".2f", "chance", "95% of random banks, shuffled profiles below"),
        row("R²", ".2f", "log_r2", "of log energy"),
        row("t", ".4g", "t", "of eq. 3 lr × steps, on normalised pixels"),
    ]


def in_short(fit: Explanation) -> str:
    """One theory in one line."""
    return (
        f"r {fit.correlation:.3f} (by chance below {fit.chance:.2f}), R² {fit.log_r2:.2f} of log energy, t {fit.t:.4g}"
    )
