"""The moments that a linear CNN learns from, of real and of ideal images, and its exact energy profiles over time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from firstlight.experiments.context import Context
from firstlight.experiments.linear.descent import KERNEL_SIZE
from firstlight.images import ImageSet
from firstlight.patches import PatchBasis
from firstlight.theory import MeanPatchMoments, frozen_readout_filters, mean_patch_moments, two_layer_descent

TIMES = tuple(np.unique(np.geomspace(1, 1e5, 16).round().astype(int)).tolist())
SPEED = 0.5  # lr K max(a), in the first of the three regimes
SEEDS = (0, 1, 2)
RANDOM_CLASSES, FEW_CLASSES = 100, 10  # of random labels, on any data
HIDDEN = 64  # filters where the readout is trained too


def random_targets(count: int, seed: int) -> np.ndarray:
    """One-hot targets (N, RANDOM_CLASSES), bool, of classes drawn at random for every image."""
    return np.eye(RANDOM_CLASSES, dtype=bool)[np.random.default_rng(seed).integers(0, RANDOM_CLASSES, count)]


def real_moments(context: Context) -> tuple[MeanPatchMoments, dict[int, MeanPatchMoments]]:
    """Moments of all training images with their true labels, and by seed with random ones."""
    facts, _ = context.facts()

    def measure(train: ImageSet, test: ImageSet) -> dict[str, np.ndarray]:
        true = np.eye(len(train.classes), dtype=bool)[train.labels]
        targets = np.hstack([true, *(random_targets(len(train), seed) for seed in SEEDS)])
        moments = mean_patch_moments(train, KERNEL_SIZE, targets)
        return {"second": moments.second, "cross": moments.cross, "patches": np.array(moments.patches)}

    found = context.measured("mean-patch-moments", measure, seeds=list(SEEDS), random_classes=RANDOM_CLASSES)
    true, *drawn = np.split(found["cross"], len(facts.classes) + RANDOM_CLASSES * np.arange(len(SEEDS)))

    def with_cross(cross: np.ndarray) -> MeanPatchMoments:
        return MeanPatchMoments(found["second"], cross, facts.count, int(found["patches"]))

    return with_cross(true), {seed: with_cross(cross) for seed, cross in zip(SEEDS, drawn, strict=True)}


def ideal_moments(
    basis: PatchBasis, images: int, patches: int, seed: int, draw: Callable[[int, int], np.ndarray] = random_targets
) -> MeanPatchMoments:
    """Moments of images that satisfy the assumptions, with random labels, which `draw` makes of number and seed.

    The J patches of an image are independent and Gaussian, with the variances lambda_i^2 of the basis. Their mean is
    then Gaussian with variances lambda_i^2 / J: it is drawn directly, and no pixel is made.
    """
    rng = np.random.default_rng([seed, 1])  # another stream than the labels'
    means = rng.standard_normal((images, basis.size)) * np.sqrt(basis.variance / patches) @ basis.components
    targets = draw(images, seed)
    second = means.T @ means / images
    return MeanPatchMoments(
        (second + second.T) / 2, (targets - targets.mean(axis=0)).T @ means / images, images, patches
    )


def merged_classes(moments: MeanPatchMoments) -> MeanPatchMoments:
    """The same images, every RANDOM_CLASSES / FEW_CLASSES of the classes being one."""
    cross = moments.cross.reshape(-1, FEW_CLASSES, moments.size).sum(axis=0)
    return replace(moments, cross=cross)


def exact_changes(moments: MeanPatchMoments, basis: PatchBasis) -> np.ndarray:
    """|u_i . (w(t) - w(0))| at all TIMES of the networks of each output, shape (T, m, D).

    The K filters of a network change alike; their sum is what is trained here, with the rate lr K = SPEED / max(a).
    """
    start, readout = np.zeros_like(moments.cross), np.eye(len(moments.cross))
    filters = frozen_readout_filters(moments, start, readout, SPEED / moments.rates[0], TIMES)
    return np.abs(filters @ basis.components.T)


def readout_trained(context: Context, moments: MeanPatchMoments, basis: PatchBasis, seed: int) -> np.ndarray:
    """Profile of w(t) - w(0) where both layers are trained, from weights of variance 1 / HIDDEN."""

    def measure(train: ImageSet, test: ImageSet) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        filters = rng.standard_normal((HIDDEN, moments.size)) / np.sqrt(HIDDEN)
        readout = rng.standard_normal((len(moments.cross), HIDDEN)) / np.sqrt(HIDDEN)
        lr = SPEED / (moments.rates[0] * np.linalg.norm(readout, 2) ** 2)
        change = two_layer_descent(moments, filters, readout, lr, TIMES)[0] - filters
        return {"energy": root_mean_square(change @ basis.components.T)}

    parameters = {"seed": seed, "filters": HIDDEN, "speed": SPEED, "times": list(TIMES)}
    return context.measured("linear-readout-trained", measure, **parameters)["energy"]


def root_mean_square(coefficients: np.ndarray) -> np.ndarray:
    """Energy profiles (T, D) of banks of coefficients (T, K, D) (eq. 1)."""
    return np.sqrt(np.mean(coefficients**2, axis=1))


def eta_of(moments: MeanPatchMoments) -> float:
    """The eta of eq. 3, lr K / J, of the networks in `exact_changes`."""
    return SPEED / moments.rates[0] / moments.patches
