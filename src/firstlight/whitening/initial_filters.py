"""Filters that whiten patches, in any number: where theory says that a first layer goes, to start it there."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import basis_of_size
from firstlight.theory.formula import linear_cnn_profile
from firstlight.theory.null import orthonormal_bases
from firstlight.utils.checks import whole_number

Kind = Literal["pca", "zca", "eq3"]
EPS = 5e-4  # as the fast networks for CIFAR-10 have it


def whitening_filters(
    basis: Any = None,
    filters: int | None = None,
    *,
    kind: Kind = "pca",
    tau: float = float("inf"),
    eps: float = EPS,
    pairs: bool = True,
    seed: int = 0,
    kernel_size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> np.ndarray:
    """Filters whose responses to patches are uncorrelated, in any number, to start a first layer with.

    One set has a filter a component that varies, B of them, the largest variance first. With fewer filters than B, the
    leading ones. With more, with `pairs`, the negatives of all of them in the same order, as a rectifier passes half of
    each; then, and without `pairs` at once, further sets, each turned by a random rotation, which changes no energy
    profile and no response variance of the set.

    Parameters
    ----------
    basis : PatchBasis, or whatever else `patch_statistics` takes; optional
        The components of the patches, or the data whose they are: by default CIFAR-10.
    filters : int, optional
        How many, K; by default B, or 2 B in pairs.
    kind : {"pca", "zca", "eq3"}
        - ``"pca"``: ``w_i = u_i / sqrt(lambda_i^2 + eps)``. With 2 B filters in pairs this is the first layer of the
          fast networks for CIFAR-10 (Page; Jordan).
        - ``"zca"``: the rotation of these that is nearest to the pixels, each filter about one of them, those nearest
          to the centre of the kernel first.
        - ``"eq3"``: ``w_i = u_i (1 - exp(-tau lambda_i^2)) / lambda_i``, what gradient descent gives a linear CNN.
    tau : float
        Of ``"eq3"``: training time lr * steps, on pixels normalised as the basis was; infinity is whitening.
    eps : float
        Of the others: what keeps components of little variance from being amplified without bound, in units of the
        variance. Not negative.
    pairs : bool
        Whether negatives come before rotations.
    seed : int
        Of the rotations.
    kernel_size : int, optional
        By default that of the basis or the moments; of images 3.
    mean, std : float or sequence of C floats, optional
        The normalisation, in 0..1 for uint8 images; by default that of the data. It has to be the network's.

    Returns
    -------
    ndarray, shape (K, C, k, k), float64
        Not scaled: without `eps`, whitening filters respond with variance 1.

    Raises
    ------
    InputError
        An option is none, no component varies, or there are fewer patches than components.

    References
    ----------
    Eq. 3 and its limit: Chowers and Weiss, ICML 2023, Theorems 4.2 and 4.3. D. Page, "How to train your ResNet", 2019,
    part 8; K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.1.

    Examples
    --------
    >>> whitening_filters("cifar10", 24, kernel_size=2).shape
    (24, 3, 2, 2)
    """
    basis = basis_of_size(basis, kernel_size, mean, std)
    one = _one_set(basis, kind, tau, eps)
    count = len(one)
    wanted = whole_number("filters", (2 * count if pairs else count) if filters is None else filters, 1)
    sets = [one]
    each = 2 * count if pairs else count
    rotations = orthonormal_bases(max(0, -(-wanted // each) - 1), count, seed)
    sets += [rotation @ one for rotation in rotations]
    whole = [part for each_set in sets for part in ((each_set, -each_set) if pairs else (each_set,))]
    return np.concatenate(whole)[:wanted].reshape(wanted, *basis.shape)


def _one_set(basis: PatchBasis, kind: str, tau: float, eps: float) -> np.ndarray:
    """A filter a component with variance, shape (B, D)."""
    if kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    if isinstance(eps, bool) or not 0 <= eps < np.inf:
        raise InputError(f"eps is {eps!r}; expected a number of at least 0, such as {EPS}")
    if basis.shortage:
        raise InputError(f"{basis.shortage}; expected more patches than components: give more images, or larger ones")
    varies = basis.variance > 0
    if not varies.any():
        raise InputError("no component of the basis has variance; expected patches that are not all zero")
    components, variance = basis.components[varies], basis.variance[varies]
    if kind == "eq3":
        amplitude = linear_cnn_profile(variance, tau)
        if not amplitude.all():
            raise InputError(f"tau is {tau!r}; expected a time above 0: eq. 3 begins with filters of 0")
    else:
        amplitude = 1 / np.sqrt(variance + eps)
    leading = components * amplitude[:, None]
    return _nearest_to_pixels(components, leading, basis.shape) if kind == "zca" else leading


def _nearest_to_pixels(components: np.ndarray, filters: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The symmetric rotation of filters, its rows by the distance of their pixel from the centre; the colours abreast.

    Where components without variance are left out, so many rows as the filters are.
    """
    _, rows, columns = shape
    down, across = np.indices(shape)[1:]
    away = np.hypot(down - (rows - 1) / 2, across - (columns - 1) / 2).ravel()
    order = np.argsort(away.round(9), kind="stable")[: len(filters)]
    return (components.T @ filters)[order]
