"""The figures of the experiment `patch-statistics`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.plots import dotted, plot_table
from firstlight.experiments.shared.tables import rows_where
from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import MEASURED, PREDICTED, REFERENCE, SERIES
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis
from firstlight.profile import correlation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def eigenvalues(table: pd.DataFrame, basis: PatchBasis) -> "Figure":
    """A panel a scaled component: variance before and after, on a log axis."""
    components = list(dict.fromkeys(table.scaled_component))
    fig, axes = new_figure(columns=len(components), width=4.6, height=3.6)
    for ax, component in zip(axes, components, strict=True):
        rows = rows_where(table, scaled_component=component)
        ax.axvline(component, color=REFERENCE, lw=points(0.8))
        ax.plot(rows.component, rows.variance, color=MEASURED, marker="o", ms=points(4), label="as it is")
        ax.plot(
            rows.component, rows.changed_variance, color=PREDICTED, marker="s", ms=points(4), ls="--", label="scaled"
        )
        component_axis(ax, basis.size, basis.images)
        ax.set(title=f"component {component} scaled", ylabel="variance of the patches, λ²")
        if rows.variance.max() > 0:
            ax.set_yscale("log")
        legend(ax)
    return fig


def profiles(measured: Mapping[tuple[str, int], Mapping[str, np.ndarray]], basis: PatchBasis) -> "Figure":
    """A panel a network and scaled component: measured profiles (S, D) and both formulas."""
    fig, axes = _panels(len(measured), width=4.8, height=3.8)
    numbers = np.arange(1, basis.size + 1)
    for ax, ((model, component), values) in zip(axes, measured.items(), strict=False):
        room = room_above(ax, 3, 1.5)
        ax.axvline(component, ymax=1 / room, color=REFERENCE, lw=points(0.8))  # below the legend
        plot_seeds(ax, numbers, values["measured"], "network", 0)
        for name, (colour, marker, line) in zip(("changed", "unchanged"), SERIES[1:3], strict=True):
            scores = [correlation(a, b) for a, b in zip(values["measured"], values[name], strict=True)]
            label = f"eq. 3, {name} eigenvalue, r = {np.mean(scores):.3f}"
            ax.plot(numbers, values[name].mean(axis=0), color=colour, marker=marker, ms=points(4), ls=line, label=label)
        component_axis(ax, basis.size, basis.images)
        ax.set(title=f"{MODELS[model]}, component {component} scaled", ylabel="energy / peak energy")
        ax.set_ylim(0, room * max(1, *(values[name].max() for name in ("changed", "unchanged"))))
        legend(ax, loc="upper right")
    return fig


def fits(table: pd.DataFrame, panels: Sequence[tuple[str, int]]) -> "Figure":
    """A panel a network and scaled component: correlation of both fits against the step."""
    fig, axes = _panels(len(panels), width=4.4, height=3.0)
    for ax, (model, component) in zip(axes, panels, strict=False):
        rows = rows_where(table, model=model, scaled_component=component)
        for index, (side, label) in enumerate((("own", "changed"), ("unchanged", "unchanged")), start=1):
            values = rows_where(rows, eigenvalues=side).pivot(index="seed", columns="step", values="correlation")
            plot_table(ax, values, f"{label} eigenvalue", index)
        dotted(ax, 0.8)
        ax.set(
            xscale="log", xlabel="step", ylabel="correlation", title=f"{MODELS[model]}, component {component} scaled"
        )
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
        legend(ax, loc="lower left")
    return fig


def _panels(count: int, width: float, height: float) -> "tuple[Figure, list[Axes]]":
    """Two panels a row; one that is left over is not shown."""
    fig, axes = new_figure(rows=-(-count // 2), columns=min(count, 2), width=width, height=height)
    for ax in axes[count:]:
        ax.set_axis_off()
    return fig, axes
