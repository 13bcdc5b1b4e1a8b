"""The figures of the experiment `linear`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import legend, new_figure, points, text
from firstlight.figures.colours import MEASURED, PREDICTED, REFERENCE, SERIES
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def profiles(
    energies: Mapping[str, np.ndarray], predicted: np.ndarray, times: list[int], basis: PatchBasis
) -> "Figure":
    """A panel a time: exact profiles by kind, each (S, T, D), and eq. 3, (T, D), relative to their peaks."""
    fig, axes = new_figure(columns=len(times), width=3.9, height=3.6)
    numbers = np.arange(1, basis.size + 1)
    for index, (ax, time) in enumerate(zip(axes, times, strict=True)):
        for number, (kind, energy) in enumerate(energies.items()):
            profile = energy[:, index]
            plot_seeds(ax, numbers, profile / profile.max(axis=1, keepdims=True), kind, (0, 2, 3)[number])
        formula = predicted[index] / predicted[index].max()
        ax.plot(numbers, formula, color=PREDICTED, marker="s", ms=points(4), ls="--", label="eq. 3, same η")
        component_axis(ax, basis.size, basis.images)
        ax.set(yscale="log", title=f"t = {time:,}", ylabel="energy / peak energy")
    # The profiles fill the panels.
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize=text(8)
    )
    return fig


def agreement(table: pd.DataFrame, kinds: tuple[str, ...]) -> "Figure":
    """Correlation with eq. 3 against the step: at the same eta and t, and at the best t."""
    fig, axes = new_figure(columns=2, width=4.6, height=3.4)
    for ax, column, title in zip(
        axes, ("same_eta", "best_t"), ("eq. 3 at the same η and t", "eq. 3 at the best t"), strict=True
    ):
        for number, kind in enumerate(kinds):
            rows = table[table.kind == kind].pivot(index="seed", columns="t", values=column)
            if rows.notna().all(axis=None):
                plot_table(ax, rows, kind, (0, 2, 3, 4)[number])
        dotted(ax, 0.8)
        ax.set(xscale="log", xlabel="step t", ylabel="correlation of exact profile and eq. 3", title=title)
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.02)
    legend(axes[1], loc="lower left")
    return fig


def outputs(table: pd.DataFrame, spreads: pd.DataFrame) -> "Figure":
    """On ideal data: correlation with eq. 3 against the step, and how |u_i . b| scatters against the images."""
    fig, (agreement, scatter) = new_figure(columns=2, width=4.6, height=3.4)
    for number, outputs in enumerate(table.outputs.unique()):
        label = counted(int(outputs), "output")
        most = rows_where(table, outputs=outputs, images=table.images.max())
        least = rows_where(table, outputs=outputs, images=table.images.min())
        plot_table(agreement, most.pivot(index="seed", columns="t", values="same_eta"), label, number)
        few = least.groupby("t").same_eta.mean()
        agreement.plot(few.index, few.to_numpy(), color=SERIES[number][0], marker="x", ls="")
        by_images = rows_where(spreads, outputs=outputs)
        scattered = by_images.pivot(index="seed", columns="images", values="spread_over_mean")
        plot_table(scatter, scattered, label, number)
    dotted(agreement, 0.8)
    agreement.set(xscale="log", xlabel="step t", ylabel="correlation of exact profile and eq. 3", ylim=(0, 1.02))
    scatter.set(xscale="log", xlabel="images", ylabel="spread / mean of |u$_i$ · b| / λ$_i$", ylim=(0, None))
    legend(agreement, loc="lower left")
    return fig


def assumptions(components: pd.DataFrame, basis: PatchBasis) -> "Figure":
    """What A and b are relative to what is assumed of them, by component."""
    fig, axes = new_figure(columns=2, width=4.6, height=3.2)
    for ax, column, label in zip(
        axes,
        ("ratio", "labels_ratio"),
        ("variance of the mean patch, A$_{ii}$ J / λ$_i^2$", "|b$_i$| / λ$_i$, geometric mean 1"),
        strict=True,
    ):
        ax.axhline(1, color=PREDICTED, ls="--", label="assumed")
        ax.plot(
            components.component, components[column], color=MEASURED, marker="o", ms=points(4), ls="", label="measured"
        )
        component_axis(ax, basis.size, basis.images)
        ax.set(yscale="log", ylabel=label)
    legend(axes[0])
    return fig


def regimes(progress: np.ndarray, step_sizes: tuple[float, ...]) -> "Figure":
    """A panel a step size: the network's first steps in its fastest component, (sizes, steps), and the theory's."""
    fig, axes = new_figure(columns=len(step_sizes), width=3.2, height=2.6)
    steps = np.arange(progress.shape[1])
    for ax, size, path in zip(axes, step_sizes, progress, strict=True):
        ax.axhline(1, color=REFERENCE, lw=points(0.8), ls=":", label="limit")
        ax.plot(steps, 1 - (1 - size) ** steps, color=PREDICTED, ls="--", label="1 - (1 - x)$^t$")
        ax.plot(steps, path, color=MEASURED, marker="o", ms=points(4), ls="", label="network")
        ax.set(title=f"x = lr K max(a) = {size:g}", xlabel="step t", ylabel="fastest component / its limit")
    legend(axes[0])
    return fig
