"""The figures of the experiment `label-energy`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.label_pairs import labels_in_words
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import REFERENCE, SERIES
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SERIES = ("true", "random")  # then those of a component


def profiles(measured: Mapping[tuple[str, int, int], Mapping[str, np.ndarray]], basis: PatchBasis) -> "Figure":
    """A panel a network, step and marked component: normalised profiles (S, D) by kind of labels."""
    fig, axes = new_figure(rows=len(measured) // 2, columns=2, width=4.6, height=3.6)
    numbers = np.arange(1, basis.size + 1)
    series = [*_SERIES, *dict.fromkeys(kind for kinds in measured.values() for kind in kinds if kind not in _SERIES)]
    for ax, ((model, step, component), kinds) in zip(axes, measured.items(), strict=True):
        room = room_above(ax, len(kinds), 1.4)
        ax.axvline(component, ymax=1 / room, color=REFERENCE, lw=points(0.8))  # below the legend
        for kind, values in kinds.items():
            plot_seeds(ax, numbers, values, labels_in_words(kind), series.index(kind))
        component_axis(ax, basis.size, basis.images)
        ax.set(title=f"{MODELS[model]}, step {step:,}", ylim=(0, room), ylabel="energy / peak energy")
        legend(ax, loc="upper right")
    return fig


def correlations(pairs: pd.DataFrame, models: Sequence[str]) -> "Figure":
    """A panel a network: correlation with networks on random labels against the step, by kind of labels."""
    fig, axes = new_figure(columns=len(models), width=5.0)
    for ax, model in zip(axes, models, strict=True):
        rows = rows_where(pairs, model=model).query("step == other_step")
        for index, kind in enumerate(dict.fromkeys([*_SERIES, *rows.labels])):
            if kind == "random":
                continue
            values = rows_where(rows, labels=kind).pivot(
                index=["seed", "other_seed"], columns="step", values="correlation"
            )
            plot_table(ax, values, labels_in_words(kind), index)
        dotted(ax, 0.3)
        ax.set(xscale="log", title=MODELS[model], xlabel="step", ylabel="correlation with random labels")
        ax.set_ylim(min(-0.8, ax.get_ylim()[0]), 1.05)
        legend(ax, loc="lower left")
    return fig


def extra_energy(energies: pd.DataFrame, models: Sequence[str], basis: PatchBasis) -> "Figure":
    """A panel a network: every component's share of the energy relative to networks on true labels."""
    fig, axes = new_figure(columns=len(models), width=5.0, height=3.6)
    for ax, model in zip(axes, models, strict=True):
        rows = rows_where(energies, model=model)
        made = [kind for kind in dict.fromkeys(rows.labels) if kind not in _SERIES]
        for index, kind in enumerate(made, start=len(_SERIES)):
            values = rows_where(rows, labels=kind).pivot(index="seed", columns="component", values="relative")
            plot_table(ax, values, labels_in_words(kind), index)
            ax.axvline(int(kind.split(":")[1]), color=SERIES[index][0], lw=points(0.8))
        dotted(ax, 1)
        component_axis(ax, basis.size, basis.images)
        ax.set(yscale="log", title=MODELS[model], ylabel="share of energy, relative to true labels")
        low, high = np.log(ax.get_ylim())
        ax.set_ylim(top=np.exp(low + (high - low) * room_above(ax, len(made), 1.2)))
        legend(ax, loc="upper left", frameon=True, framealpha=1, edgecolor="none")  # over the vertical lines
    return fig
