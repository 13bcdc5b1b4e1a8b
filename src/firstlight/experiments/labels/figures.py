"""The figures of the experiment `labels`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.label_pairs import labels_in_words
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import REFERENCE
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def profiles(
    measured: Mapping[tuple[str, int], Mapping[str, np.ndarray]], initial: Mapping[str, np.ndarray], basis: PatchBasis
) -> "Figure":
    """A panel a network and step: normalised profiles (S, D) by kind of labels, its initialisation and λ."""
    fig, axes = new_figure(columns=len(measured), width=4.6, height=3.6)
    deviation = np.sqrt(basis.variance)
    numbers = np.arange(1, basis.size + 1)
    for ax, ((model, step), kinds) in zip(axes, measured.items(), strict=True):
        for index, (kind, values) in enumerate(kinds.items()):
            plot_seeds(ax, numbers, values, labels_in_words(kind), index)
        ax.plot(numbers, initial[model].mean(axis=0), color=REFERENCE, lw=points(1), label="initial filters")
        ax.plot(numbers, deviation / deviation[0], color=REFERENCE, lw=points(1), ls=":", label="λ")
        component_axis(ax, basis.size, basis.images)
        ax.set(title=f"{MODELS[model]}, step {step:,}", ylim=(0, room_above(ax, 2, 1.3)), ylabel="energy / peak energy")
        legend(ax, ncols=2, loc="upper right")
    return fig


def correlations(
    pairs: pd.DataFrame, networks: pd.DataFrame, random_banks: pd.DataFrame, models: Sequence[str]
) -> "Figure":
    """A panel a network: correlations of profiles against the step."""
    fig, axes = new_figure(columns=len(models))
    for ax, model in zip(axes, models, strict=True):
        equal = rows_where(pairs, model=model).query("step == other_step")
        own = rows_where(networks, model=model, labels="random")
        lines = {
            "true with random labels": equal.pivot(index=["seed", "other_seed"], columns="step", values="correlation"),
            "random labels with λ": own.pivot(index="seed", columns="step", values="correlation_lambda"),
            "random labels with w(0)": own.pivot(index="seed", columns="step", values="correlation_initial"),
        }
        for index, (label, values) in enumerate(lines.items()):
            plot_table(ax, values.dropna(axis="columns"), label, index)  # without steps that only some recorded
        for level in (0.8, rows_where(random_banks, model=model).percentile_95.iloc[0]):
            dotted(ax, level)
        _finish(ax, MODELS[model], "correlation")
        ax.set_ylim(min(-0.8, ax.get_ylim()[0]), 1.05)
        legend(ax, loc="lower left")
    return fig


def losses(networks: pd.DataFrame, classes: int) -> "Figure":
    """A panel a network: training loss against the step, by kind of labels, and that of guessing."""
    models = list(dict.fromkeys(networks.model))
    fig, axes = new_figure(columns=len(models))
    for ax, model in zip(axes, models, strict=True):
        for index, kind in enumerate(("true", "random")):
            rows = rows_where(networks, model=model, labels=kind)
            values = rows.pivot(index="seed", columns="step", values="train_loss").dropna(axis="columns")
            if len(values):
                plot_table(ax, values, labels_in_words(kind), index)
        dotted(ax, np.log(classes))
        _finish(ax, MODELS[model], "training loss, nats")
        legend(ax, loc="lower left")
    return fig


def _finish(ax: "Axes", title: str, ylabel: str) -> None:
    ax.set(xscale="log", title=title, xlabel="step", ylabel=ylabel)
