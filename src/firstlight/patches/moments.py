"""PatchMoments: exact first and second moments of all patches of a data set, one stack of images at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.patches.normalise import checked_normalisation, scaled_covariance, taps_inside
from firstlight.patches.storage import read_moments, stamped, write_moments
from firstlight.patches.validation import lies_on_cuda, type_name, validate_images, validate_tensor
from firstlight.utils.checks import whole_number

if TYPE_CHECKING:
    from firstlight.images import ImageSet

# The sum over so many patches of products of two bytes still fits a signed 64-bit integer.
MOST_PATCHES = (2**63 - 1) // 255**2
# Weights of red, green and blue in gray (ITU-R BT.601), as of Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)
# Length of the longest patch: the moments take its square.
_LARGEST = 16_384


class PatchMoments:
    """Accumulate the patches' moments: ``sum_n p_n p_n^T``, ``sum_n p_n`` and their number.

    A patch is a window of `kernel_size` x `kernel_size` pixels, `dilation` apart, in all channels, read without padding
    and flattened in the order (channel, row, column), like the weight of a convolution. uint8 images are summed in
    exact integers: the result does not depend on the machine, the order, or how the data were split, and ``+`` merges.
    Normalisation comes afterwards, in :meth:`basis`. Floating-point images are summed in float64.

    Rounding of floating-point images: an entry of `second`, of channels c and d, differs from the exact sum by at
    most ``32 g sqrt(E_c E_d)``, where E_c is the sum of the squares of all pixels of channel c, and
    ``g = m u / (1 - m u)`` with ``u = 2**-53`` and m = 64 + 4 times the pixels (N H W) of a channel; an entry of
    `first` by at most ``32 g`` times the sum of the magnitudes of channel c. This is relative to the whole images, not
    to each entry, and holds unless numbers over- or underflow. Whole numbers stay exact while the sums of their
    products' magnitudes are below 2**53.

    Parameters
    ----------
    kernel_size : int
        Pixels in each row and column of a patch.
    channels : int
        Channels of the images; 1 for gray, 3 for RGB.
    stride : int
        Step between windows, in pixels, in both directions.
    dilation : int
        Step between the pixels of a patch, in both directions; 1: they are neighbours.

    Attributes
    ----------
    second : ndarray, shape (D, D), D = channels * kernel_size**2
        ``sum_n p_n p_n^T``, int64 for uint8 images (units: squared pixel values, 0..255), else float64.
    first : ndarray, shape (D,)
        ``sum_n p_n``, of the same type.
    count : int
        Number of patches summed so far.
    dtype : {None, "uint8", "float64"}
        What the images were; None before the first update.
    provenance : dict
        What the file said that they were loaded from; empty otherwise.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 3: PCA of all patches of the training set.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)
    >>> moments = PatchMoments(kernel_size=3, channels=3).update(images)
    >>> moments.count, moments.second.shape, moments.second.dtype
    (72, (27, 27), dtype('int64'))
    """

    def __init__(self, kernel_size: int = 3, channels: int = 3, stride: int = 1, dilation: int = 1) -> None:
        self.kernel_size, self.channels = (
            whole_number("kernel_size", kernel_size, 1),
            whole_number("channels", channels, 1),
        )
        self.stride, self.dilation = whole_number("stride", stride, 1), whole_number("dilation", dilation, 1)
        if self.size > _LARGEST:
            raise InputError(
                f"kernel_size {self.kernel_size} with {self.channels} channels makes patches of {self.size:,} numbers; "
                f"expected at most {_LARGEST:,}, whose moments take {8 * _LARGEST**2 >> 30} GiB"
            )
        self.dtype: str | None = None
        self.count = 0
        self.provenance: dict[str, str] = {}
        self.second = np.zeros((self.size, self.size), np.int64)
        self.first = np.zeros(self.size, np.int64)

    @property
    def size(self) -> int:
        """Length D of a patch: channels * kernel_size**2."""
        return self.channels * self.kernel_size**2

    @property
    def extent(self) -> int:
        """Pixels from the first to the last of a patch, in one direction: images must be as large."""
        return (self.kernel_size - 1) * self.dilation + 1

    @property
    def _settings(self) -> tuple[int, int, int, int]:
        return self.kernel_size, self.channels, self.stride, self.dilation

    def __repr__(self) -> str:
        dilation = f", dilation={self.dilation}" if self.dilation > 1 else ""
        return (
            f"PatchMoments(kernel_size={self.kernel_size}, channels={self.channels}, stride={self.stride}{dilation}: "
            f"{self.count:,} patches of {self.dtype or 'no'} images)"
        )

    def update(self, images: Any) -> Self:
        """Add all patches of a stack of images.

        Parameters
        ----------
        images : array_like or Tensor, shape (N, C, H, W), uint8 or floating
            uint8 in 0..255, or finite floats in any unit. A transposed view of (N, H, W, C) is as quick.
            A torch tensor on a CUDA device is summed there: the same integers, and floats within the same bound.

        Returns
        -------
        PatchMoments
            This object, so that calls chain.

        Raises
        ------
        InputError
            Wrong rank or type, no images, images smaller than the kernel, another number of channels,
            NaN or infinity, or a mixture of uint8 and floats. The moments are then unchanged.
        """
        there = lies_on_cuda(images)
        validate = validate_tensor if there else validate_images
        images = validate(images, self.channels, self.kernel_size, self.dilation)
        dtype = "uint8" if type_name(images) == "uint8" else "float64"
        if self.dtype not in (None, dtype):
            raise InputError(
                f"images are {type_name(images)}, but these moments hold {self.dtype} images; their units differ: "
                "accumulate them in separate PatchMoments"
            )
        rows, columns = ((side - self.extent) // self.stride + 1 for side in images.shape[2:])
        self._refuse_overflow(self.count + len(images) * rows * columns, dtype)
        # torch and numba take seconds to import.
        if there:
            from firstlight.patches.kernels.on_device import tensor_sums as sums
        else:
            from firstlight.patches.kernels.lag_sums import patch_sums as sums
        with np.errstate(over="ignore", invalid="ignore"):
            second, first, count = sums(images, self.kernel_size, self.stride, self.dilation)
            second, first = second + self.second, first + self.first
        if dtype == "float64" and not np.isfinite(second).all():
            largest = float(abs(images).max())
            raise InputError(f"pixels reach {largest:.3g} and their squares overflow; expected smaller ones: rescale")
        self.second, self.first, self.count = second, first, count + self.count
        self.dtype = dtype
        return self

    @staticmethod
    def _refuse_overflow(count: int, dtype: str | None) -> None:
        if dtype == "uint8" and count > MOST_PATCHES:
            raise InputError(
                f"{count:,} patches are more than {MOST_PATCHES:,}, for which 64-bit sums are certain to be exact; "
                "keep separate PatchMoments"
            )

    def __add__(self, other: "PatchMoments") -> "PatchMoments":
        """Merge: the moments of both sets of patches, exactly (uint8)."""
        if not isinstance(other, PatchMoments):
            return NotImplemented
        for name in ("kernel_size", "channels", "stride", "dilation", "dtype"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "dtype" and None in (mine, theirs)):
                raise InputError(f"cannot merge moments of {name} {mine} with {theirs}; expected the same")
        total = PatchMoments(*self._settings)
        total.dtype = self.dtype or other.dtype
        total._refuse_overflow(self.count + other.count, total.dtype)
        total.second, total.first = self.second + other.second, self.first + other.first
        total.count = self.count + other.count
        return total

    def __radd__(self, other: int) -> "PatchMoments":
        """``0 + moments``, with which ``sum([...])`` begins."""
        if other != 0:
            return NotImplemented
        return PatchMoments(*self._settings) + self

    def __eq__(self, other: object) -> bool:
        """Same patches' moments, bit for bit."""
        if not isinstance(other, PatchMoments):
            return NotImplemented
        return (
            (*self._settings, self.dtype, self.count) == (*other._settings, other.dtype, other.count)
            and np.array_equal(self.second, other.second)
            and np.array_equal(self.first, other.first)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def basis(
        self,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        center: bool = False,
        window: tuple[int, int] | None = None,
    ) -> PatchBasis:
        """Principal components of the patches, normalised as ``(x - mean) / std`` per channel.

        uint8 pixels are first scaled to 0..1. The normalisation is applied to the moments, in exact integer
        arithmetic up to the last division, so nothing is lost to cancellation.

        Parameters
        ----------
        mean, std : float or sequence of C floats, optional
            Per channel, in 0..1 units for uint8 images, else in the images' own. None: 0 and 1.
        center : bool
            Subtract the mean patch. False, as in eq. 2, which assumes that it is zero.
        window : tuple of two int, optional
            Rows and columns of the components, for a kernel that is smaller or not square: every patch counts with its
            first rows and columns only.

        Returns
        -------
        PatchBasis

        Raises
        ------
        InputError
            No patches yet, a wrong number of channels, a non-finite mean, a std that is not positive, or a window that
            does not fit into a patch.

        References
        ----------
        Eq. 2: ``lambda_i^2 = 1/N sum_n (p_n . u_i)^2``.
        """
        if self.count == 0:
            raise InputError("these moments hold no patches; expected at least one: call update(images) first")
        mean_per_channel, std_per_channel = checked_normalisation(mean, std, self.channels)
        unit = 255 if self.dtype == "uint8" else 1
        taps = slice(None) if window is None else taps_inside(window, self.kernel_size, self.channels)
        first, second = self.first[taps], self.second[taps][:, taps]
        per_channel = len(first) // self.channels
        covariance = scaled_covariance(second, first, self.count, np.repeat(std_per_channel * unit, per_channel))
        # Python's integers: the quotient of two is correctly rounded.
        patch_mean = first.astype(object) / (unit * self.count) if self.dtype == "uint8" else first / self.count
        offset = patch_mean.astype(np.float64) - np.repeat(mean_per_channel, per_channel)
        offset /= np.repeat(std_per_channel, per_channel)
        matrix = covariance if center else covariance + np.outer(offset, offset)
        return PatchBasis.from_matrix(
            matrix,
            count=self.count,
            kernel_size=self.kernel_size,
            channels=self.channels,
            stride=self.stride,
            dilation=self.dilation,
            mean=tuple(mean_per_channel.tolist()),
            std=tuple(std_per_channel.tolist()),
            center=center,
            window=None if window == (self.kernel_size, self.kernel_size) else window,
        )

    def gray(self) -> "PatchMoments":
        """Moments of the same patches in gray, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), not rounded to whole levels.

        Returns
        -------
        PatchMoments
            Of one channel and dtype "float64": the pixels of uint8 images are in 0..1.

        Raises
        ------
        InputError
            The images do not have three channels.
        """
        if self.channels != 3:
            raise InputError(
                f"the patches have {self.channels} channels; expected 3, red, green and blue, to make gray"
            )
        unit = 255 if self.dtype == "uint8" else 1
        mix = np.kron(np.array([LUMA]) / unit, np.eye(self.kernel_size**2))
        second, first = mix @ self.second.astype(np.float64) @ mix.T, mix @ self.first.astype(np.float64)
        return PatchMoments.of_sums(
            (second + second.T) / 2, first, self.count, self.kernel_size, 1, self.stride, self.dilation
        )

    def save(self, path: str | Path, **provenance: str) -> None:
        """Write the moments to a ``.npz`` file, atomically.

        Parameters
        ----------
        path : str or Path
        **provenance : str
            What a reader should know about the images, such as ``data="cifar10"``; kept beside version and date.
        """
        header = {
            "kernel_size": self.kernel_size,
            "channels": self.channels,
            "stride": self.stride,
            "dilation": self.dilation,
            "count": self.count,
            "dtype": self.dtype,
            "provenance": stamped(provenance),
        }
        write_moments(path, header, self.second, self.first)

    @classmethod
    def of_sums(
        cls,
        second: np.ndarray,
        first: np.ndarray,
        count: int,
        kernel_size: int,
        channels: int,
        stride: int,
        dilation: int = 1,
    ) -> "PatchMoments":
        """Moments of sums that were accumulated before: int64 of uint8 images, float64 of floats.

        Parameters
        ----------
        second, first : ndarray, shapes (D, D) and (D,)
            int64 or float64, as in the attributes.
        count : int
            Number of patches.
        kernel_size, channels, stride, dilation : int
            How the patches were read.

        Returns
        -------
        PatchMoments
        """
        moments = cls(kernel_size, channels, stride, dilation)
        moments.second, moments.first, moments.count = second, first, count
        moments.dtype = "uint8" if second.dtype == np.int64 else "float64"
        return moments

    @classmethod
    def load(cls, path: str | Path) -> "PatchMoments":
        """Read moments that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        PatchMoments

        Raises
        ------
        InputError
            The file is missing, damaged, of another format version, or not a file of moments.
        """
        header, second, first = read_moments(path)
        moments = cls(header["kernel_size"], header["channels"], header["stride"], header["dilation"])
        moments.second, moments.first = second, first
        moments.count, moments.dtype = header["count"], header["dtype"]
        moments.provenance = header["provenance"]
        return moments


def patch_basis(image_set: "ImageSet", kernel_size: int) -> PatchBasis:
    """Principal components of all patches of a set of images, normalised as a network sees them (eq. 2).

    Parameters
    ----------
    image_set : ImageSet
        Its mean and std normalise the pixels; the mean patch is not subtracted.
    kernel_size : int
        Side of the patches, in pixels; the stride is 1.
    """
    moments = PatchMoments(kernel_size, image_set.channels).update(image_set.images)
    return moments.basis(image_set.mean, image_set.std)
