"""Filter banks that a first layer is compared with: the ideal whitening one, and none at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.patches.statistics import basis_of_size


def whitening_bank(
    basis: Any = None,
    kernel_size: int | None = None,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> FilterBank:
    """The ideal whitening filters of patches, ``w_i = u_i / lambda_i``: the limit of eq. 3 as t goes to infinity.

    Their responses to one patch are uncorrelated and of equal variance. Nothing is said of the responses to
    different patches; the paper takes those to be uncorrelated to begin with.

    Parameters
    ----------
    basis : PatchBasis, or whatever else `patch_statistics` takes; optional
        The components of the patches, or the data whose they are: by default CIFAR-10.
    kernel_size : int, optional
        By default that of the basis or the moments; of images 3.
    mean, std : float or sequence of C floats, optional
        The normalisation, in 0..1 for uint8 images; by default that of the data.

    Returns
    -------
    FilterBank
        A filter for each component with variance, largest variance first, shape (D, C, k, k). Any rotation of it, such
        as the symmetric (ZCA) one, has the same energy profile and the same auto-correlation.

    Raises
    ------
    InputError
        No component has variance.

    References
    ----------
    Chowers and Weiss, ICML 2023, Theorem 4.3; note sec. 2.3.

    Examples
    --------
    >>> import firstlight as fl
    >>> images = fl.load_images("photos")
    >>> basis = fl.PatchMoments(kernel_size=3, channels=3).update(images.images).basis(images.mean, images.std)
    >>> whitening_bank(basis)
    FilterBank(whitening: 27 filters of 3 x 3 x 3)
    >>> whitening_bank("cifar10", kernel_size=5)
    FilterBank(whitening: 75 filters of 3 x 5 x 5)
    """
    basis = basis_of_size(basis, kernel_size, mean, std)
    varies = basis.variance > 0
    if not varies.any():
        raise InputError("no component of the basis has variance; expected patches that are not all zero")
    return FilterBank(basis.images[varies] / np.sqrt(basis.variance[varies])[:, None, None, None], source="whitening")


def pixel_bank(channels: int) -> FilterBank:
    """The filters that hand the pixels on as they are: a 1 x 1 identity, shape (C, C, 1, 1)."""
    return FilterBank(np.eye(channels)[:, :, None, None], source="pixels")
