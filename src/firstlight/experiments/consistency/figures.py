"""The figure of the experiment `consistency` that no other has."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.figures.axes import new_figure, text
from firstlight.figures.colours import ON_DARK, ON_LIGHT
from firstlight.figures.pictures import cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def correlations(pairs: pd.DataFrame, titles: Mapping[str, str]) -> "Figure":
    """Mean correlation of every two networks as a labelled matrix."""
    names = list(titles)
    table = matrix(pairs, names)
    size = len(names)
    fig, (ax,) = new_figure(width=min(1.9 + 0.42 * size, 4.7), height=1.3 + 0.28 * size)
    low = min(0.8, np.floor(10 * np.nanmin(table)) / 10) if np.isfinite(table).any() else 0.0
    cells(ax, table, cmap="viridis", vmin=low, vmax=1)
    for row, column in np.argwhere(np.isfinite(table)):
        colour = ON_LIGHT if table[row, column] > low + 0.6 * (1 - low) else ON_DARK
        number = f"{table[row, column]:.2f}".replace("0.", ".", 1)
        ax.text(column, row, number, ha="center", va="center", fontsize=text(8), color=colour)
    ax.set(xticks=range(size), yticks=range(size))
    ax.set_xticklabels(titles.values(), rotation=45, ha="right", rotation_mode="anchor", fontsize=text(8))
    ax.set_yticklabels(titles.values(), fontsize=text(8))
    ax.spines[["left", "bottom"]].set_visible(False)
    return fig


def matrix(pairs: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Mean correlation of the runs of every two networks, symmetric; NaN where there is no pair."""
    place = {name: index for index, name in enumerate(names)}
    table = np.full((len(names), len(names)), np.nan)
    # pandas' types know no key of two columns.
    for (one, other), rows in pairs.groupby(["network", "other_network"]):  # type: ignore[misc]
        row, column = place[one], place[other]
        table[row, column] = table[column, row] = rows.correlation.mean(skipna=False)
    return table
