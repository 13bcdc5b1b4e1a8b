"""The depth-2 linear CNN trained exactly: two small matrices of moments hold all of its gradient descent.

The network is ``f(x) = V W pbar(x)``: filters W (K, D), global average pooling, which leaves the image's mean patch
pbar(x), and a linear readout V (m, K). With ``A = E[pbar pbar^T]``, ``B = E[(y - ybar) pbar^T]`` and the residual
``R = V W A - B``, a step of gradient descent on ``1/2 E |f(x) - (y - ybar)|^2`` is ``W <- W - lr V^T R`` and
``V <- V - lr R W^T``. No image is needed once A and B are known, and with V frozen not even a step: there is a closed
form. The network of the paper has one output and V a row of ones, frozen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from firstlight.errors import InputError
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.validation import validate_images
from firstlight.utils.checks import positive_number

if TYPE_CHECKING:
    from firstlight.images import ImageSet

_BLOCK_BYTES = 1 << 23  # of pixels at a time, so that no float copy of a data set is held


@dataclass(frozen=True, eq=False)
class MeanPatchMoments:
    """All that gradient descent on a linear CNN sees of images and targets: moments of the images' mean patches.

    Attributes
    ----------
    second : ndarray, shape (D, D), float64
        A = E[pbar pbar^T] over images, in units of the squared normalised pixel; not centred.
    cross : ndarray, shape (m, D), float64
        B = E[(y - ybar) pbar^T], a row a target.
    images : int
        Number of images.
    patches : int
        Number J of patches in an image. Were they uncorrelated, A would be the patches' second moment divided by J.

    Raises
    ------
    InputError
        Shapes that do not belong together, numbers that are not finite, or a second moment that is not symmetric.
    """

    second: np.ndarray = field(repr=False)
    cross: np.ndarray = field(repr=False)
    images: int
    patches: int

    def __post_init__(self) -> None:
        size = len(self.second) if np.ndim(self.second) else 0
        second = _matrix("second", self.second, (size, size))
        cross = _matrix("cross", self.cross, (None, size))
        if not np.allclose(second, second.T, rtol=1e-9, atol=1e-12 * np.abs(second).max(initial=0)):
            raise InputError("second is not symmetric; expected E[pbar pbar^T] of the mean patches")
        for name, array in (("second", second), ("cross", cross)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def size(self) -> int:
        """Length D of a patch."""
        return len(self.second)

    @property
    def rates(self) -> np.ndarray:
        """The eigenvalues of A, shape (D,), descending: times lr and K, how fast the paper's network learns."""
        return np.maximum(np.linalg.eigvalsh(self.second)[::-1], 0.0)


def mean_patch_moments(image_set: "ImageSet", kernel_size: int, targets: ArrayLike) -> MeanPatchMoments:
    """Measure the moments of the mean patches of images, normalised as a network sees them.

    Parameters
    ----------
    image_set : ImageSet
        Its mean and std normalise the pixels. Patches are read with stride 1, without padding.
    kernel_size : int
        Side of the patches, in pixels.
    targets : array_like, shape (N, m) or (N,), numbers or bool
        What the network is to predict of each image. Their mean is subtracted: the network has no bias.

    Returns
    -------
    MeanPatchMoments

    Raises
    ------
    InputError
        Images smaller than the kernel or not finite, or targets that are not one finite row an image.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 4.
    """
    count = len(image_set)
    target = _targets(targets, count)
    average = target.mean(axis=0, dtype=np.float64)
    geometry = PatchGeometry(kernel_size, image_set.channels)
    size = geometry.size
    second, cross = np.zeros((size, size)), np.zeros((len(average), size))
    for start, patches in _mean_patches(image_set, geometry):
        second += patches.T @ patches
        cross += (target[start : start + len(patches)] - average).T @ patches
    rows, columns = geometry.windows(*image_set.size)
    return MeanPatchMoments((second + second.T) / (2 * count), cross / count, count, rows * columns)


def frozen_readout_filters(
    moments: MeanPatchMoments, initial: ArrayLike, readout: ArrayLike, lr: float, steps: ArrayLike
) -> np.ndarray:
    """The first layer after any number of steps of gradient descent, the readout being frozen: a closed form.

    With the singular values ``V = P s Q^T`` and the eigenvalues ``A = E a E^T``, mode (k, j) has the curvature
    ``h = s_k^2 a_j``, and the change from the initial filters is ``Q [g * (Q^T G E)] E^T``, where
    ``G = V^T (B - V W_0 A)`` is the first step's direction and ``g = (1 - (1 - lr h)^t) / h``, which is lr * t where
    h = 0. It is evaluated without cancellation. ``lr h > 1`` oscillates and ``lr h > 2`` diverges.

    Parameters
    ----------
    moments : MeanPatchMoments
    initial : array_like, shape (K, D)
        W_0, filters in the order (channel, row, column).
    readout : array_like, shape (m, K)
        V; a row of ones for the network of the paper.
    lr : float
        Learning rate, of the loss 1/2 E |f - y|^2.
    steps : int or array_like of shape T
        Numbers of steps: whole, 0 or more.

    Returns
    -------
    ndarray, shape T + (K, D), float64

    Raises
    ------
    InputError
        Shapes that do not belong together, an lr that is not positive, steps that are not whole numbers, or a
        divergence to numbers too large for a float.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 4, from which Theorem 4.2 (eq. 3) is derived:
    ``wbar(t) = sum_{n<t} (I - lr A)^n b``.

    Examples
    --------
    >>> moments = MeanPatchMoments(np.diag([1.0, 0.5]), np.array([[1.0, 1.0]]), images=1, patches=1)
    >>> frozen_readout_filters(moments, [[0.0, 0.0]], [[1.0]], lr=0.5, steps=[0, 1, 2])[:, 0]
    array([[0.   , 0.   ],
           [0.5  , 0.5  ],
           [0.75 , 0.875]])
    """
    start, frozen = _network(moments, initial, readout)
    time = _checked_steps(steps)
    eigenvalues, vectors = np.linalg.eigh(moments.second)
    left, singular, right = np.linalg.svd(frozen, full_matrices=False)
    curvature = np.outer(singular**2, np.maximum(eigenvalues, 0.0))
    direction = singular[:, None] * (left.T @ (moments.cross - frozen @ start @ moments.second) @ vectors)
    gain = _gain(curvature, positive_number("lr", lr), time)
    with np.errstate(over="ignore", invalid="ignore"):
        # A mode that diverges stays where it is if nothing pulls on it.
        change = np.where(direction == 0, 0.0, gain * direction)
        filters = start + right.T @ change @ vectors.T
    _refuse_overflow(filters, lr, time)
    return filters


def two_layer_descent(
    moments: MeanPatchMoments, initial: ArrayLike, readout: ArrayLike, lr: float, steps: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Both layers after some numbers of steps of gradient descent, by the recursion of this module's head.

    Parameters
    ----------
    moments : MeanPatchMoments
    initial : array_like, shape (K, D)
        W_0.
    readout : array_like, shape (m, K)
        V_0.
    lr : float
        Learning rate of both layers, of the loss 1/2 E |f - y|^2.
    steps : int or array_like of shape T
        Numbers of steps: whole, 0 or more, in any order. The largest one decides the time that this takes.

    Returns
    -------
    filters : ndarray, shape T + (K, D), float64
    readouts : ndarray, shape T + (m, K), float64

    Raises
    ------
    InputError
        As for :func:`frozen_readout_filters`.
    """
    filters, weights = _network(moments, initial, readout)
    rate, time = positive_number("lr", lr), _checked_steps(steps)
    wanted = set(time.ravel().tolist())
    found = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(int(time.max(initial=0)) + 1):
            if step in wanted:
                found[step] = filters, weights
            residual = weights @ filters @ moments.second - moments.cross
            filters, weights = filters - rate * weights.T @ residual, weights - rate * residual @ filters.T
    recorded = [found[step] for step in time.ravel().tolist()]
    all_filters = np.array([pair[0] for pair in recorded]).reshape(*time.shape, *filters.shape)
    all_weights = np.array([pair[1] for pair in recorded]).reshape(*time.shape, *weights.shape)
    _refuse_overflow(all_filters, lr, time)
    _refuse_overflow(all_weights, lr, time)
    return all_filters, all_weights


def _mean_patches(image_set: "ImageSet", geometry: PatchGeometry) -> Iterator[tuple[int, np.ndarray]]:
    """Index of the first image of a block, and the block's mean patches (n, D), float64."""
    taps = range(geometry.kernel_size)
    height, width = geometry.windows(*image_set.size)
    step = max(1, _BLOCK_BYTES * len(image_set) // max(1, image_set.images.nbytes))
    mean, std = (np.array(values)[:, None, None] for values in (image_set.mean, image_set.std))
    for start in range(0, len(image_set), step):
        block = validate_images(image_set.images[start : start + step], geometry)
        # Sums over windows, separably: sums of bytes are exact. Normalisation is affine, so it can wait.
        rows = np.stack([block[:, :, y : y + height].sum(axis=2, dtype=np.float64) for y in taps], axis=2)
        sums = np.stack([rows[..., x : x + width].sum(axis=-1) for x in taps], axis=-1)
        yield start, ((sums / (height * width * image_set.unit) - mean) / std).reshape(len(block), -1)


def _targets(targets: ArrayLike, count: int) -> np.ndarray:
    """The targets (N, m) in their own type, which may be bool: one-hot targets of many classes are large."""
    target = np.asarray(targets)
    target = target[:, None] if target.ndim == 1 else target
    if target.ndim != 2 or len(target) != count or target.size == 0:
        raise InputError(f"targets have shape {target.shape}; expected ({count}, m): one row an image")
    if target.dtype.kind not in "biuf" or not np.isfinite(target).all():
        raise InputError(f"targets of type {target.dtype} hold what is not a finite number; expected numbers")
    return target


def _gain(curvature: np.ndarray, lr: float, time: np.ndarray) -> np.ndarray:
    """(1 - (1 - lr h)^t) / h, shape time.shape + curvature.shape; lr * t where h = 0."""
    x = np.broadcast_to(lr * curvature, time.shape + curvature.shape)
    t = np.broadcast_to(time[..., None, None], x.shape)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # log|1 - x| as log1p of an exact difference, on either side of 1.
        rate = np.where(x < 1, np.log1p(-np.minimum(x, 1)), np.log1p(np.maximum(x, 1) - 2))
        exponent = np.where(t == 0, 0.0, t * rate)
        learned = np.where((x > 1) & (t % 2 == 1), 1 + np.exp(exponent), -np.expm1(exponent))
        return np.where(x > 0, lr * learned / np.where(x > 0, x, 1), lr * t)


def _network(moments: MeanPatchMoments, initial: ArrayLike, readout: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    filters = _matrix("initial", initial, (None, moments.size))
    return filters, _matrix("readout", readout, (len(moments.cross), len(filters)))


def _matrix(name: str, value: Any, shape: tuple[int | None, int | None]) -> np.ndarray:
    """A copy of the value as a finite float64 matrix, None in `shape` standing for any length but 0."""
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{name} is {value!r}; expected a matrix of numbers") from None
    fits = array.ndim == 2 and array.size > 0
    if not fits or any(want not in (None, have) for have, want in zip(array.shape, shape, strict=True)):
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise InputError(f"{name} has shape {array.shape}; expected a matrix of shape ({expected}), not empty")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity; expected finite numbers")
    return array


def _checked_steps(steps: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(steps, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"steps is {steps!r}; expected whole numbers, 0 or more") from None
    if not (np.isfinite(array) & (array >= 0) & (array == np.floor(array))).all():
        raise InputError(f"steps is {steps!r}; expected whole numbers, 0 or more")
    return array


def _refuse_overflow(weights: np.ndarray, lr: float, time: np.ndarray) -> None:
    if not np.isfinite(weights).all():
        raise InputError(
            f"with lr {lr:.4g} the weights diverge and within {time.max():.6g} steps are too large for a float: "
            "lower lr or steps"
        )
