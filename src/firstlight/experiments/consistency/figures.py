"""The figures of the experiment `consistency`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.consistency.comparisons import OTHER_DATA, WIDTHS
from firstlight.experiments.results import FigureEntry
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.plots import filters, plot_table
from firstlight.figures.axes import legend, new_figure, points, text
from firstlight.figures.colours import REFERENCE
from firstlight.figures.pictures import cells
from firstlight.figures.profiles import component_axis, plot_seeds
from firstlight.patches import PatchBasis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from firstlight.experiments.consistency.trained import Trained

# Figures of profiles: name, heading, networks; the first one's initialisation is the reference.
PROFILES = (
    (
        "architectures",
        "Profiles of different architectures (Fig. 9-13)",
        ("vgg11", "vgg13", "vgg16", "resnet18", "resnet20", "resnet32"),
    ),
    ("widths", "Profiles of different first-layer widths", ("vgg11", *(f"vgg11-width{width}" for width in WIDTHS))),
    (
        "data",
        "Profiles on different data sets (Fig. 1)",
        (*MODELS, *(f"{model}-{data}" for data in OTHER_DATA for model in MODELS)),
    ),
)
SHOWN = ("vgg11-width16", "vgg13", "resnet18", "resnet32")  # whose filters are drawn; `formula` draws the base runs'


def draw(trained: "Sequence[Trained]", pairs: pd.DataFrame, over_steps: pd.DataFrame) -> dict[str, FigureEntry]:
    """Profiles side by side, all correlations, how they develop, and filters; what has no runs is left out."""
    if not trained:
        return {}
    by_name: dict[str, list[Trained]] = {}
    for one in trained:
        by_name.setdefault(one.network.name, []).append(one)
    entries = {}
    for name, heading, members in PROFILES:
        shown = {member: by_name[member] for member in members if member in by_name}
        if len(shown) > 1:
            entries[f"profiles_{name}"] = profile_entry(list(shown.values()), heading)
    entries["correlations"] = FigureEntry(
        correlations(pairs, {name: runs[0].network.title for name, runs in by_name.items()}),
        "How alike the first layers are",
        "Correlation of the profiles of w(t) - w(0) at the last step that both networks recorded, mean over all pairs "
        "of runs; on the diagonal over pairs of seeds. Not all cells are of one step: compare rows with care.",
    )
    if len(over_steps):
        entries["over_steps"] = FigureEntry(
            seeds_over_steps(over_steps),
            "How alike two seeds are, over the iterations",
            "Correlation of the profiles of two seeds, of one of them with λ, and of what λ leaves unexplained in "
            "both: mean and range over pairs. Where both follow λ, they are alike for that reason.",
        )
    banks = {
        by_name[name][0].network.title: (by_name[name][0].run.initial, by_name[name][0].run.final)
        for name in SHOWN
        if name in by_name
    }
    if banks:
        entries["filters"] = FigureEntry(
            filters(banks),
            "The filters, initial and trained (Fig. 19)",
            "First layer of one seed each: before training, after it, and the change. Each filter is scaled by its own "
            "largest weight; gray is zero.",
        )
    return entries


def profile_entry(groups: "Sequence[Sequence[Trained]]", heading: str) -> FigureEntry:
    """Profiles of some networks at the last step that all recorded, and at the last of each."""
    step = max(set.intersection(*(set(one.energies) for group in groups for one in group)))
    titles = [group[0].network.title for group in groups]
    panels = {
        f"step {step:,}, the last that all recorded": [[one.energies[step] for one in group] for group in groups],
        "the last step of each": [[one.energies[one.last] for one in group] for group in groups],
    }
    ends = ", ".join(f"{title} {group[0].last:,}" for title, group in zip(titles, groups, strict=True))
    return FigureEntry(
        profiles(titles, panels, [one.initial for one in groups[0]], groups[0][0].basis),
        heading,
        "Energy of w(t) - w(0) relative to its peak, mean and range over seeds, in the components of the patches that "
        f"a network was trained on; drawn are those of the first. Last steps: {ends}. Gray: the random initialisation "
        "of the first network and λ of its patches, which early profiles follow.",
    )


def profiles(
    titles: Sequence[str],
    panels: Mapping[str, Sequence[Sequence[np.ndarray]]],
    initial: Sequence[np.ndarray],
    basis: PatchBasis,
) -> "Figure":
    """A panel a choice of steps: the profiles (D,) of every network and seed, relative to their peaks."""
    fig, axes = new_figure(columns=len(panels), width=5.2, height=3.6)
    numbers = np.arange(1, basis.size + 1)
    deviation = np.sqrt(basis.variance)
    for ax, (heading, networks) in zip(axes, panels.items(), strict=True):
        ax.plot(numbers, relative(initial).mean(axis=0), color=REFERENCE, lw=points(1), label="random initialisation")
        ax.plot(numbers, deviation / deviation.max(), color=REFERENCE, lw=points(1.5), ls=":", label="λ", zorder=3)
        for index, (title, seeds) in enumerate(zip(titles, networks, strict=True)):
            plot_seeds(ax, numbers, relative(seeds), title, index)
        component_axis(ax, basis.size, basis.images)
        ax.set(title=heading, ylim=(0, 1.05))
    axes[0].set_ylabel("energy / peak energy")
    legend(axes[-1], loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def relative(energies: Sequence[np.ndarray]) -> np.ndarray:
    """Profiles (S, D), each divided by its peak; zero where there is no energy."""
    stacked = np.array(energies)
    peaks = stacked.max(axis=1, keepdims=True)
    return np.divide(stacked, peaks, out=np.zeros_like(stacked), where=peaks > 0)


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
    for (one, other), rows in pairs.groupby(["network_a", "network_b"]):  # type: ignore[misc]
        row, column = place[one], place[other]
        table[row, column] = table[column, row] = rows.correlation.mean(skipna=False)
    return table


def seeds_over_steps(pairs: pd.DataFrame) -> "Figure":
    """A panel a network: correlation of two seeds, with λ, and beyond λ, against the step."""
    models = list(dict.fromkeys(pairs.network_a))
    fig, axes = new_figure(columns=len(models))
    lines = {"two seeds": "correlation", "one and λ": "lambda_a", "two seeds beyond λ": "beyond_lambda"}
    for ax, model in zip(axes, models, strict=True):
        own = pairs[pairs.network_a == model]
        for index, (label, column) in enumerate(lines.items()):
            table = own.pivot(index=["seed_a", "seed_b"], columns="step", values=column)
            plot_table(ax, table, label, index)
        ax.set(title=MODELS[model], xscale="log", xlabel="step")
        ax.set_ylim(top=1.02)
    axes[0].set_ylabel("correlation")
    legend(axes[0], loc="lower left")
    return fig
