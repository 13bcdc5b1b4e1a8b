"""The figures of the experiment `whitening`."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.shared.plots import plot_table
from firstlight.experiments.whitening.claims import MAX_DISTANCE, curves_of
from firstlight.figures.axes import legend, legend_beside, new_figure, points
from firstlight.figures.colours import REFERENCE, TIME_COLOURS
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis
from firstlight.utils.text import counted
from firstlight.whitening.curve import distance_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DISTANCES = np.arange(MAX_DISTANCE + 1)


def autocorrelation(curves: pd.DataFrame) -> "Figure":
    """All banks on one axis: references grey, networks in colour."""
    fig, (ax,) = new_figure(width=4.7, height=3.4)
    references(ax, curves)
    for index, name in enumerate(trained(curves)):
        plot_seeds(ax, DISTANCES, curves_of(curves, "trained", name), f"{NETWORKS[name].title}, trained", index)
    finish(ax)
    return fig


def networks(curves: pd.DataFrame) -> "Figure":
    """A panel a network: initial filters, trained filters, and the change."""
    models = trained(curves)
    fig, axes = new_figure(columns=len(models), width=4.2, height=3.0)
    for ax, model in zip(axes, models, strict=True):
        for index, bank in enumerate(("initial", "trained", "change")):
            values = curves_of(curves, bank, model)
            if len(values):  # a layer that has not moved has no change
                plot_seeds(ax, DISTANCES, values, bank, index)
        ax.set_title(NETWORKS[model].title)
        finish(ax)
    return fig


def over_steps(networks: pd.DataFrame) -> "Figure":
    """A panel a network: the auto-correlation at the largest distance, of the weights and of the change."""
    models = list(dict.fromkeys(networks.network))
    fig, axes = new_figure(columns=len(models), width=4.2, height=3.0)
    for ax, model in zip(axes, models, strict=True):
        later = networks[(networks.network == model) & (networks.step > 0)]
        for index, (column, label) in enumerate((("weights", "weights"), ("change", "change"))):
            values = later.pivot(index="seed", columns="step", values=column)
            plot_table(ax, values, label, index)
        ax.axhline(0.2, color=REFERENCE, lw=points(1), ls=":", label="published, trained")
        ax.axhline(0, color="0.8", lw=points(0.8), zorder=0)
        ax.set(xscale="log", xlabel="step", ylabel=f"C({MAX_DISTANCE}) / C(0)", title=NETWORKS[model].title)
        legend(ax)
    return fig


def limit(limit: pd.DataFrame, curves: pd.DataFrame) -> "Figure":
    """The curves of eq. 3 at several times, light to dark, and the ideal that they tend to."""
    import matplotlib

    fig, (ax,) = new_figure(width=6.5, height=3.6)
    taus = limit.tau.unique()
    colours = matplotlib.colormaps[TIME_COLOURS](np.linspace(0.12, 1, len(taus)))
    for tau, colour in zip(taus, colours, strict=True):
        rows = limit[limit.tau == tau]
        label = f"τ = {tau:,.0f}" if 100 <= tau < 1e6 else f"τ = {tau:.2g}"
        ax.plot(rows.distance, rows.value, color=colour, marker="o", ms=points(3), label=label)
    ideal = curves_of(curves, "ideal whitening")[0]
    ax.plot(DISTANCES, ideal, color=REFERENCE, ls="", marker="s", ms=points(8), mfc="none", label="ideal whitening")
    distance_axis(ax)
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.03)
    legend_beside(fig)
    return fig


def components(components: pd.DataFrame, basis: PatchBasis) -> "Figure":
    """The auto-correlation of each component as the only filter, at a few distances."""
    fig, (ax,) = new_figure(width=4.7, height=3.4)
    for index, distance in enumerate((1, 3, MAX_DISTANCE)):
        rows = components[components.distance == distance]
        plot_seeds(
            ax, rows.component.to_numpy(), rows.value.to_numpy()[None], f"{counted(distance, 'pixel')} apart", index
        )
    ax.axhline(0, color="0.8", lw=points(0.8), zorder=0)
    component_axis(ax, basis.size, basis.images)
    ax.set_ylabel("auto-correlation C(d) / C(0)")
    legend(ax)
    return fig


def trained(curves: pd.DataFrame) -> list[str]:
    """The networks of the table, by name."""
    return [name for name in dict.fromkeys(curves.network) if name]


def references(ax: "Axes", curves: pd.DataFrame) -> None:
    """What nothing was trained for: pixels, random filters, ideal whitening."""
    ax.plot(DISTANCES, curves_of(curves, "pixels")[0], color=REFERENCE, ls="-", marker="|", label="pixels (RGB)")
    random = curves_of(curves, "random")
    ax.fill_between(DISTANCES, random.min(axis=0), random.max(axis=0), color=REFERENCE, alpha=0.25, lw=0)
    ax.plot(DISTANCES, random.mean(axis=0), color=REFERENCE, ls="--", label=f"random ({len(random)} banks)")
    ideal = curves_of(curves, "ideal whitening")[0]
    ax.plot(DISTANCES, ideal, color=REFERENCE, ls=":", marker="x", ms=points(4), label="ideal whitening")


def finish(ax: "Axes") -> None:
    """Axes and legend of a panel of curves."""
    distance_axis(ax)
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.03)
    legend(ax)
