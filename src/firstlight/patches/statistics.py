"""The patch statistics of whatever a user gives for data."""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.images import image_stream, recognise
from firstlight.patches.bank_statistics import PatchStatistics, channels_of
from firstlight.patches.basis import PatchBasis
from firstlight.patches.computed_statistics import ComputedStatistics
from firstlight.patches.given_statistics import BasisStatistics, GivenStatistics, ShippedStatistics
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.patches.shipped import DATA
from firstlight.patches.storage import is_moments
from firstlight.utils.checks import whole_number
from firstlight.utils.named_path import path_of


def patch_statistics(
    data: Any = None, data_dir: str | Path | None = None, *, channels: int | None = None, **options: Any
) -> PatchStatistics:
    """The patch statistics of a data set.

    Parameters
    ----------
    data : optional
        None or "cifar10": those that come with the package. PatchMoments, ImageLags, or the file that one of them was
        saved in; a PatchBasis, for filters of its shape; PatchStatistics, as they are. Else images as `image_stream`
        takes them: a name, a folder, a file, an array, an ImageSet, a torch Dataset.
    data_dir : str or Path, optional
        Folder of the cache.
    channels : int, optional
        Of the images, as of `image_stream`.
    **options
        Passed to `image_stream`: layout, resize, crop, max_pixels, strict, workers, progress.

    Returns
    -------
    PatchStatistics

    Raises
    ------
    InputError, SourceError
        The data cannot be had or read.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)
    >>> mine = fl.patch_statistics(images, progress=False)
    >>> mine.basis(fl.FilterBank(np.ones((1, 3, 5, 5)))).count
    144
    """
    if not reads_images(data):
        _refuse_options(options)
    if isinstance(data, PatchStatistics):
        return data
    if data is None or (isinstance(data, str) and data == DATA):
        return ShippedStatistics()
    if isinstance(data, PatchBasis):
        return BasisStatistics(data)
    if isinstance(data, ImageLags):
        moments = data.moments
        moments.provenance = data.provenance  # which may tell the normalisation
        return GivenStatistics(moments, "lags")
    if isinstance(data, PatchMoments):
        return GivenStatistics(data, "moments")
    if path := sums_file(data):
        moments = PatchMoments.load(path)
        return GivenStatistics(moments, moments.provenance.get("data") or path.name)
    stream = recognise(data, data_dir).stream(channels=channels, **options)
    return ComputedStatistics(stream, data_dir, bool(options.get("strict")))


def basis_for(
    bank: FilterBank,
    data: Any = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
    **options: Any,
) -> PatchBasis:
    """The components in which filters are looked at, out of whatever is given for data; a basis stays as it is."""
    if isinstance(data, PatchBasis) and mean is None and std is None:
        return data
    options = {"channels": channels_of([bank]), **options}
    return patch_statistics(data, data_dir, **options).basis(bank, mean, std)


def basis_of_size(
    data: Any = None,
    kernel_size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
    **options: Any,
) -> PatchBasis:
    """The components of whatever is given for data where no filters say of what size; by default its own, else 3."""
    if kernel_size is not None:
        kernel_size = whole_number("kernel_size", kernel_size, 1)
    statistics = patch_statistics(data, data_dir, **options)
    return statistics.basis(statistics.example(kernel_size), mean, std)


def reads_images(data: Any) -> bool:
    """Whether patches have still to be summed, of images; or are sums, a basis or the statistics that are shipped."""
    summed = data is None or isinstance(data, PatchStatistics | PatchBasis | ImageLags | PatchMoments)
    return not summed and not (isinstance(data, str) and data == DATA) and sums_file(data) is None


def _refuse_options(options: Mapping[str, Any]) -> None:
    """How images are read says nothing of patches that are summed up already; and a slip is one for all data."""
    if unknown := options.keys() - signature(image_stream).parameters.keys():
        raise TypeError(f"patch_statistics() got an unexpected keyword argument {min(unknown)!r}")
    for name in ("resize", "crop", "split", "only", "pages", "layout", "max_pixels", "strict"):
        if options.get(name) not in (None, False, (), [], "first"):
            raise InputError(
                f"{name} is {options[name]!r}, of images; expected none, since the patches of these data are summed up "
                "already: leave it out, or give the images"
            )


def sums_file(data: Any) -> Path | None:
    """The file, if what a user gave for data is that of PatchMoments or ImageLags instead of images."""
    path = path_of(data) if isinstance(data, str | Path) and str(data) else None
    return path if path is not None and is_moments(path) else None
