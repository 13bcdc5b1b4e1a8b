"""Drawings that the figures of several experiments have."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.figures.axes import new_figure, points, text
from firstlight.figures.colours import REFERENCE
from firstlight.figures.pictures import show_tiles
from firstlight.figures.profiles import plot_seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_table(ax: "Axes", table: pd.DataFrame, label: str, index: int) -> None:
    """Draw a table with a row a seed and a column a step as `plot_seeds` does; no step at which nothing is defined."""
    table = table.dropna(axis="columns", how="all")
    plot_seeds(ax, table.columns.to_numpy(), table.to_numpy(), label, index)


def dotted(ax: "Axes", level: float) -> None:
    """A dotted line at a level that is not measured: chance, a limit, what a claim asks for."""
    ax.axhline(level, color=REFERENCE, lw=points(0.8), ls=":")


def filters(banks: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """A row a network: initial filters, trained filters, and their difference."""
    fig, axes = new_figure(rows=len(banks), columns=3, width=3.6, height=1.5)
    for row, (name, (initial, trained)) in enumerate(banks.items()):
        for ax, title, weight in zip(
            axes[3 * row : 3 * row + 3],
            (f"{name}, initial", "trained", "change"),
            (initial, trained, trained - initial),
            strict=True,
        ):
            show_tiles(ax, weight, columns=2 * round(len(weight) ** 0.5))
            ax.set_title(title, fontsize=text(9))
    return fig
