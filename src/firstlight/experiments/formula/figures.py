"""The figures of the experiment `formula`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.figures.axes import legend, new_figure, points, room_above
from firstlight.figures.colours import MEASURED, PREDICTED, REFERENCE
from firstlight.figures.pictures import show_tiles
from firstlight.figures.profiles import component_axis, plot_over_time
from firstlight.patches import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.theory import PEAK, FormulaFit, linear_cnn_profile
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Learnt(NamedTuple):
    """The profile of a run's change after its first recorded step and at its end, and eq. 3 fitted to the latter."""

    first_step: int
    first: EnergyProfile
    last_step: int
    last: EnergyProfile
    fit: FormulaFit


def profiles(networks: Mapping[str, Sequence[Learnt]], basis: PatchBasis, width: float = 4.2) -> "Figure":
    """A panel a network, by its title: what its seeds have learnt, and eq. 3; faint, after the first step."""
    fig, axes = new_figure(columns=len(networks), width=width, height=0.72 * width)
    for ax, (title, seeds) in zip(axes, networks.items(), strict=True):
        first = np.mean([seed.first.normalized for seed in seeds], axis=0)
        measured = np.array([seed.last.normalized for seed in seeds])
        predicted = np.array([seed.fit.prediction / seed.last.energy.max() for seed in seeds])
        scores = np.array([seed.fit.correlation for seed in seeds])
        numbers = np.arange(1, len(first) + 1)
        ax.plot(numbers, first, color=REFERENCE, lw=points(1), label=f"after {counted(seeds[0].first_step, 'step')}")
        ax.fill_between(numbers, measured.min(axis=0), measured.max(axis=0), color=MEASURED, alpha=0.2, lw=0)
        label = f"after {counted(seeds[0].last_step, 'step')}"
        ax.plot(numbers, measured.mean(axis=0), marker="o", ms=points(4), color=MEASURED, label=label)
        label = f"eq. 3 at the best t, r = {scores.mean():.3f}"
        ax.plot(numbers, predicted.mean(axis=0), marker="s", ms=points(4), ls="--", color=PREDICTED, label=label)
        component_axis(ax, len(numbers), basis.images)
        ax.set(title=f"{title} ({counted(len(seeds), 'seed')})", ylabel="energy / peak energy")
        ax.set_ylim(0, room_above(ax, 3, 1.35) * max(1, predicted.max()))
        legend(ax, loc="upper right")
    return fig


def energy_over_steps(fits: pd.DataFrame) -> "Figure":
    """A panel a network: total energy of the change against the step."""
    models = list(dict.fromkeys(fits.network))
    fig, axes = new_figure(columns=len(models))
    for ax, model in zip(axes, models, strict=True):
        for _, rows in fits[fits.network == model].groupby("seed"):
            ax.plot(rows.step, rows.total_energy, marker="o", ms=points(3), color=MEASURED, alpha=0.8)
        ax.set(xscale="log", yscale="log", title=model, xlabel="step", ylabel="rms norm of a filter's change")
    return fig


def participation_over_steps(fits: pd.DataFrame, components: int) -> "Figure":
    """A panel a network: participation ratio of the responses against the step."""
    models = list(dict.fromkeys(fits.network))
    fig, axes = new_figure(columns=len(models))
    for ax, model in zip(axes, models, strict=True):
        for _, rows in fits[fits.network == model].groupby("seed"):
            ax.plot(rows.step, rows.participation, marker="o", ms=points(3), color=MEASURED, alpha=0.8)
        ax.axhline(components, color=REFERENCE, lw=points(0.8), ls=":")
        ax.set(xscale="log", yscale="log", title=model, xlabel="step", ylabel="components in the responses")
        ax.set_ylim(0.9, 1.2 * components)
    return fig


def fit_over_steps(fits: pd.DataFrame) -> "Figure":
    """A panel a network: correlation and R^2 of log energy of the best fit against the step."""
    models = list(dict.fromkeys(fits.network))
    fig, axes = new_figure(columns=len(models))
    for ax, model in zip(axes, models, strict=True):
        for index, (_, rows) in enumerate(fits[fits.network == model].groupby("seed")):
            first = index == 0  # one legend entry for all seeds
            ax.plot(
                rows.step,
                rows.correlation,
                color=MEASURED,
                marker="o",
                ms=points(3),
                label="correlation" if first else None,
            )
            ax.plot(
                rows.step,
                rows.correlation_lambda,
                color=REFERENCE,
                ls=":",
                label="λ alone" if first else None,
            )
            ax.plot(
                rows.step,
                rows.log_r2,
                color=PREDICTED,
                ls="--",
                marker="s",
                ms=points(3),
                label="R² of log e" if first else None,
            )
        ax.axhline(0.8, color="0.6", lw=points(0.8), ls=":")
        ax.set(xscale="log", ylim=(min(0.0, ax.get_ylim()[0]), 1.05), title=model, xlabel="step")
        legend(ax, loc="lower left")
    return fig


def formula_over_time(basis: PatchBasis, count: int = 7) -> "Figure":
    """Eq. 3 from early to whitened, at times whose peaks spread over the components."""
    variance = basis.variance[basis.variance > 0]
    times = [*np.geomspace(0.1 * PEAK / variance.max(), PEAK / variance.min(), count - 1), 100 / variance.min()]
    labels = [f"τ = {tau:.2g}" if tau < 100 else f"τ = {tau:,.0f}" for tau in times]
    pictures = basis.images[basis.variance > 0]
    return plot_over_time(linear_cnn_profile(variance, times), labels, pictures)


def pairs(fits: pd.DataFrame, published: Mapping[str, str], titles: Mapping[str, str]) -> "Figure":
    """A row a pair of classes: the correlation of every seed at the end, and the published mean."""
    fig, (ax,) = new_figure(width=4.7, height=2.4)
    _, ends = at_ends(fits)
    names = list(dict.fromkeys(ends.network))
    for row, name in enumerate(names):
        values = rows_where(ends, network=name).correlation
        label = "here" if row == 0 else None  # one legend entry for all pairs
        ax.plot(values, [row] * len(values), "o", ms=points(5), color=MEASURED, alpha=0.7, label=label)
        mean = float(published[name].split()[0])
        label = "published" if row == 0 else None
        ax.plot([mean], [row], "s", ms=points(6), mfc="none", color=PREDICTED, label=label)
    ax.set(yticks=range(len(names)), yticklabels=[titles[name] for name in names], ylim=(len(names) - 0.5, -0.5))
    ax.set(xlim=(min(0.8, ends.correlation.min() - 0.02), 1.005), xlabel="correlation with eq. 3 at the best t")
    legend(ax, loc="lower left")
    return fig


def components(basis: PatchBasis) -> "Figure":
    """The patch components as a picture."""
    fig, (ax,) = new_figure(width=6.0, height=2.4)
    show_tiles(ax, basis.images, columns=9 if basis.size == 27 else None)
    return fig
