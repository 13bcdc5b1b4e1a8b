"""LagMoments: all that the auto-correlation of any filter bank needs to know of the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.patches.image_lags import ImageLags
from firstlight.utils.text import counted
from firstlight.whitening.curve import AutocorrelationCurve

if TYPE_CHECKING:
    from firstlight.images import ImageSet

# Floating-point images are normalised so many numbers at a time.
_STACK = 1 << 24


@dataclass(frozen=True, eq=False)
class LagMoments:
    """Second moments M_d of pairs of patches that lie 0, 1, ... pixels apart.

    A response is linear in its patch, so the auto-correlation of a bank is a quadratic form in it:
    ``C(d) = E[sum_k (w_k . p(i)) (w_k . p(i + d))] = sum_k w_k^T M_d w_k``. Nothing is convolved, and once M_d is
    there the curve of another bank costs nothing.

    Attributes
    ----------
    matrices : ndarray, shape (max_distance + 1, D, D), float64, D = channels * kernel_size**2
        ``M_d = E[p(i) p(i + d)^T]``, the mean over images and over all pairs of patches d pixels apart, both inside
        the image; half of it the mean over horizontal pairs, half over vertical ones; symmetric, as each pair counts
        in both orders. In units of the squared normalised pixel; no mean patch is subtracted.
    kernel_size, channels : int
        Shape of the patches, which are flattened in the order (channel, row, column).
    window : tuple of two int, or None
        Rows and columns of the patches, where only the first of them count; None: all.
    """

    matrices: np.ndarray = field(repr=False)
    kernel_size: int
    channels: int
    window: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        images: "ImageSet",
        kernel_size: int,
        max_distance: int = 10,
        window: tuple[int, int] | None = None,
    ) -> "LagMoments":
        """Measure the pairs of patches of a set of images.

        Parameters
        ----------
        images : ImageSet
            Its mean and std normalise the pixels. uint8 images are summed in exact integers.
        kernel_size : int
            Side of the patches, in pixels.
        max_distance : int
            Largest distance, in pixels.
        window : tuple of two int, optional
            As of `ImageLags.matrices`.

        Raises
        ------
        InputError
            The images are too small for such patches so far apart, or hold NaN or infinity.
        """
        lags = ImageLags(kernel_size, images.channels, max_distance)
        if images.images.dtype == np.uint8:
            return cls.of_lags(lags.update(images.images), images.mean, images.std, window)
        for stack in _stacks(images.images, images.mean, images.std):
            lags.update(stack)
        return cls.of_lags(lags, window=window)

    @classmethod
    def of_lags(
        cls,
        lags: ImageLags,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        window: tuple[int, int] | None = None,
    ) -> "LagMoments":
        """Normalise what was summed before; parameters and errors as of `ImageLags.matrices`."""
        matrices = lags.matrices(mean, std, window)
        matrices.setflags(write=False)
        whole = window in (None, (lags.kernel_size, lags.kernel_size))
        return cls(matrices, lags.kernel_size, lags.channels, None if whole else window)

    @property
    def max_distance(self) -> int:
        """Largest distance, in pixels."""
        return len(self.matrices) - 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the filters whose auto-correlation follows."""
        return (self.channels, *(self.window or (self.kernel_size, self.kernel_size)))

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"LagMoments({shape} patches, up to {counted(self.max_distance, 'pixel')} apart)"

    def curve(self, bank: FilterBank | np.ndarray) -> AutocorrelationCurve:
        """Auto-correlation of a filter bank's output.

        Parameters
        ----------
        bank : FilterBank or ndarray of shape (K, C, k, k), or as the window
            Read with stride 1 and without padding, whatever its layer does.

        Raises
        ------
        InputError
            The filters have another shape than the patches, are dilated, or respond to nothing in the images.
        """
        bank = load_filters(bank)
        if bank.weight.shape[1:] != self.shape or bank.dilation != (1, 1):
            shape = " x ".join(map(str, bank.weight.shape[1:]))
            raise InputError(
                f"filters are {shape} with dilation {bank.dilation} and {counted(bank.groups, 'group')}; expected "
                f"{' x '.join(map(str, self.shape))}, as the patches of these moments, without dilation or groups"
            )
        weight = bank.weight.reshape(len(bank), -1)
        largest = np.abs(weight).max()
        scaled = weight / largest if largest > 0 else weight  # squares of tiny or huge weights vanish or overflow
        gram = scaled.T @ scaled
        products = np.einsum("ab,dab->d", gram, self.matrices)
        rounding = len(gram) * np.finfo(np.float64).eps * np.trace(gram) * np.linalg.norm(self.matrices[0], 2)
        if products[0] <= rounding:
            raise InputError(
                "the filters respond to nothing in these images, so C(0) is 0 and C(d) / C(0) undefined; expected "
                "filters that are not all zero, and images that vary where the filters look"
            )
        value, raw = products / products[0], products * largest**2
        for array in (value, raw):
            array.setflags(write=False)
        return AutocorrelationCurve(value, raw, len(bank), bank.source, bank.layer)


def _stacks(images: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Iterator[np.ndarray]:
    """Floating-point images normalised, some at a time: the sums of what is near zero lose little to rounding."""
    offset, scale = (np.array(values)[:, None, None] for values in (mean, std))
    size = max(1, _STACK // images[0].size)
    for start in range(0, len(images), size):
        with np.errstate(over="ignore", invalid="ignore"):
            stack = (images[start : start + size] - offset) / scale
        yield stack
