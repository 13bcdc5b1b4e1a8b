"""Profiles of networks side by side, as a table and drawn, and what develops over their steps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.agreement import Measured
from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import stacked
from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import REFERENCE
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.profile import energy_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A network, and the recorded step at which it is shown.
At = tuple[Measured, int]
COLUMNS = ("network", "seed", "step", "component", "normalized", "deviation")


def profile_table(shown: Iterable[At]) -> pd.DataFrame:
    """A row a run and component: energy of w(t) - w(0) relative to its peak, and λ."""
    tables = [
        pd.DataFrame(
            {"component": range(1, len(profile) + 1), "normalized": profile, "deviation": group.deviation}
        ).assign(network=group.name, seed=run.spec.seed, step=step)
        for group, step in shown
        for run, profile in zip(group.trained.runs, group.normalized(step), strict=True)
    ]
    return stacked(tables, COLUMNS)


def profile_panels(panels: Mapping[str, Sequence[At]]) -> "Figure":
    """A panel a heading: profiles of networks, λ, and the initialisation of the first network."""
    fig, axes = new_figure(columns=len(panels), width=4.7, height=3.6)
    for ax, (heading, shown) in zip(axes, panels.items(), strict=True):
        first = shown[0][0]
        numbers = np.arange(1, first.basis.size + 1)
        initial = [energy_profile(run.initial, first.basis).normalized for run in first.trained.runs]
        ax.plot(numbers, np.mean(initial, axis=0), color=REFERENCE, lw=points(1), label="random initialisation")
        ax.plot(numbers, first.deviation / first.deviation.max(), color=REFERENCE, lw=points(1.5), ls=":", label="λ")
        for index, (group, step) in enumerate(shown):
            plot_seeds(ax, numbers, group.normalized(step), group.title, index)
        component_axis(ax, first.basis.size, first.basis.images)
        top = room_above(ax, (len(shown) + 3) // 2, 1.3)  # the legend has λ and the initialisation too, in two columns
        ax.set(title=heading, ylim=(0, top), ylabel="energy / peak energy")
        legend(ax, ncols=2, loc="upper right")
    return fig


def step_panels(panels: Mapping[str, Mapping[str, pd.DataFrame]], ylabel: str, *levels: float) -> "Figure":
    """A panel a heading: tables with a row a pair or seed and a column a step, by their labels."""
    fig, axes = new_figure(columns=len(panels))
    for ax, (heading, lines) in zip(axes, panels.items(), strict=True):
        for index, (label, values) in enumerate(lines.items()):
            plot_table(ax, values, label, index)
        for level in levels:
            dotted(ax, level)
        drawn = any(values.size for values in lines.values())  # nothing is defined of layers that have not moved
        ax.set(xscale="log" if drawn else "linear", title=heading, xlabel="step", ylabel=ylabel)
        legend(ax, loc="lower left")
    return fig


def agreement_over_steps(pairs: pd.DataFrame, column: str = "correlation") -> pd.DataFrame:
    """A row a pair of runs and a column a step, for `step_panels`."""
    return pairs.pivot_table(index=["seed", "other_seed"], columns="step", values=column)
