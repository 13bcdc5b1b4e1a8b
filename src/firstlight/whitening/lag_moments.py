"""LagMoments: all that the auto-correlation of any filter bank needs to know of the images."""

import numbers
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.images import load_images
from firstlight.patches.validation import validate_images
from firstlight.whitening.bank import pixel_bank
from firstlight.whitening.curve import AutocorrelationCurve

if TYPE_CHECKING:
    from firstlight.images import ImageSet


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
    """

    matrices: np.ndarray = field(repr=False)
    kernel_size: int
    channels: int

    @classmethod
    def of(cls, images: "ImageSet", kernel_size: int, max_distance: int = 10) -> "LagMoments":
        """Measure the pairs of patches of a set of images.

        Parameters
        ----------
        images : ImageSet
            Its mean and std normalise the pixels. uint8 images are summed in exact integers.
        kernel_size : int
            Side of the patches, in pixels.
        max_distance : int
            Largest distance, in pixels.

        Raises
        ------
        InputError
            The images are too small for such patches so far apart, or hold NaN or infinity.
        """
        for name, value, least in (("kernel_size", kernel_size, 1), ("max_distance", max_distance, 0)):
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        pixels = validate_images(images.images, images.channels, kernel_size)
        farthest = min(images.size) - kernel_size
        if max_distance > farthest:
            raise InputError(
                f"max_distance is {max_distance}; expected at most {farthest}: patches of {kernel_size} x "
                f"{kernel_size} pixels lie no farther apart in images of {images.size[0]} x {images.size[1]}"
            )
        from firstlight.whitening.pair_sums import lag_matrices  # numba takes half a second to import

        mean, std = np.array(images.mean), np.array(images.std)
        with np.errstate(over="ignore", invalid="ignore"):
            matrices = lag_matrices(pixels, int(kernel_size), int(max_distance), mean, std)
        if not np.isfinite(matrices).all():
            raise InputError("the squares of normalised pixels overflow; expected smaller pixels: rescale the images")
        matrices.setflags(write=False)
        return cls(matrices, int(kernel_size), images.channels)

    @property
    def max_distance(self) -> int:
        """Largest distance, in pixels."""
        return len(self.matrices) - 1

    def __repr__(self) -> str:
        size = self.kernel_size
        return f"LagMoments({self.channels} x {size} x {size} patches, up to {self.max_distance} pixels apart)"

    def curve(self, bank: FilterBank | np.ndarray) -> AutocorrelationCurve:
        """Auto-correlation of a filter bank's output.

        Parameters
        ----------
        bank : FilterBank or ndarray of shape (K, C, k, k)
            Read with stride 1 and without padding, whatever its layer does.

        Raises
        ------
        InputError
            The filters have another shape than the patches, are dilated, or respond to nothing in the images.
        """
        bank = FilterBank.of(bank)
        expected = (self.channels, self.kernel_size, self.kernel_size)
        if bank.weight.shape[1:] != expected or bank.dilation != (1, 1):
            shape = " x ".join(map(str, bank.weight.shape[1:]))
            raise InputError(
                f"filters are {shape} with dilation {bank.dilation} and {bank.groups} groups; expected "
                f"{' x '.join(map(str, expected))}, as the patches of these moments, without dilation or groups"
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


def autocorrelation(bank: FilterBank | np.ndarray | None, images: Any, max_distance: int = 10) -> AutocorrelationCurve:
    """Auto-correlation of a filter bank's output against distance: how redundant the responses still are.

    ``C(d) = E[y(i) . y(i + d)]``, y the vector of the responses of all filters at one place, without bias, stride 1
    and without padding, on normalised images. The mean is over all images and all pairs of places d pixels apart,
    both inside the output, first horizontally and vertically by themselves, and then of the two. The mean response is
    not subtracted.

    Parameters
    ----------
    bank : FilterBank, ndarray of shape (K, C, k, k), or None
        The filters; None for the pixels themselves.
    images : ImageSet, ndarray, or what else `load_images` takes
        Normalised by the mean and std of the set; an array by its own.
    max_distance : int
        Largest distance, in pixels.

    Returns
    -------
    AutocorrelationCurve

    Raises
    ------
    InputError
        Filters that do not fit the images, are not square, or respond to nothing; or images smaller than
        kernel size + max_distance.

    References
    ----------
    Chowers and Weiss, ICML 2023, Fig. 6.

    Examples
    --------
    >>> import firstlight as fl
    >>> images = fl.load_images("photos")
    >>> autocorrelation(None, images).value.round(2)[[0, 1, 10]]
    array([1.  , 0.97, 0.76])
    """
    images = load_images(images)
    if bank is None:
        bank = pixel_bank(images.channels)
    bank = FilterBank.of(bank)
    height, width = bank.weight.shape[2:]
    if height != width:
        raise InputError(f"filters are {height} x {width} pixels; expected square ones")
    return LagMoments.of(images, height, max_distance).curve(bank)
