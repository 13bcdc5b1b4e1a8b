"""The figures of the experiment `trajectory`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.plots import plot_table
from firstlight.figures.axes import legend, new_figure, points, tick_labels
from firstlight.figures.colours import MEASURED, ON_LIGHT, PREDICTED, REFERENCE
from firstlight.figures.pictures import cells
from firstlight.figures.profiles import component_axis
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def peak(steps: pd.DataFrame, titles: Mapping[str, str]) -> "Figure":
    """A panel a network: peak component against the step."""
    from matplotlib.ticker import MaxNLocator

    fig, axes = new_figure(columns=len(titles), height=2.6)
    series = {"peak_component": "network", "predicted_peak_component": "eq. 3 at the same steps"}
    for ax, (network, title) in zip(axes, titles.items(), strict=True):
        rows = steps[steps.network == network]
        for index, (values, label) in enumerate(series.items()):
            plot_table(ax, rows.pivot(index="seed", columns="step", values=values), label, index)
        ax.set(xscale="log", title=title, xlabel="step", ylabel="peak component")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        legend(ax, loc="upper left")
    return fig


def fitted_time(steps: pd.DataFrame, titles: Mapping[str, str]) -> "Figure":
    """A panel a network: best tau against lr * steps, with the line on which they are equal."""
    fig, axes = new_figure(columns=len(titles))
    for ax, (network, title) in zip(axes, titles.items(), strict=True):
        rows = steps[steps.network == network]
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
        ax.set(xscale="log", yscale="log", title=title, xlabel="lr × steps", ylabel="fitted τ")
        legend(ax, loc="upper left")
    return fig


def profiles(panels: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], basis: PatchBasis) -> "Figure":
    """A row a network, of title and steps: its profiles (T, D) relative to their peaks, beside eq. 3's."""
    from matplotlib.cm import ScalarMappable

    fig, axes = new_figure(rows=len(panels), columns=2, width=4.7, height=3.4)
    for row, (name, steps, measured, predicted) in enumerate(panels):
        both = {name: measured, "eq. 3 at the same steps": predicted / predicted.max(axis=1, keepdims=True)}
        for ax, (title, matrix) in zip(axes[2 * row : 2 * row + 2], both.items(), strict=True):
            extent = (0.5, basis.size + 0.5, -0.5, len(matrix) - 0.5)
            cells(ax, matrix[::-1], extent, vmin=0, vmax=1)
            # Dark on the light colours where a row peaks.
            ax.plot(matrix.argmax(axis=1) + 1, np.arange(len(matrix)), ls="", marker=".", color=ON_LIGHT)
            shown = range(0, len(matrix), max(1, len(matrix) // tick_labels(ax, 8)))
            ax.set_yticks(list(shown), [f"{steps[index]}" for index in shown])
            ax.set(title=title, ylabel="recorded step")
            component_axis(ax, basis.size, basis.images)
    colours = ScalarMappable()  # from 0 to 1, of no panel: a colour bar of its own
    fig.colorbar(colours, ax=axes, location="top", label="energy / peak energy", shrink=0.45, aspect=30)
    return fig
