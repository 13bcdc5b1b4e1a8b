"""The figures of the experiment `frequency`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from firstlight.experiments.frequency.claims import BANDS
from firstlight.experiments.networks import Trained
from firstlight.figures.axes import legend, new_figure, points, text
from firstlight.figures.colours import MEASURED, ON_DARK, REFERENCE
from firstlight.figures.profiles import component_axis
from firstlight.patches import PatchBasis
from firstlight.profile import energy_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def components(basis: PatchBasis, table: pd.DataFrame, random_bases: pd.DataFrame) -> "Figure":
    """Mean frequency and localisation of every component."""
    fig, (left, right) = new_figure(columns=2, width=4.7, height=3.4)
    left.fill_between(
        table.component,
        table.frequency - table.bandwidth,
        table.frequency + table.bandwidth,
        color=MEASURED,
        alpha=0.18,
        lw=0,
    )
    left.plot(table.component, table.frequency, color=MEASURED, marker="o", ms=points(4))
    left.set(ylim=(0, 0.75), ylabel="mean frequency, cycles/pixel")
    low, middle, high = np.percentile(random_bases.share, [2.5, 50, 97.5])
    right.axhspan(low, high, color=REFERENCE, alpha=0.3, lw=0)
    right.axhline(middle, color=REFERENCE, ls="--", lw=points(1), label="random bases, mean over components")
    right.axhline(1 / BANDS**2, color=REFERENCE, ls=":", lw=points(1), label="flat spectrum")
    right.plot(table.component, table.share, color=MEASURED, marker="o", ms=points(4), label="components")
    right.set(ylim=(0, 1), ylabel="share of power in the best cell")
    legend(right, loc="upper right")
    for ax in (left, right):
        component_axis(ax, basis.size, basis.images)
    return fig


def spectra(power: np.ndarray, columns: int = 9) -> "Figure":
    """The spectrum of every component, (D, BINS, BINS / 2), mirrored to the whole plane, side by side."""
    whole = np.concatenate([power[:, ::-1, ::-1], power], axis=2)
    bins = whole.shape[1]
    rows, pitch = -(-len(power) // columns), 1.32 * bins  # of a spectrum and the room for its number
    fig, (ax,) = new_figure(width=4.7, height=4.7 / columns * rows)
    # A cell of |f| is a band and its mirror image about 0.
    edges = bins * np.array([0.5 + sign * band / (2 * BANDS) for band in range(1, BANDS) for sign in (-1, 1)])
    for index, spectrum in enumerate(whole):
        top, left = index // columns * pitch, index % columns * pitch
        extent = (left, left + bins, top + bins, top)
        ax.imshow(spectrum / spectrum.max(), extent=extent, cmap="magma", vmin=0, vmax=1)
        ax.hlines(top + edges, left, left + bins, color=ON_DARK, lw=points(0.4))
        ax.vlines(left + edges, top, top + bins, color=ON_DARK, lw=points(0.4))
        ax.text(left + bins / 2, top - 3, f"{index + 1}", ha="center", va="bottom", fontsize=text(8))
    ax.set(xlim=(0, columns * pitch), ylim=(rows * pitch, -0.25 * bins))
    ax.set_axis_off()
    return fig


def profiles(groups: Sequence[Trained], basis: PatchBasis, table: pd.DataFrame) -> "Figure":
    """A panel a network: energy of the change in every component against that component's mean frequency."""
    fig, axes = new_figure(columns=len(groups))
    for ax, group in zip(axes, groups, strict=True):
        seeds = [energy_profile(run.final, basis, initial=run.initial).normalized for run in group.runs]
        energy = np.mean(seeds, axis=0)
        ax.plot(table.frequency, energy, ls="", marker="o", ms=points(4), color=MEASURED)
        number_dots(ax, table.frequency.to_numpy(), energy, table.component.to_numpy())
        ax.set(yscale="log", title=group.network.title)
        ax.set(xlabel="mean frequency, cycles/pixel", ylabel="energy / peak energy")
    return fig


def number_dots(ax: "Axes", x: np.ndarray, y: np.ndarray, numbers: np.ndarray) -> None:
    """Number dots, y on a log axis; those so close that their numbers would overlap share one label."""
    logs = np.log10(y)
    close = 0.05 * max(float(np.ptp(logs)), 1e-9)
    groups: list[list[int]] = []
    for dot in np.lexsort((-logs, np.round(x, 2))):
        last = groups[-1][-1] if groups else None
        if last is not None and abs(x[dot] - x[last]) < 0.01 and logs[last] - logs[dot] < close:
            groups[-1].append(dot)
        else:
            groups.append([dot])
    for group in groups:
        said = ", ".join(map(str, sorted(numbers[group])))
        place = x[group].max(), 10 ** logs[group].mean()
        options = {"textcoords": "offset points", "va": "center", "fontsize": text(7)}
        ax.annotate(said, place, xytext=(points(4), 0), **options)
