"""The figure of the experiment `initialisation`."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import new_figure, points, text
from firstlight.figures.colours import SERIES
from firstlight.models import MODELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def accuracy(rows: pd.DataFrame) -> "Figure":
    """A column a network: accuracy of every start, with its interval, after few steps and at the last one."""
    models = list(dict.fromkeys(rows.model))
    fig, axes = new_figure(columns=len(models), width=3.4, height=2.2)
    starts = list(dict.fromkeys(rows.start))
    for ax, model in zip(axes, models, strict=True):
        own = rows_where(rows, model=model)
        steps = sorted(set(own.step))
        for step in steps:
            here = rows_where(own, step=step).set_index("start").reindex(starts)
            ends = np.abs(here[["low", "high"]].to_numpy().T - here.test_accuracy.to_numpy())
            colour = SERIES[0][0]
            late = step == steps[-1]
            ax.errorbar(
                here.test_accuracy,
                np.arange(len(starts)),
                xerr=ends,
                fmt="o",
                ms=points(4),
                lw=points(1.2),
                color=colour,
                alpha=1.0 if late else 0.45,
                label=f"after {step:,} steps",
            )
        ax.set(title=MODELS[model].title, xlabel="test accuracy", yticks=range(len(starts)))
        ax.set_yticklabels(starts if ax is axes[0] else [], fontsize=text(8))
        ax.invert_yaxis()
    return fig
