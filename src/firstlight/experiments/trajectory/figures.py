"""The figures of the experiment `trajectory`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.plots import plot_table
from firstlight.figures.axes import legend, new_figure, points, tick_labels
from firstlight.figures.colours import MEASURED, PREDICTED, REFERENCE
from firstlight.figures.pictures import cells
from firstlight.figures.profiles import component_axis
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def energy_and_peak(steps: pd.DataFrame, names: Mapping[str, str]) -> "Figure":
    """A column a network: total energy above, peak component below, against the step."""
    from matplotlib.ticker import MaxNLocator

    fig, axes = new_figure(rows=2, columns=len(names), height=2.6)
    panels = {
        "rms norm of a filter's change": ("total_energy", "predicted_energy"),
        "peak component": ("peak_component", "predicted_peak_component"),
    }
    for row, (label, columns) in enumerate(panels.items()):
        for column, (model, name) in enumerate(names.items()):
            ax = axes[row * len(names) + column]
            rows = steps[steps.model == model]
            for index, (values, series) in enumerate(zip(columns, ("network", "eq. 3 at the same steps"), strict=True)):
                seeds = rows.pivot(index="seed", columns="step", values=values)
                plot_table(ax, seeds, series, index)
            ax.set(xscale="log", xlabel="step", ylabel=label)
            if row == 1:
                ax.yaxis.set_major_locator(MaxNLocator(integer=True))
            else:
                ax.set(yscale="log", title=name)
                legend(ax, loc="upper left")
    return fig


def fitted_time(steps: pd.DataFrame, names: Mapping[str, str]) -> "Figure":
    """A panel a network: best tau against lr * steps, with the line on which they are equal."""
    fig, axes = new_figure(columns=len(names))
    for ax, (model, name) in zip(axes, names.items(), strict=True):
        rows = steps[steps.model == model]
        ends = [rows.lr_times_steps.min(), rows.lr_times_steps.max()]
        ax.plot(ends, ends, color=REFERENCE, ls="--", lw=points(1), label="τ = lr × steps")
        seeds = [seed for _, seed in rows.groupby("seed")]
        formula = seeds[0].predicted_tau.where(seeds[0].predicted_bound == "")
        label = "eq. 3 at the same steps"
        ax.plot(seeds[0].lr_times_steps, formula, color=PREDICTED, ls="--", marker="s", ms=points(3), label=label)
        for index, seed in enumerate(seeds):
            tau = seed.tau.where(seed.bound == "")
            label = "network, a line a seed" if index == 0 else None
            ax.plot(seed.lr_times_steps, tau, color=MEASURED, marker="o", ms=points(3), alpha=0.8, label=label)
        ax.set(xscale="log", yscale="log", title=name, xlabel="lr × steps", ylabel="fitted τ")
        legend(ax, loc="upper left")
    return fig


def profiles(table: pd.DataFrame, basis: PatchBasis, names: Mapping[str, str]) -> "Figure":
    """A row a network: the profile at every recorded step, beside eq. 3's."""
    fig, axes = new_figure(rows=len(names), columns=2, width=5.0, height=3.6)
    image = None
    for row, (model, name) in enumerate(names.items()):
        rows = table[table.model == model]
        for ax, values, title in zip(
            axes[2 * row : 2 * row + 2], ("energy", "predicted"), (name, "eq. 3 at the same steps"), strict=True
        ):
            matrix = rows.pivot_table(index="step", columns="component", values=values)  # mean over seeds
            extent = (0.5, basis.size + 0.5, -0.5, len(matrix) - 0.5)
            image = cells(ax, matrix.to_numpy()[::-1], extent, vmin=0, vmax=1)
            ax.plot(matrix.to_numpy().argmax(axis=1) + 1, np.arange(len(matrix)), ls="", marker=".", color=PREDICTED)
            shown = range(0, len(matrix), max(1, len(matrix) // tick_labels(ax, 8)))
            ax.set_yticks(list(shown), [f"{matrix.index[index]}" for index in shown])
            ax.set(title=title, ylabel="recorded step")
            component_axis(ax, basis.size, basis.images)
    assert image is not None  # there is a network
    fig.colorbar(image, ax=axes, label="energy / peak energy")
    return fig
