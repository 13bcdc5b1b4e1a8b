"""Does |u_i . b| become proportional to lambda_i, as Theorem 4.2 takes it to? By the number of outputs and of images.

With labels that are uncorrelated with the patches, u_i . b is a mean over N images of products of mean 0: normal by the
central limit theorem, with a deviation in proportion to lambda_i / sqrt(N). Eq. 3 puts lambda_i in the place of
|u_i . b|. But mean and spread of a half-normal number are both in proportion to its deviation: more images make them
smaller, and spread / mean stays sqrt(pi / 2 - 1) = 0.76, for each component of a network with one output. Nor do more
filters help, which all change alike. What averages are outputs: of m of them, spread / mean is about 1 / sqrt(2 m).
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from firstlight.experiments.linear import dynamics
from firstlight.patches import PatchBasis
from firstlight.profile import standardized
from firstlight.theory import MeanPatchMoments, linear_cnn_profile

OUTPUTS = (1, 10, 100)  # of which a profile is the root mean square
IMAGES = (500, 5_000, 50_000)  # of ideal data


def halves(count: int, seed: int) -> np.ndarray:
    """Labels of 100 networks of one output: for each, every image in one of two classes at random; (N, 100), bool."""
    return np.random.default_rng(seed).random((count, max(OUTPUTS))) < 0.5


def ideal_sets(basis: PatchBasis, patches: int) -> Iterator[tuple[int, MeanPatchMoments]]:
    """Every seed with images that satisfy the assumptions, of every number, and labels that are `halves`."""
    for images, seed in product(IMAGES, dynamics.SEEDS):
        yield seed, dynamics.ideal_moments(basis, images, patches, seed, halves)


def profiles_of(coefficients: np.ndarray, outputs: int) -> np.ndarray:
    """Profiles (..., M / outputs, D) of the networks that so many of all M outputs make, (..., M, D)."""
    *shape, total, size = coefficients.shape
    return np.sqrt(np.square(coefficients.reshape(*shape, total // outputs, outputs, size)).mean(axis=-2))


def output_table(kind: str, seed: int, moments: MeanPatchMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a number of outputs and time: correlation of exact profiles with eq. 3, mean over so many networks."""
    predicted = linear_cnn_profile(basis.variance, lr=dynamics.eta_of(moments), steps=dynamics.TIMES)
    formula = np.array([standardized(profile) for profile in predicted])
    changes = dynamics.exact_changes(moments, basis)
    rows = []
    for outputs in OUTPUTS:
        profiles = profiles_of(changes, outputs)
        centred = profiles - profiles.mean(axis=-1, keepdims=True)
        found = np.einsum("tnd,td->tn", centred, formula) / np.linalg.norm(centred, axis=-1)
        rows += [
            (kind, outputs, moments.images, seed, time, len(values), values.mean())
            for time, values in zip(dynamics.TIMES, found, strict=True)
        ]
    return pd.DataFrame(rows, columns=["kind", "outputs", "images", "seed", "t", "networks", "same_eta"])


def spread_table(kind: str, seed: int, moments: MeanPatchMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a number of outputs: mean and spread of |u_i . b| relative to its deviation, over components and networks.

    The deviation is that of the mean patches along u_i, sqrt(A_ii): were it lambda_i, the correlations of real patches
    would count as well.
    """
    kept = basis.components[basis.variance > 0]
    deviation = np.sqrt(np.diag(kept @ moments.second @ kept.T))
    rows = []
    for outputs in OUTPUTS:
        sizes = profiles_of(moments.cross @ kept.T, outputs) / deviation
        mean, spread = sizes.mean(), sizes.std()
        rows.append((kind, outputs, moments.images, seed, mean, spread, spread / mean))
    return pd.DataFrame(rows, columns=["kind", "outputs", "images", "seed", "mean", "spread", "spread_over_mean"])
