"""Trajectories of composition, computed once for the patches of a data set, and kept beside their moments.

Those of CIFAR-10, normalised as usual, come with the package: `python -m tools.trajectories` computes them anew.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.images.cache import cache_dir, keep
from firstlight.patches.bank_statistics import PatchStatistics, dilation_of, zeros
from firstlight.theory.trajectory import (
    INITIAL_SCALE,
    SEEDS,
    TOLERANCE,
    WIDTH,
    Trajectory,
    composition_of,
    follow,
    seconds_for,
    window_sides,
)
from firstlight.utils.console import note
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.text import size_text

_FIRST, LAST, _NUMBER = 0.3, 40.0, 30
TIMES = np.geomspace(_FIRST, LAST, _NUMBER)
_FORMAT = 1
SHIPPED = files("firstlight.theory") / "shipped_trajectories"


def trajectory_of(
    bank: FilterBank,
    statistics: PatchStatistics,
    stride: int = 1,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
    most_seconds: float = math.inf,
) -> Trajectory:
    """What composition gives for the kernels of a bank: shipped, from the cache, or computed.

    Parameters
    ----------
    bank : FilterBank
        Whose shape and dilation count.
    statistics : PatchStatistics
    stride : int
        Of the layer.
    mean, std : optional
        As for `PatchStatistics.basis`.
    data_dir : str or Path, optional
        Folder of the cache.
    most_seconds : float
        What is neither shipped nor kept is not computed where that may take longer.

    Returns
    -------
    Trajectory
        At 30 times from 0.3 to 40, rounded to single precision.

    Raises
    ------
    InputError
        Composition is not defined for these kernels, the data have no patches that are wide enough, or it would take
        too long.
    """
    _, channels, rows, columns = bank.ungrouped().weight.shape
    dilation = dilation_of(bank)
    if rows != columns or dilation != 1:
        raise InputError(
            f"the kernels are {size_text((rows, columns))} with dilation {dilation}; expected square ones without: "
            "composition is not defined for them"
        )
    window_sides((rows, rows, 1, 1), stride, channels)  # refused before the patches are looked for
    usual = statistics.normalisation(channels) if mean is None or std is None else (mean, std)
    normalisation = usual[0] if mean is None else mean, usual[1] if std is None else std
    name = file_name(bank, statistics, stride, normalisation)
    if (shipped := SHIPPED / name).is_file():
        with as_file(shipped) as path:
            return _read(path)
    kept = cache_dir(data_dir) / "composition" / name
    if os.path.isfile(kept):
        try:
            return _read(kept)
        except (InputError, *DAMAGE):  # computed and written again
            pass
    seconds = seconds_for(channels, (rows, rows, 1, 1), stride, LAST)
    if seconds > most_seconds:
        raise InputError(
            f"composition for kernels of {size_text((rows, columns))} with stride {stride} would take about "
            f"{seconds:.0f} s: compute it once with firstlight.fit_theory, which keeps it"
        )
    found = computed(rows, channels, statistics, stride, *normalisation)
    keep(f"composition for {statistics.data} is", kept, partial(write, kept, found))
    return found


def file_name(bank: FilterBank, statistics: PatchStatistics, stride: int, normalisation: tuple) -> str:
    """A hash of all that decides a trajectory: the patches of the kernel's size stand for the images."""
    _, channels, side, _ = bank.ungrouped().weight.shape
    moments = statistics.moments(side, side, channels)
    per_channel = [np.broadcast_to(values, channels).tolist() for values in normalisation]
    settings = [_FORMAT, side, stride, WIDTH, INITIAL_SCALE, SEEDS, TOLERANCE, _FIRST, LAST, _NUMBER, moments.count]
    content = hashlib.sha256(json.dumps([settings, per_channel]).encode())
    for sums in (moments.second, moments.first):
        content.update(np.ascontiguousarray(sums).tobytes())
    return f"{content.hexdigest()}.npz"


def computed(
    side: int,
    channels: int,
    statistics: PatchStatistics,
    stride: int,
    mean: float | Sequence[float],
    std: float | Sequence[float],
) -> Trajectory:
    """What is kept, computed anew, for square kernels."""
    stack = composition_of(statistics, channels, (side, side, 1, 1), WIDTH, stride, mean, std)
    note(f"composition for the patches of {statistics.data} is computed, once")
    components = statistics.basis(zeros(channels, side), mean, std).components
    found = follow(stack, components, TIMES)
    return Trajectory(TIMES, found.energy.astype(np.float32), found.taps.astype(np.float32))


def write(path: Path, found: Trajectory) -> None:
    """Keep a trajectory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_npz(path, {"energy": found.energy, "taps": found.taps}, {"format": _FORMAT}, compressed=True)


def _read(path: Path) -> Trajectory:
    with open_npz(path) as stored:
        header_of(stored)
        return Trajectory(TIMES, stored["energy"], stored["taps"])
