"""The profile that composition gives over time, for the patches of any data: windows in, energies out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from firstlight.errors import InputError
from firstlight.patches.bank_statistics import PatchStatistics, zeros
from firstlight.patches.statistics import patch_statistics
from firstlight.theory.arguments import as_numbers
from firstlight.theory.composition import UNIT, Composition
from firstlight.theory.gradient_flow import flow_through
from firstlight.utils.checks import whole_number
from firstlight.utils.console import note
from firstlight.utils.text import counted

# The stack whose shape was chosen, on three networks, and then kept: its layers after the first, filters of each,
# deviation of the initial weights times the root of their fan in, and how many initialisations are averaged.
WIDTH, INITIAL_SCALE, SEEDS = 32, 0.3, 3
# Relative error of a step: that of r is then below 0.002 at any time, and below 0.0005 at the best.
TOLERANCE = 2e-4
# Of a window: the moments of more take gigabytes, and the flow hours.
_MOST_NUMBERS = 2500
# Gradients that the flow takes until a time, roughly; products a second of one core; and the seconds worth a line.
_GRADIENTS, _SPEED, _SAID_FROM = 60, 5e9, 10
# What is followed at all: so long, and from initial weights of such a scale.
_MOST_SECONDS, _SCALES = 3600, (1e-6, 2.0)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What the first layer is like over time.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Times, ascending, in units in which lambda_1^2 of the patches is 25.8.
    energy : ndarray, shape (T, D)
        The profile at each time, e, in the basis of the patches.
    taps : ndarray, shape (T, k, k)
        Mean squared weight at each tap of the kernel: the window.
    """

    t: np.ndarray = field(repr=False)
    energy: np.ndarray = field(repr=False)
    taps: np.ndarray = field(repr=False)


def composition_profile(
    data: Any = None,
    t: ArrayLike | None = None,
    *,
    layers: Sequence[int] = (3, 3, 1, 1),
    width: int = WIDTH,
    initial_scale: float = INITIAL_SCALE,
    stride: int = 1,
    seeds: int | Sequence[int] = SEEDS,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
    **options: Any,
) -> np.ndarray:
    """Energy profile of the first layer of a deep linear stack that learns, all layers together, what eq. 3 assumes.

    A stack of linear convolutions reads windows of the images, and learns by gradient flow to give the whitened centre
    of the window; that centre is as wide as the first kernel, or with a stride s, (k - 1) s + 1. Only moments of
    patches go in. One layer is eq. 3; more of them share the task out, and where later kernels are wider than one
    pixel, the first layer's filters become windowed.

    Parameters
    ----------
    data : optional
        Whatever else `patch_statistics` takes, of which patches as wide as the window are known or can be: by default
        CIFAR-10. Of layers (3, 3, 1, 1) windows are 5 pixels wide, with stride 2 they are 7.
    t : float or array_like of shape T
        Time, in units in which lambda_1^2 of the patches is 25.8; 0 or more, finite.
    layers : sequence of int
        Side of each layer's kernel, odd where there are several: the first is that of the patches.
    width : int
        Filters of every layer but the last.
    initial_scale : float
        Deviation of the Gaussian initial weights times the root of a filter's number of weights: 1e-6 to 2, or of a
        single layer 0.
    stride : int
        Of the first layer: later kernels read every stride-th pixel.
    seeds : int or sequence of int
        Number of initialisations whose energies e^2 are averaged, or the seeds of them.
    mean, std : float or sequence of float, optional
        The normalisation that the network was trained with, as for `patch_statistics(data).basis`.
    data_dir : str or Path, optional
        Folder of the cache.
    **options
        As for `patch_statistics`.

    Returns
    -------
    ndarray, shape T + (D,), float64
        e for each time, ``e_i^2 = u_i^T W_1^T W_1 u_i``. The same for the same seeds; how many threads multiply
        changes it by rounding, of relative size 1e-9 at most.

    Raises
    ------
    InputError
        Kernels of one pixel or with an even side, whose centre is none; windows that the data do not have, or of more
        than 2500 numbers; what would take more than an hour.

    Examples
    --------
    >>> import firstlight as fl
    >>> fl.composition_profile("cifar10", t=[0.5, 1.0], layers=(3,), initial_scale=0).shape  # eq. 3
    (2, 27)
    """
    time = as_numbers("t", t, "finite times, 0 or more")
    if not (np.isfinite(time) & (time >= 0)).all():
        raise InputError(f"t is {t!r}; expected finite times, 0 or more")
    if not isinstance(layers, Iterable) or not (sizes := tuple(whole_number("a side in layers", s, 1) for s in layers)):
        raise InputError(f"layers is {layers!r}; expected the sides of one kernel at least, such as (3, 3, 1, 1)")
    chosen = _seeds(seeds)
    scale = float(as_numbers("initial_scale", initial_scale, "a number"))
    if not (_SCALES[0] <= scale <= _SCALES[1] or (scale == 0 and len(sizes) == 1)):
        raise InputError(
            f"initial_scale is {initial_scale!r}; expected {_SCALES[0]:g} to {_SCALES[1]:g}: several layers of zeros "
            "never learn, and steps from large weights are too small to be followed"
        )
    statistics = patch_statistics(data, data_dir, **options)
    patches = statistics.example(sizes[0])
    channels = patches.weight.shape[1]
    stack = composition_of(statistics, channels, sizes, whole_number("width", width, 1), stride, mean, std)
    times, places = np.unique(time, return_inverse=True)
    components = statistics.basis(patches, mean, std).components
    found = follow(stack, components, times, scale, chosen)
    return found.energy[places.reshape(time.shape)]


def _seeds(seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        return tuple(range(whole_number("seeds", seeds, 1)))
    if chosen := tuple(whole_number("a seed in seeds", seed, 0) for seed in seeds):
        return chosen
    raise InputError(f"seeds is {seeds!r}; expected at least one seed, or how many")


def composition_of(
    statistics: PatchStatistics,
    channels: int,
    sizes: tuple[int, ...],
    width: int = WIDTH,
    stride: int = 1,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Composition:
    """The stack that learns from these patches.

    Raises
    ------
    InputError
        It is none that a window can be had for.
    """
    wide, target = window_sides(sizes, stride, channels)
    try:
        basis = statistics.basis(zeros(channels, wide), mean, std)
    except InputError as error:
        raise InputError(f"composition needs windows of {wide} x {wide} pixels: {error}") from None
    second = (basis.components.T * basis.variance) @ basis.components
    pixels = np.arange(channels * wide**2).reshape(channels, wide, wide)

    def centre(side: int) -> np.ndarray:
        edge = (wide - side) // 2
        return pixels[:, edge : edge + side, edge : edge + side].ravel()

    inner = centre(sizes[0])
    largest = np.linalg.eigvalsh(second[np.ix_(inner, inner)])[-1]
    if not largest > 0:
        raise InputError(f"all patches of {statistics.data} are zero; expected images with some structure")
    second *= UNIT / largest
    learned = centre(target)
    variance, vectors = np.linalg.eigh(second[np.ix_(learned, learned)])
    floor = len(variance) * np.finfo(np.float64).eps * variance[-1]
    inverse = np.where(variance > floor, 1 / np.sqrt(np.maximum(variance, floor)), 0.0)  # null directions: not learned
    whitening = (vectors * inverse) @ vectors.T
    return Composition(second, second[:, learned] @ whitening, sizes, channels, width, stride)


def window_sides(sizes: tuple[int, ...], stride: int, channels: int) -> tuple[int, int]:
    """Pixels in a row that the layers see, and of the centre that they learn.

    Raises
    ------
    InputError
        Composition is not defined for them.
    """
    if sizes[0] == 1:
        raise InputError(
            "the kernel is 1 x 1; expected 3 x 3 or more: without neighbours there is no window, so that composition "
            "says nothing beside eq. 3"
        )
    stride = whole_number("stride", stride, 1)
    wide = sizes[0] + stride * sum(size - 1 for size in sizes[1:])
    target = min((sizes[0] - 1) * stride + 1, wide)
    if (wide - target) % 2:
        raise InputError(
            f"the kernels are of sides {', '.join(map(str, sizes))}; expected odd ones, since windows of {wide} x "
            f"{wide} pixels have no centre of {target} x {target}: composition is not defined for them"
        )
    numbers = channels * wide**2
    if numbers > _MOST_NUMBERS:
        raise InputError(
            f"kernels of {sizes[0]} x {sizes[0]} with stride {stride} need windows of {wide} x {wide} x {channels}, "
            f"{numbers:,} numbers; expected at most {_MOST_NUMBERS:,}, which take minutes: composition is not computed"
        )
    return wide, target


def seconds_for(channels: int, sizes: tuple[int, ...], stride: int, until: float, seeds: int = SEEDS) -> float:
    """How long one core takes to follow a stack, roughly."""
    seen, learned = (channels * side**2 for side in window_sides(sizes, stride, channels))
    empty = np.empty((0, 0)), np.broadcast_to(0.0, (seen, learned))
    return _seconds(Composition(*empty, sizes, channels, WIDTH, stride), until, seeds)


def _seconds(stack: Composition, until: float, seeds: int) -> float:
    return _GRADIENTS * until * seeds * stack.products / _SPEED


def follow(
    stack: Composition,
    components: np.ndarray,
    times: np.ndarray,
    initial_scale: float = INITIAL_SCALE,
    seeds: Sequence[int] = tuple(range(SEEDS)),
    tolerance: float = TOLERANCE,
) -> Trajectory:
    """The first layer of the stack at several times, in the basis of the patches (D, D), over the seeds."""
    seconds = _seconds(stack, times[-1], len(seeds))
    if seconds > _MOST_SECONDS:
        raise InputError(
            f"composition until t = {times[-1]:g} with {stack.width} filters and {counted(len(seeds), 'seed')} would "
            f"take about {seconds / 3600:,.0f} hours; expected one at most: lower t, width, seeds or kernels"
        )
    if seconds > _SAID_FROM:
        note(f"composition is computed for windows of {stack.spans[-1]} x {stack.spans[-1]}: about {seconds:.0f} s")
    weights = stack.initial(initial_scale, seeds)
    firsts = [stack.layers(moved)[0].copy() for moved in flow_through(stack.flow, weights, times.tolist(), tolerance)]
    energy = [np.sqrt(np.mean(np.sum((components @ first) ** 2, axis=2), axis=0)) for first in firsts]
    side = stack.sizes[0]
    taps = [np.mean(first**2, axis=(0, 2)).reshape(stack.channels, side, side).mean(axis=0) for first in firsts]
    return Trajectory(times, np.array(energy), np.array(taps))
