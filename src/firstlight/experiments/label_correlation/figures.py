"""The figures of the experiment `label-correlation`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.figures.axes import legend, new_figure, points, room_above, row_text, text
from firstlight.figures.colours import ON_LIGHT, REFERENCE, SERIES
from firstlight.figures.pictures import cells
from firstlight.figures.profiles import component_axis
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_maps(tables: Mapping[str, pd.DataFrame], basis: PatchBasis) -> "Figure":
    """A panel a quantity: its correlation with each class, classes as rows, components on the shared axis."""
    from matplotlib.patches import Rectangle

    largest = max(table.correlation.abs().max() for table in tables.values())
    fig, axes = new_figure(rows=len(tables), width=5.0, height=3.2)
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        names = list(table["class"].unique())
        matrix = table.pivot(index="class", columns="component", values="correlation")
        matrix = matrix.reindex(index=names, columns=range(1, basis.size + 1)).to_numpy()
        extent = (0.5, basis.size + 0.5, len(names) - 0.5, -0.5)
        image = cells(ax, matrix, extent, cmap="RdBu_r", vmin=-largest, vmax=largest)
        for extreme in (np.nanargmax(matrix), np.nanargmin(matrix)):
            row, column = divmod(int(extreme), basis.size)
            ax.add_patch(Rectangle((column + 0.5, row - 0.5), 1, 1, fill=False, ec=ON_LIGHT, lw=points(1.5)))
        ax.set_yticks(range(len(names)), names, fontsize=row_text(ax, len(names)))
        ax.set_title(f"{title}: r from {np.nanmin(matrix):.2f} to {np.nanmax(matrix):.2f}", fontsize=text(9))
        component_axis(ax, basis.size, basis.images)
        fig.colorbar(image, ax=ax, label="correlation")
    return fig


def sizes(tables: Mapping[str, pd.DataFrame], basis: PatchBasis, permuted: Mapping[str, np.ndarray]) -> "Figure":
    """A panel a quantity: mean and largest |r| over classes by component, and what permuted labels give."""
    fig, axes = new_figure(columns=len(tables), width=4.2, height=3.2)
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        defined = ~np.isnan(permuted[title][0])
        chance = np.abs(permuted[title][:, defined.any(axis=1)][:, :, defined.any(axis=0)])
        size = table.correlation.abs()
        lines = {
            "largest over classes": (size.groupby(table.component).max(), chance.max(axis=2)),
            "mean over classes": (size.groupby(table.component).mean(), chance.mean(axis=2)),
        }
        for index, (label, (values, null)) in enumerate(lines.items()):
            colour, marker, line = SERIES[index]
            ax.plot(values.index, values.to_numpy(), color=colour, marker=marker, ls=line, ms=points(4), label=label)
            ax.axhline(
                np.percentile(null, 95), color=REFERENCE, ls=line, lw=points(1), label=f"{label}, permuted labels"
            )
        ax.set(
            title=title, ylabel="|r|", ylim=(0, room_above(ax, 4, 1.4) * table.correlation.abs().max())
        )  # room for the legend
        component_axis(ax, basis.size, basis.images)
        legend(ax, loc="upper right")
    return fig
