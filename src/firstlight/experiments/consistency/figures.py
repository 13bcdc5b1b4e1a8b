"""The figure of the experiment `consistency` that no other has."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.figures.axes import new_figure, text
from firstlight.figures.pictures import cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def correlations(pairs: pd.DataFrame, titles: Mapping[str, str]) -> "Figure":
    """Mean correlation of every two networks as a labelled matrix."""
    names = list(titles)
    table = matrix(pairs, names)
    size = len(names)
    fig, (ax,) = new_figure(width=2.8 + 0.46 * size, height=1.6 + 0.4 * size)
    low = min(0.8, np.floor(10 * np.nanmin(table)) / 10) if np.isfinite(table).any() else 0.0
    image = cells(ax, table, cmap="viridis", vmin=low, vmax=1)
    for row, column in np.argwhere(np.isfinite(table)):
        # Black on the light half of the colours, white on the dark half.
        colour = "black" if table[row, column] > low + 0.6 * (1 - low) else "white"
        ax.text(column, row, f"{table[row, column]:.2f}", ha="center", va="center", fontsize=text(7), color=colour)
    ax.set(xticks=range(size), yticks=range(size))
    ax.set_xticklabels(titles.values(), rotation=45, ha="right", rotation_mode="anchor", fontsize=text(8))
    ax.set_yticklabels(titles.values(), fontsize=text(8))
    ax.spines[["left", "bottom"]].set_visible(False)
    fig.colorbar(image, ax=ax, label="correlation of profiles", shrink=0.8)
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
