"""The auto-correlation of a filter bank, of images wherever they are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.images import ImageSet, ImageStream, recognise
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import checked_normalisation
from firstlight.patches.pixel_statistics import pixel_statistics
from firstlight.patches.statistics import sums_file
from firstlight.utils.console import note
from firstlight.utils.text import counted, plural
from firstlight.whitening.banks import pixel_bank
from firstlight.whitening.curve import AutocorrelationCurve
from firstlight.whitening.lag_moments import LagMoments

_DISTANCE = 10  # pixels, as in the paper's Fig. 6


def autocorrelation(
    bank: Any,
    images: Any,
    max_distance: int | None = None,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: str | None = None,
) -> AutocorrelationCurve:
    """Auto-correlation of a filter bank's output against distance: how redundant the responses still are.

    ``C(d) = E[y(i) . y(i + d)]``, y the vector of the responses of all filters at one place, without bias, stride 1
    and without padding, on normalised images. The mean is over all images and all pairs of places d pixels apart,
    both inside the output, first horizontally and vertically by themselves, and then of the two. The mean response is
    not subtracted.

    Parameters
    ----------
    bank : FilterBank, ndarray of shape (K, C, kh, kw), whatever else `load_filters` takes, or None
        The filters; None for the pixels themselves.
    images : ImageSet, ndarray, ImageStream, ImageLags, or what else `load_images` or `image_stream` take
        What is not one array is read once, whatever its size. `ImageLags`, or the file that they were saved in, need
        no images any more.
    max_distance : int, optional
        Largest distance, in pixels. By default 10; of lags, as far as they go.
    mean, std : float or sequence of C floats, optional
        The normalisation, in 0..1 for uint8 images. By default that of the set; of an array, a stream or lags, the
        statistics of all their pixels.
    layout : {"NCHW", "NHWC"}, optional
        Of images in an array whose shape does not tell.

    Returns
    -------
    AutocorrelationCurve

    Raises
    ------
    InputError
        Filters that do not fit the images, or respond to nothing; or images smaller than kernel size + max_distance.
        Such images of a stream are left out, which stderr tells, unless all are.

    Notes
    -----
    Filters that are not square are measured where a square one would fit, and filters smaller than the patches of
    `ImageLags` where such a patch fits: so many places fewer at the lower and right border.

    References
    ----------
    Chowers and Weiss, ICML 2023, Fig. 6.

    Examples
    --------
    >>> import firstlight as fl
    >>> images = fl.load_images("photos")
    >>> autocorrelation(None, images).value.round(2)[[0, 1, 10]]
    array([1.  , 0.97, 0.76])
    >>> stream = fl.image_stream(images, progress=False)
    >>> autocorrelation(None, stream).value.round(2)[[0, 1, 10]]
    array([1.  , 0.97, 0.76])
    """
    bank = None if bank is None else load_filters(bank)
    if path := sums_file(images):
        images = ImageLags.load(path)
    elif not isinstance(images, ImageLags):
        images = _read(images, bank, layout)
    bank = bank or pixel_bank(images.channels)
    window = bank.weight.shape[2:]
    if isinstance(images, ImageLags):
        lags = images if max_distance is None else images.up_to(max_distance)
        if max(window) > lags.kernel_size:
            raise InputError(
                f"filters are {window[0]} x {window[1]} pixels; expected at most {lags.kernel_size} x "
                f"{lags.kernel_size}, the size of the patches of these lags"
            )
        return _of_lags(lags, mean, std, window).curve(bank)
    max_distance = _DISTANCE if max_distance is None else max_distance
    if isinstance(images, ImageStream):
        lags = _summed(images, ImageLags(max(window), images.channels, max_distance))
        return _of_lags(lags, mean, std, window).curve(bank)
    given = checked_normalisation(
        images.mean if mean is None else mean,
        images.std if std is None else std,
        images.channels,
        1 if images.unit == 255 else PatchMoments(1, images.channels).update(images.images).white,
    )
    images = replace(images, mean=tuple(given[0].tolist()), std=tuple(given[1].tolist()))
    return LagMoments.of(images, max(window), max_distance, window).curve(bank)


def _read(images: Any, bank: FilterBank | None, layout: str | None) -> ImageSet | ImageStream:
    """The images as a set where they are one array, else as a stream of what the filters see."""
    data = recognise(images)
    if data.whole:
        return data.image_set(labels=False, layout=layout)
    return data.stream(layout=layout, channels=None if bank is None else bank.weight.shape[1])


def _summed(stream: ImageStream, lags: ImageLags) -> ImageLags:
    """The lags of all images of a stream that are large enough."""
    small = 0
    for stack in stream:
        if min(stack.shape[2:]) < lags.extent:
            small += len(stack)
        else:
            lags.update(stack)
    least = f"kernel size + max_distance, {lags.extent} x {lags.extent}"
    smaller = f"of {stream.name} {plural(small, 'is', 'are')} smaller than {least}"
    if lags.dtype is None:
        raise InputError(
            f"all {counted(small, 'image')} {smaller}; expected larger ones, or give a smaller max_distance"
        )
    if small:
        note(f"{counted(small, 'image')} {smaller}, and left out")
    return lags


def _of_lags(
    lags: ImageLags,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    window: tuple[int, int],
) -> LagMoments:
    """Normalised as given, else by the statistics of the pixels."""
    if mean is None or std is None:
        own = pixel_statistics(lags.pixels)
        mean, std = own[0] if mean is None else mean, own[1] if std is None else std
    return LagMoments.of_lags(lags, mean, std, window)
