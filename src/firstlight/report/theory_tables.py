"""`firstlight theory` in the terminal and as a figure: eq. 3 at several numbers of steps."""

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from firstlight.figures.profiles import plot_over_time
from firstlight.report.terminal import BARS, bars, plain_table
from firstlight.utils.text import plural, size_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from firstlight.theory.over_time import FormulaOverTime

_NUMBERS = 47  # columns that the numbers take
_LEAST_BARS = 20


def theory_lines(found: "FormulaOverTime", name: str) -> list[str]:
    """Of which patches, and what gradient descent does with them."""
    basis = found.basis
    return [
        f"{name}: {basis.count:,} patches of {size_text(basis.shape)}, lr {found.lr:g}",
        f"lr × λ² of the first component is {found.lr * basis.variance[0]:.4g}: gradient descent is {found.descent}",
    ]


def theory_table(found: "FormulaOverTime", width: int) -> Table:
    """A row a number of steps, in so many columns: time, peak, what the profile is like, and its bars."""
    table = plain_table(pad_edge=False)
    for header in ("steps", "τ", "peak at", "r with λ", "with 1/λ"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("energy profile", overflow="fold")
    limits = zip(found.with_lambda, found.with_whitening, strict=True)
    for step, tau, energy, correlations in zip(found.steps, found.tau, found.energy, limits, strict=True):
        table.add_row(
            f"{step:,.0f}",
            f"{tau:.4g}",
            str(int(np.argmax(energy)) + 1) if energy.max() > 0 else "-",
            *("-" if np.isnan(r) else f"{r:.3f}" for r in correlations),
            bars(energy, max(_LEAST_BARS, min(BARS, width - _NUMBERS))),
        )
    return table


def theory_figure(found: "FormulaOverTime") -> "Figure":
    """The profiles on one log axis; at step 0 there is nothing to see."""
    moved = found.energy.max(axis=1) > 0
    times = zip(found.steps[moved], found.tau[moved], strict=True)
    labels = [f"{step:,.0f} {plural(step, 'step')}, τ = {tau:.3g}" for step, tau in times]
    return plot_over_time(found.energy[moved], labels)
