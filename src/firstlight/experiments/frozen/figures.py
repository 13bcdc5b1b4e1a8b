"""The figures of the experiment `frozen`."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.figures.axes import legend, new_figure, points
from firstlight.figures.colours import SERIES
from firstlight.models import MODELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ((False, "trained first layer"), (True, "frozen first layer"))


def learning(rows: pd.DataFrame, classes: int) -> "Figure":
    """A column a depth: training loss above, training accuracy below, against the step."""
    models = list(dict.fromkeys(rows.model))
    fig, axes = new_figure(rows=2, columns=len(models), width=3.6, height=2.4)
    for column, model in enumerate(models):
        upper, lower = axes[column], axes[len(models) + column]
        for index, (frozen, label) in enumerate(KINDS):
            of_kind = rows[(rows.model == model) & (rows.frozen == frozen)]
            if of_kind.empty:
                continue
            for ax, quantity in ((upper, "train_loss"), (lower, "train_accuracy")):
                table = of_kind.pivot(index="seed", columns="step", values=quantity)
                plot_table(ax, table, label, index)
        dotted(upper, math.log(classes))
        dotted(lower, 1 / classes)
        upper.set(title=MODELS[model].title, xscale="log")
        lower.set(xlabel="step", xscale="log", ylim=(0, None))
    axes[0].set_ylabel("training loss (nats)")
    axes[len(models)].set_ylabel("training accuracy")
    legend(axes[0], loc="lower left")
    return fig


def final_accuracy(outcomes: pd.DataFrame, classes: int) -> "Figure":
    """Test accuracy by depth: a point a seed, and mean and standard deviation over seeds."""
    models = list(dict.fromkeys(outcomes.model))
    fig, (ax,) = new_figure(width=1.6 + 1.4 * len(models))
    for index, (frozen, name) in enumerate(KINDS):
        label: str | None = name
        colour, marker, _ = SERIES[index]
        for place, model in enumerate(models):
            values = outcomes[(outcomes.model == model) & (outcomes.frozen == frozen)].test_accuracy
            if values.empty:
                continue
            x = place + 0.3 * index - 0.15
            ax.plot(np.full(len(values), x + 0.06), values, marker, ms=points(3), color=colour, alpha=0.5)
            spread = values.std() if len(values) > 1 else 0.0
            ax.errorbar(
                x, values.mean(), spread, fmt=marker, ms=points(6), capsize=points(3), color=colour, label=label
            )
            label = None  # one legend entry for all depths
    dotted(ax, 1 / classes)
    ax.set(xticks=range(len(models)), xticklabels=[MODELS[model].title for model in models])
    ax.set(xlim=(-0.5, len(models) - 0.5), ylim=(0, None), ylabel="test accuracy")
    legend(ax, loc="lower right")
    return fig
