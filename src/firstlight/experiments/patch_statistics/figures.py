"""The figure of the experiment `patch-statistics`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import REFERENCE, SERIES
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis
from firstlight.profile import correlation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def profiles(panels: Sequence[tuple[str, int, Mapping[str, np.ndarray]]], basis: PatchBasis) -> "Figure":
    """Two panels a row, of title, scaled component, and measured profiles (S, D) beside both formulas."""
    fig, axes = new_figure(rows=-(-len(panels) // 2), columns=min(len(panels), 2), width=4.8, height=3.8)
    numbers = np.arange(1, basis.size + 1)
    for ax, (title, component, values) in zip(axes, panels, strict=False):
        room = room_above(ax, 3, 1.5)
        ax.axvline(component, ymax=1 / room, color=REFERENCE, lw=points(0.8))  # below the legend
        plot_seeds(ax, numbers, values["measured"], "network", 0)
        for name, (colour, marker, line) in zip(("changed", "unchanged"), SERIES[1:3], strict=True):
            scores = [correlation(a, b) for a, b in zip(values["measured"], values[name], strict=True)]
            label = f"eq. 3, {name} eigenvalue, r = {np.mean(scores):.3f}"
            ax.plot(numbers, values[name].mean(axis=0), color=colour, marker=marker, ms=points(4), ls=line, label=label)
        component_axis(ax, basis.size, basis.images)
        ax.set(title=title, ylabel="energy / peak energy")
        ax.set_ylim(0, room * max(1, *(values[name].max() for name in ("changed", "unchanged"))))
        legend(ax, loc="upper right")
    for ax in axes[len(panels) :]:  # one that is left over
        ax.set_axis_off()
    return fig
