"""The linear CNN itself, trained by autograd on a few hundred images, beside its closed form and eq. 3."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.images import ImageSet
from firstlight.patches import PatchBasis, PatchGeometry, PatchMoments
from firstlight.profile import correlation, energy_profile
from firstlight.theory import (
    MeanPatchMoments,
    frozen_readout_filters,
    linear_cnn_profile,
    mean_patch_moments,
    regime,
)

KERNEL_SIZE = 3
STEP_SIZES = (0.5, 1.5, 2.5)  # lr K max(a): one in each regime
FILTERS = 4
IMAGES, QUICK_IMAGES = 200, 64
STEPS = 500
FIRST_STEPS = 8  # recorded one by one, to see whether they oscillate
LONG = 5000  # as far as the closed form goes on alone
_BLOCK = 50  # images at a time, whose unfolded patches stay in a cache: three times as quick as 200


@dataclass(frozen=True)
class Descent:
    """What gradient descent did.

    Attributes
    ----------
    moments : MeanPatchMoments
        Of the images and labels that were trained on.
    basis : PatchBasis
        Of these images' patches.
    steps : ndarray, shape (T,)
        Recorded steps, from 0.
    filters : ndarray, shape (len(STEP_SIZES), T, K, D)
        The filters there, for each step size.
    """

    moments: MeanPatchMoments
    basis: PatchBasis
    steps: np.ndarray
    filters: np.ndarray

    @property
    def rates(self) -> list[float]:
        """Learning rate of each step size: lr = STEP_SIZES / (K max(a))."""
        return [size / (FILTERS * self.moments.rates[0]) for size in STEP_SIZES]

    def exact(self, lr: float, steps: np.ndarray) -> np.ndarray:
        """The closed form from the same initial filters, shape (T, K, D)."""
        return frozen_readout_filters(self.moments, self.filters[0, 0], np.ones((1, FILTERS)), lr, steps)


def recorded_steps(last: int) -> np.ndarray:
    """The first steps one by one, then about ten a decade."""
    apart = np.geomspace(FIRST_STEPS, last, int(10 * np.log10(last / FIRST_STEPS)) + 2).round().astype(int)
    return np.unique([*range(FIRST_STEPS + 1), *apart])


def measured_descent(context: Context) -> Descent:
    """Train the network at every step size on images spread over the training set: its commonest class or not."""
    facts = context.facts()[0]
    count = min(QUICK_IMAGES if context.quick else IMAGES, facts.count)

    def measure(train: ImageSet, test: ImageSet) -> dict[str, np.ndarray]:
        assert train.labels is not None  # data without labels are refused before
        chosen = np.linspace(0, len(train) - 1, count).astype(int)
        labels = train.labels[chosen]
        images = replace(train, images=train.images[chosen], labels=labels)
        targets = labels == np.bincount(labels).argmax()
        moments = mean_patch_moments(images, KERNEL_SIZE, targets)
        patches = PatchMoments(KERNEL_SIZE, train.channels).update(images.images)
        rates = [size / (FILTERS * moments.rates[0]) for size in STEP_SIZES]
        return {
            "second": moments.second,
            "cross": moments.cross,
            "patches": np.array(moments.patches),
            "patch_second": patches.second,
            "patch_first": patches.first,
            "filters": np.array([list(descend(images, targets, lr, recorded_steps(STEPS))) for lr in rates]),
        }

    found = context.measured(
        "linear-cnn-descent", measure, images=count, filters=FILTERS, step_sizes=list(STEP_SIZES), steps=STEPS
    )
    moments = MeanPatchMoments(found["second"], found["cross"], count, int(found["patches"]))
    patch_count = count * moments.patches
    geometry = PatchGeometry(KERNEL_SIZE, facts.channels)
    patches = PatchMoments.of_sums(found["patch_second"], found["patch_first"], patch_count, geometry)
    return Descent(moments, patches.basis(facts.mean, facts.std), recorded_steps(STEPS), found["filters"])


def descend(images: ImageSet, targets: np.ndarray, lr: float, record: np.ndarray) -> Iterator[np.ndarray]:
    """Full-batch gradient descent in float64, by autograd through the convolution; yields filters (K, D)."""
    import torch

    from firstlight.models import LinearCNN

    pixels = torch.from_numpy(images.normalised())
    centred = torch.from_numpy(targets - targets.mean())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LinearCNN(FILTERS, KERNEL_SIZE, images.channels).double()
    weight = network.conv.weight
    blocks = list(zip(pixels.split(_BLOCK), centred.split(_BLOCK), strict=True))
    for step in range(int(record[-1]) + 1):
        if step in record:
            yield weight.detach().flatten(1).numpy().copy()
        network.zero_grad()
        for block, target in blocks:
            (0.5 * (network(block) - target).square().sum() / len(pixels)).backward()
        assert weight.grad is not None
        with torch.no_grad():
            weight -= lr * weight.grad


def descent_table(descent: Descent) -> pd.DataFrame:
    """A row a step size and step: trained against exact filters, and the exact profile against eq. 3.

    Beyond the last trained step, up to LONG, the closed form goes on alone, unless it diverges.
    """
    moments, basis = descent.moments, descent.basis
    rows = []
    for size, lr, trained in zip(STEP_SIZES, descent.rates, descent.filters, strict=True):
        steps = descent.steps if size >= 2 else np.union1d(descent.steps, recorded_steps(LONG))
        exact = descent.exact(lr, steps)
        differences = np.full(len(steps), np.nan)
        shared = np.isin(steps, descent.steps)
        largest = np.abs(exact[shared]).max(axis=(1, 2))
        differences[shared] = np.abs(trained - exact[shared]).max(axis=(1, 2)) / largest
        for step, filters, difference in zip(steps[1:], exact[1:], differences[1:], strict=True):
            profile = energy_profile(pictures(filters, basis), basis, initial=pictures(exact[0], basis))
            same_eta = linear_cnn_profile(basis.variance, lr=lr * FILTERS / moments.patches, steps=int(step))
            same_speed = linear_cnn_profile(basis.variance, lr=size / basis.variance[0], steps=int(step))
            rows.append(
                {
                    "step_size": size,
                    "step": int(step),
                    "difference": difference,
                    "same_eta": correlation(profile.energy, same_eta),
                    "same_speed": correlation(profile.energy, same_speed),
                }
            )
    return pd.DataFrame(rows)


def pictures(filters: np.ndarray, basis: PatchBasis) -> np.ndarray:
    """Filters (K, D) as (K, C, k, k)."""
    return filters.reshape(len(filters), basis.channels, basis.kernel_size, basis.kernel_size)


def progress(descent: Descent) -> np.ndarray:
    """How far the mean filter is towards its limit, along A's first principal direction, in the first steps.

    Shape (len(STEP_SIZES), FIRST_STEPS + 1): 0 at the start, 1 at the limit b / (K a). It is the component that every
    regime of the step size is about.
    """
    _, vectors = np.linalg.eigh(descent.moments.second)
    direction = vectors[:, -1]
    coordinate = descent.filters[:, : FIRST_STEPS + 1].mean(axis=2) @ direction
    limit = float(descent.moments.cross[0] @ direction) / (FILTERS * descent.moments.rates[0])
    return (coordinate - coordinate[:, :1]) / (limit - coordinate[:, :1])


def behaviour(path: np.ndarray) -> str:
    """What the network did, in the words of `theory.regime`, judged by each step's move beside the move before it."""
    moves = np.diff(path)
    shrinks, turns = np.abs(moves[1:]) < np.abs(moves[:-1]), moves[1:] * moves[:-1] < 0
    if not shrinks.any():
        return "diverging"
    if shrinks.all() and turns.all() == turns.any():
        return "oscillating" if turns.all() else "converging"
    return "mixed"


def regime_table(descent: Descent) -> pd.DataFrame:
    """A row a step size: what the trained network did, and what theory says with its own or the patches' variance."""
    moments, variance = descent.moments, descent.basis.variance
    rows = []
    for size, lr, path in zip(STEP_SIZES, descent.rates, progress(descent), strict=True):
        rows.append(
            {
                "step_size": size,
                "lr": lr,
                "trained": behaviour(path),
                "mean_patches": regime(FILTERS * moments.rates, lr),
                "same_eta": regime(variance, lr * FILTERS / moments.patches),
                "patch_variance": regime(variance, lr * FILTERS),
            }
        )
    return pd.DataFrame(rows)
