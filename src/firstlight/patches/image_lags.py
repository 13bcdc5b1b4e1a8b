"""ImageLags: exact sums over all patches of a data set and over all pairs of them some pixels apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import checked_normalisation, scaled_covariance
from firstlight.patches.storage import LAGS, LAGS_FORMAT
from firstlight.patches.sums import MOST_PATCHES, PatchSums
from firstlight.utils.checks import whole_number
from firstlight.utils.text import counted

# Numbers in `second`: 2 GiB of them.
_MOST_NUMBERS = 1 << 28


class ImageLags(PatchSums):
    """Accumulate what patch moments and auto-correlation curves need to know of images.

    These are the patches' moments, and for every distance d up to `max_distance`, across and down, the same of the
    pairs of patches that lie d pixels apart, both inside the image: ``sum p(x) p(x + d)^T``, made symmetric by counting
    each pair in both orders; the sum of the patches in all pairs; and the number of pairs. From these sums follow, for
    any normalisation, the `moments` and :meth:`basis`, and the :meth:`matrices` under the auto-correlation of any
    filter bank. They are the least that does: images of different sizes have different shares of pairs at each
    distance, and the first moments are what the mean of a normalisation is multiplied with.

    Patches are as those of `PatchMoments`, with stride 1. uint8 images are summed in exact integers: the result does
    not depend on the machine, the order, or how the data were split, and ``+`` merges. Floating-point images are summed
    in float64. Images may differ in size from one update to the next.

    Smaller distances follow exactly, :meth:`up_to`. Smaller kernels do not: the pixels that their patches have more at
    the border of an image are in no sum. What follows is the `window` of :meth:`matrices`: the first rows and columns
    of the same patches.

    Rounding of floating-point images: an entry of `second`, of channels c and e, differs from the exact sum by at most
    ``8 g sqrt(E_c E_e)``, where E_c is the sum of the squares of all pixels of channel c, and ``g = m u / (1 - m u)``
    with ``u = 2**-53`` and m = 64 + 8 kernel_size + 4 times the pixels (N H W) of a channel; an entry of `first` by at
    most ``8 g`` times the sum of the magnitudes of channel c. This is relative to the whole images: subtract the mean
    from images that are far from zero. It holds unless numbers over- or underflow.

    Parameters
    ----------
    kernel_size : int
        Pixels in each row and column of a patch.
    channels : int
        Channels of the images; 1 for grey, 3 for RGB.
    max_distance : int
        Largest distance between the patches of a pair, in pixels.

    Attributes
    ----------
    second : ndarray, shape (1 + 2 * max_distance, D, D), D = channels * kernel_size**2
        Second moments: of the patches; of the pairs 1, 2, ... pixels across; of those 1, 2, ... pixels down. int64 for
        uint8 images (units: squared pixel values, 0..255), else float64.
    first : ndarray, shape (1 + 2 * max_distance, D)
        Sums of the patches, and of both patches of all pairs, of the same type.
    count : ndarray, shape (1 + 2 * max_distance,), int64
        Number of patches; then twice the number of pairs, for both orders.
    pixels : PatchMoments
        Of all pixels of the same images, as patches of 1 x 1.
    dtype : {None, "uint8", "float64"}
        What the images were; None before the first update.
    provenance : dict
        What the file said that they were loaded from; empty otherwise.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 3 and Fig. 6.

    Examples
    --------
    >>> import firstlight as fl
    >>> images = fl.load_images("photos")
    >>> lags = fl.ImageLags(kernel_size=3, channels=3, max_distance=10).update(images.images)
    >>> lags
    ImageLags(kernel_size=3, channels=3, max_distance=10: 18,000,000 patches of uint8 images)
    >>> lags.moments == fl.PatchMoments(kernel_size=3, channels=3).update(images.images)
    True
    >>> fl.autocorrelation(fl.whitening_bank(lags.basis(images.mean, images.std)), lags).value.round(2)[[0, 1, 10]]
    array([1.  , 0.27, 0.12])
    """

    _settings = ("kernel_size", "channels", "max_distance")
    _parts = (*PatchSums._parts, "pixels")
    _noun = "lags"
    _file = LAGS

    count: np.ndarray

    def __init__(self, kernel_size: int = 3, channels: int = 3, max_distance: int = 10) -> None:
        geometry = PatchGeometry(kernel_size, channels)
        self.max_distance = whole_number("max_distance", max_distance, 0)
        shifts = 1 + 2 * self.max_distance
        if shifts * geometry.size**2 > _MOST_NUMBERS:
            raise InputError(
                f"kernel_size {kernel_size} with {counted(channels, 'channel')} and max_distance {max_distance} "
                f"makes {shifts:,} "
                f"matrices of {geometry.size:,} x {geometry.size:,}; expected at most {_MOST_NUMBERS:,} numbers, which "
                f"take {8 * _MOST_NUMBERS >> 30} GiB"
            )
        super().__init__(geometry, (shifts,))
        self.pixels = PatchMoments(1, self.channels)

    @property
    def extent(self) -> int:
        """How many pixels high and wide images must be: as a pair of patches."""
        return self.kernel_size + self.max_distance

    @property
    def moments(self) -> PatchMoments:
        """The patches' moments; of uint8 images the same as those of `PatchMoments`, to the bit."""
        if self.dtype is None:
            return PatchMoments(self.kernel_size, self.channels)
        return PatchMoments.of_sums(self.second[0], self.first[0], int(self.count[0]), self.geometry)

    @property
    def parts(self) -> tuple[PatchSums, ...]:
        """These sums, and those of the pixels."""
        return (self, self.pixels)

    @property
    def scratch_bytes(self) -> int:
        """What an update takes for a while, besides images and sums."""
        from firstlight.patches.kernels.pair_sums import most_cell_bytes

        return most_cell_bytes(self.kernel_size, self.channels, self.max_distance) + self.second.nbytes

    def _validated(self, images: Any) -> np.ndarray:
        images = super()._validated(images)
        least = min(images.shape[2:])
        if least < self.extent:
            raise InputError(
                f"max_distance is {self.max_distance}; expected at most {least - self.kernel_size}: patches of "
                f"{self.kernel_size} x {self.kernel_size} pixels lie no farther apart in images of {images.shape[2]} x "
                f"{images.shape[3]}"
            )
        return images

    def _of(self, images: np.ndarray) -> "ImageLags":
        from firstlight.patches.kernels.pair_sums import pair_sums  # numba takes half a second to import

        sums, lags = pair_sums(images, self.kernel_size, self.max_distance), self._of_settings(self.settings)
        lags.second, lags.first, lags.count = sums.second, sums.first, sums.count
        lags.pixels = PatchMoments.of_sums(sums.pixel_second, sums.pixel_first, sums.pixel_count, lags.pixels.geometry)
        lags.dtype = lags.pixels.dtype
        return lags

    def _refuse_overflow(self, other: Any) -> None:
        pixels = self.pixels.count + other.pixels.count
        if 2 * pixels > MOST_PATCHES:
            raise InputError(
                f"pairs of {pixels:,} patches are more than {MOST_PATCHES:,}, for which 64-bit sums are certain to be "
                "exact: keep separate ImageLags"
            )

    def up_to(self, max_distance: int) -> "ImageLags":
        """What lags of a smaller distance sum up over the same images, exactly.

        Parameters
        ----------
        max_distance : int
            Largest distance between the patches of a pair, in pixels.

        Returns
        -------
        ImageLags

        Raises
        ------
        InputError
            The distance is larger than these lags go.
        """
        shorter = ImageLags(self.kernel_size, self.channels, max_distance)
        if shorter.max_distance > self.max_distance:
            raise InputError(
                f"max_distance is {max_distance}; expected at most {self.max_distance}, up to which these lags go"
            )
        kept = [shift for shift in range(len(self.count)) if self._distance(shift) <= shorter.max_distance]
        shorter.second, shorter.first, shorter.count = self.second[kept], self.first[kept], self.count[kept]
        shorter.dtype, shorter.pixels = self.dtype, self.pixels
        return shorter

    def _distance(self, shift: int) -> int:
        """Pixels between the patches of the pairs in that row of the sums."""
        return shift if shift <= self.max_distance else shift - self.max_distance

    def basis(
        self,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        center: bool = False,
        window: tuple[int, int] | None = None,
    ) -> PatchBasis:
        """Principal components of the patches; see `PatchMoments.basis`.

        Parameters
        ----------
        mean, std, center, window : optional
            As there.

        Returns
        -------
        PatchBasis
        """
        return self.moments.basis(mean, std, center, window)

    def matrices(
        self,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        window: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Second moments of pairs of patches 0, 1, ... pixels apart, normalised as ``(x - mean) / std`` per channel.

        uint8 pixels are first scaled to 0..1. The normalisation is applied to the sums, in exact integer arithmetic up
        to the last division, so nothing is lost to cancellation.

        Parameters
        ----------
        mean, std : float or sequence of C floats, optional
            Per channel, in 0..1 units for uint8 images, else in the images' own. None: 0 and 1.
        window : tuple of two int, optional
            Rows and columns, for a filter that is smaller than a patch: every patch counts with its first rows and
            columns only.

        Returns
        -------
        ndarray, shape (max_distance + 1, D, D), D = channels * rows * columns, float64
            ``E[p(i) p(i + d)^T]``: half of it the mean over horizontal pairs, half over vertical ones; symmetric. No
            mean patch is subtracted.

        Raises
        ------
        InputError
            No images yet, a wrong number of channels, a non-finite mean, a std that is not positive, or a window that
            does not fit into a patch.
        """
        if self.dtype is None:
            raise InputError("these lags hold no patches; expected at least one: call update(images) first")
        mean_per_channel, std_per_channel = checked_normalisation(mean, std, self.channels, self.pixels.white)
        taps = self.geometry.taps_inside(window or (self.kernel_size, self.kernel_size))
        of_channel = len(taps) // self.channels
        scale = np.repeat(self.unit * std_per_channel, of_channel)
        offset = np.repeat(mean_per_channel / std_per_channel, of_channel)

        def normalised(shift: int) -> np.ndarray:
            second, first = self.second[shift][np.ix_(taps, taps)], self.first[shift][taps]
            count = int(self.count[shift])
            centre = (first.astype(object) / count).astype(np.float64) / scale - offset
            return scaled_covariance(second, first, count, scale) + np.outer(centre, centre)

        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            pairs = [(normalised(d) + normalised(d + self.max_distance)) / 2 for d in range(1, self.max_distance + 1)]
            matrices = np.array([normalised(0), *pairs])
        if not np.isfinite(matrices).all():
            raise InputError(f"std is {std}, and the squares of pixels divided by it overflow; expected larger numbers")
        return matrices

    def _stored(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        moments = {"stride": 1, "dilation": 1, "count": int(self.count[0])}
        beside = (self.second[1:], self.first[1:], self.count[1:], self.pixels.second, self.pixels.first)
        return (
            {**moments, "lags_format": LAGS_FORMAT, "pixels": self.pixels.count},
            {"second": self.second[0], "first": self.first[0], **dict(zip(LAGS.beside, beside, strict=True))},
        )

    def _restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        lag_second, lag_first, lag_count, pixel_second, pixel_first = (arrays[name] for name in LAGS.beside)
        second, first, dtype = arrays["second"][None], arrays["first"][None], header["dtype"]
        self.fill(
            np.concatenate([second, lag_second], dtype=second.dtype, casting="no"),
            np.concatenate([first, lag_first], dtype=first.dtype, casting="no"),
            np.concatenate([[header["count"]], lag_count], dtype=np.int64, casting="no"),
            dtype,
        )
        self.pixels.fill(pixel_second, pixel_first, header["pixels"], dtype)
        if (header["stride"], header["dilation"]) != (1, 1):
            raise ValueError("pairs of patches that do not begin at every pixel")
        # Patches in pairs lie in the images, and there are fewer pairs the farther they are apart.
        if (self.count[1:] > 2 * self.count[0]).any() or self.count[0] > self.pixels.count:
            raise ValueError("more pairs than patches, or patches than pixels")
