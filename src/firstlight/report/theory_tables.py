"""`firstlight theory`: eq. 3 at several numbers of steps, as a table with bars, and as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from firstlight.errors import InputError
from firstlight.figures.profiles import plot_over_time
from firstlight.figures.svg import svg
from firstlight.images import load_images
from firstlight.patches import PatchBasis, patch_basis
from firstlight.profile import correlation
from firstlight.report.outputs import write_figure, write_table
from firstlight.report.terminal import bars
from firstlight.theory import PEAK, linear_cnn_profile, regime


def show_theory(
    data: str | Path,
    data_dir: Path | None,
    kernel_size: int,
    lr: float,
    steps: Sequence[float] | None,
    out: Path | None,
    console: Console,
    *,
    hints: bool = True,
) -> dict[str, Any]:
    """Print eq. 3 for the patches of a data set; with `out`, also write `theory.csv`, `.svg` and `.png` there.

    Parameters
    ----------
    data, data_dir : as for `load_images`.
    kernel_size : side of the patches, in pixels.
    lr : learning rate of the linear CNN, on pixels normalised per channel.
    steps : numbers of gradient steps; None for some from early to whitened.
    out : folder, or None.
    console : where it is printed.
    hints : whether it is said what the table's columns are, and what was written.

    Returns
    -------
    dict
        The same in JSON's types; a number of steps that is infinite is the text "inf".

    Raises
    ------
    InputError, SourceError
        The data cannot be had, or eq. 3 has no finite value there.
    """
    images = load_images(data, data_dir=data_dir)
    basis = patch_basis(images, kernel_size)
    times = np.unique(np.array(steps if steps else _spread(basis, lr), dtype=np.float64))
    profiles = linear_cnn_profile(basis.variance, lr=lr, steps=times)

    fastest = lr * basis.variance[0]
    console.print(
        f"{images.name}: {basis.count:,} patches of {images.channels} x {kernel_size} x {kernel_size}", markup=False
    )
    console.print(
        f"lr {lr:g}: lr × λ² of the first component is {fastest:.4g}, gradient descent is {regime(basis.variance, lr)}"
    )
    console.print(_table(basis, times, lr, profiles))
    if hints:
        console.print(
            "τ = lr × steps, on pixels normalised per channel; bars: energy by component, relative to its peak"
        )
    if out is not None:
        _write(out, basis, times, lr, profiles)
        if hints:
            console.print(f"Written: {out / 'theory.csv'}, theory.svg, theory.png", soft_wrap=True, markup=False)
    return {
        "data": images.name,
        "patches": basis.count,
        "channels": images.channels,
        "kernel_size": kernel_size,
        "lr": lr,
        "descent": regime(basis.variance, lr),
        "variance": basis.variance.tolist(),
        "steps": [step if np.isfinite(step) else "inf" for step in times.tolist()],
        "energy": profiles.tolist(),
    }


def _spread(basis: PatchBasis, lr: float) -> list[float]:
    """Steps from one, over those whose peaks spread over the components, to whitening."""
    positive = basis.variance[basis.variance > 0]
    if not len(positive):
        raise InputError("all patches are zero; expected images with some structure")
    fastest = lr * positive.max()
    last = max(1.0, PEAK / (lr * positive.min()))
    if fastest > 2:
        last = min(last, 50 / np.log(fastest - 1))  # beyond that the diverging component hides all others
    middle = sorted({float(round(step)) for step in np.geomspace(1, max(last, 1), 7)})
    return [*middle, float("inf")] if fastest < 2 and len(positive) == basis.size else middle


def _table(basis: PatchBasis, times: np.ndarray, lr: float, profiles: np.ndarray) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for header in ("steps", "τ", "peak at", "r with λ", "with 1/λ"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("energy profile", overflow="fold")
    deviation = np.sqrt(basis.variance)
    whitening = np.divide(1, deviation, out=np.zeros(basis.size), where=deviation > 0)

    def compared(profile: np.ndarray, other: np.ndarray) -> str:
        """Their correlation, where both have something that differs."""
        same = np.ptp(profile) == 0 or np.ptp(other) == 0
        return "-" if same else f"{correlation(profile, other):.3f}"

    for step, profile in zip(times, profiles, strict=True):
        table.add_row(
            f"{step:,.0f}",
            f"{lr * step:.4g}",
            str(int(np.argmax(profile)) + 1) if profile.max() > 0 else "-",
            compared(profile, deviation),
            compared(profile, whitening) if deviation.all() else "-",
            bars(profile),
        )
    return table


def _write(out: Path, basis: PatchBasis, times: np.ndarray, lr: float, profiles: np.ndarray) -> None:
    names = ["inf" if np.isinf(step) else f"{step:.0f}" for step in times]
    columns = {f"energy_after_{name}_steps": profile for name, profile in zip(names, profiles, strict=True)}
    frame = pd.DataFrame({"component": range(1, basis.size + 1), "variance": basis.variance, **columns})
    write_table(frame, out / "theory.csv")
    moved = profiles.max(axis=1) > 0  # at step 0 there is nothing to see
    labels = [f"{step:,.0f} steps, τ = {lr * step:.3g}" for step in times[moved]]
    fig = plot_over_time(profiles[moved], labels)
    write_figure(fig, svg(fig), out / "theory")
