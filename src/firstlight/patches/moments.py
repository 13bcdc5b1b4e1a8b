"""PatchMoments: exact first and second moments of all patches of a data set, one stack of images at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.normalise import checked_normalisation, scaled_covariance, white_level
from firstlight.patches.storage import MOMENTS
from firstlight.patches.sums import MOST_PATCHES, PatchSums
from firstlight.patches.validation import lies_on_cuda, validate_tensor
from firstlight.utils.console import note_once
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from firstlight.images import ImageSet

# Weights of red, green and blue in grey (ITU-R BT.601), as of Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)
# Length of the longest patch: the moments take its square.
_LARGEST = 16_384


class PatchMoments(PatchSums):
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
        Channels of the images; 1 for grey, 3 for RGB.
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

    _settings = ("kernel_size", "channels", "stride", "dilation")
    _noun = "moments"
    _file = MOMENTS

    count: int

    def __init__(self, kernel_size: int = 3, channels: int = 3, stride: int = 1, dilation: int = 1) -> None:
        geometry = PatchGeometry(kernel_size, channels, stride, dilation)
        if geometry.size > _LARGEST:
            raise InputError(
                f"kernel_size {kernel_size} with {counted(channels, 'channel')} makes patches of "
                f"{geometry.size:,} numbers; "
                f"expected at most {_LARGEST:,}, whose moments take {8 * _LARGEST**2 >> 30} GiB"
            )
        super().__init__(geometry)

    @classmethod
    def of_sums(cls, second: np.ndarray, first: np.ndarray, count: int, geometry: PatchGeometry) -> "PatchMoments":
        """Moments of sums that were accumulated before.

        Parameters
        ----------
        second, first : ndarray, shapes (D, D) and (D,)
            ``sum_n p_n p_n^T`` and ``sum_n p_n``: int64 of uint8 images, float64 of floats.
        count : int
            Number of patches.
        geometry : PatchGeometry
            How they were read.

        Returns
        -------
        PatchMoments
        """
        moments = cls(**asdict(geometry))
        moments.second, moments.first, moments.count = second, first, count
        moments.dtype = "uint8" if second.dtype == np.int64 else "float64"
        return moments

    @property
    def moments(self) -> "PatchMoments":
        """These moments."""
        return self

    @property
    def white(self) -> int:
        """What pixels are in before mean and std apply: 0..1 (1), as uint8 ones become; 0..255; or neither (0)."""
        if self.dtype != "float64":
            return 1
        sums = (self.first, np.diag(self.second))
        return white_level(*(values.reshape(self.channels, -1).mean(axis=1) / self.count for values in sums))

    def _validated(self, images: Any) -> Any:
        return validate_tensor(images, self.geometry) if lies_on_cuda(images) else super()._validated(images)

    def _of(self, images: Any) -> "PatchMoments":
        # torch and numba take seconds to import.
        if lies_on_cuda(images):
            from firstlight.patches.kernels.on_device import tensor_sums as sums
        else:
            from firstlight.patches.kernels.lag_sums import patch_sums as sums
        return PatchMoments.of_sums(*sums(images, self.geometry), self.geometry)

    def _refuse_overflow(self, other: Any) -> None:
        count = self.count + other.count
        if count > MOST_PATCHES:
            raise InputError(
                f"{count:,} patches are more than {MOST_PATCHES:,}, for which 64-bit sums are certain to be exact: "
                "keep separate PatchMoments"
            )

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
            Per channel, in 0..1 units for uint8 images, else in the images' own. None: 0 and 1. Those of pixels in
            0..255 are recognised, and converted with a note.
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
        mean_per_channel, std_per_channel = checked_normalisation(mean, std, self.channels, self.white)
        unit = self.unit
        taps = slice(None) if window is None else self.geometry.taps_inside(window)
        first, second = self.first[taps], self.second[taps][:, taps]
        per_channel = len(first) // self.channels
        covariance = scaled_covariance(second, first, self.count, np.repeat(std_per_channel * unit, per_channel))
        # Python's integers: the quotient of two is correctly rounded.
        patch_mean = first.astype(object) / (unit * self.count) if self.dtype == "uint8" else first / self.count
        offset = patch_mean.astype(np.float64) - np.repeat(mean_per_channel, per_channel)
        offset /= np.repeat(std_per_channel, per_channel)
        matrix = covariance if center else covariance + np.outer(offset, offset)
        basis = PatchBasis.from_matrix(
            matrix,
            count=self.count,
            **asdict(self.geometry),
            mean=tuple(mean_per_channel.tolist()),
            std=tuple(std_per_channel.tolist()),
            center=center,
            window=None if window == (self.kernel_size, self.kernel_size) else window,
        )
        if basis.shortage:
            note_once(f"{basis.shortage}: give more images, or larger ones")
        return basis

    def gray(self) -> "PatchMoments":
        """Moments of the same patches in grey, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), not rounded to whole levels.

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
                f"the patches have {counted(self.channels, 'channel')}; expected 3, red, green and blue, to make grey"
            )
        mix = np.kron(np.array([LUMA]) / self.unit, np.eye(self.kernel_size**2))
        second, first = mix @ self.second.astype(np.float64) @ mix.T, mix @ self.first.astype(np.float64)
        return PatchMoments.of_sums((second + second.T) / 2, first, self.count, replace(self.geometry, channels=1))

    def _stored(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"count": self.count}, {"second": self.second, "first": self.first}

    def _restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self.fill(arrays["second"], arrays["first"], header["count"], header["dtype"])


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
