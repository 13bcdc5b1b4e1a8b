"""The figure of the experiment `frozen`."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import legend, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"": "trained first layer", "-frozen": "frozen first layer"}


def learning(rows: pd.DataFrame, depths: Mapping[str, str], classes: int) -> "Figure":
    """A column a depth, by name and title: training loss above, test accuracy below, against the step."""
    fig, axes = new_figure(rows=2, columns=len(depths), width=3.6, height=2.4)
    for column, (depth, title) in enumerate(depths.items()):
        upper, lower = axes[column], axes[len(depths) + column]
        for index, (kind, label) in enumerate(KINDS.items()):
            own = rows_where(rows, network=f"{depth}{kind}")
            for ax, quantity in ((upper, "train_loss"), (lower, "test_accuracy")):
                table = own.dropna(subset=[quantity]).pivot(index="seed", columns="step", values=quantity)
                if len(table):
                    plot_table(ax, table, label, index)
        dotted(upper, math.log(classes))
        dotted(lower, 1 / classes)
        upper.set(title=title, xscale="log", ylabel="training loss (nats)")
        lower.set(title=title, xlabel="step", xscale="log", ylim=(0, None), ylabel="test accuracy")
    legend(axes[0], loc="lower left")
    return fig
