"""PatchStatistics: the patches that filters are looked at with; shipped, computed and cached by content, or given."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.patches.basis import PatchBasis
from firstlight.patches.moments import LUMA, PatchMoments
from firstlight.patches.normalise import Normalisation, one_or_all
from firstlight.patches.pixel_statistics import pixel_statistics, told_normalisation
from firstlight.patches.shipped import DATA, KERNEL_SIZES, shipped_moments, shipped_normalisation, shipped_size
from firstlight.patches.storage import is_moments

if TYPE_CHECKING:
    from firstlight.images.streams import ImageStream


class PatchStatistics:
    """Patch moments of one data set for kernels of any size, and how to normalise its pixels.

    Attributes
    ----------
    data : str
        What results call the data set.

    Examples
    --------
    >>> import firstlight as fl
    >>> shipped = fl.patch_statistics("cifar10")
    >>> shipped.moments(rows=7, columns=7, channels=3)
    PatchMoments(kernel_size=7, channels=3, stride=1: 33,800,000 patches of uint8 images)
    """

    data: str

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        """Moments of patches that a kernel of that size fits into, with that dilation.

        Parameters
        ----------
        rows, columns, channels, dilation : int
            Of the kernel.

        Returns
        -------
        PatchMoments

        Raises
        ------
        InputError
            There are none for that size or dilation, or for so many channels.
        """
        raise NotImplementedError

    def normalisation(self, channels: int) -> Normalisation:
        """Mean and standard deviation per channel, in 0..1 for uint8 images.

        Parameters
        ----------
        channels : int
            How many the filters see.

        Returns
        -------
        mean : tuple of float
        std : tuple of float
        """
        raise NotImplementedError

    def prepare(self, banks: Iterable[FilterBank]) -> None:
        """Compute at once what these banks will need.

        Parameters
        ----------
        banks : iterable of FilterBank
        """

    def basis(
        self,
        bank: FilterBank,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> PatchBasis:
        """Principal components of patches of the shape of a bank's filters.

        Parameters
        ----------
        bank : FilterBank
        mean, std : float or sequence of float, optional
            The normalisation that the network was trained with, one number for each channel or one for all, in 0..1
            for uint8 images. By default that of the data set.

        Returns
        -------
        PatchBasis

        Raises
        ------
        InputError
            The data have no patches of that shape, or the normalisation does not fit.
        """
        _, channels, rows, columns = bank.ungrouped().weight.shape
        moments = self.moments(rows, columns, channels, dilation_of(bank))
        usual: Any = self.normalisation(channels) if mean is None or std is None else (mean, std)
        window = None if (rows, columns) == (moments.kernel_size,) * 2 else (rows, columns)
        return moments.basis(
            one_or_all("mean", usual[0] if mean is None else mean, channels),
            one_or_all("std", usual[1] if std is None else std, channels),
            window=window,
        )


class ShippedStatistics(PatchStatistics):
    """Those of CIFAR-10 that come with the package: nothing is downloaded. Gray is mixed from red, green and blue."""

    data = DATA

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        if dilation != 1:
            raise InputError(
                f"the layer has dilation {dilation}; the shipped statistics of {self.data} are of patches without: "
                "give --data (data=), whose patches are then read as the layer does"
            )
        size = shipped_size(rows, columns)
        if size is None:
            raise InputError(
                f"the kernel is {rows} x {columns}; the shipped statistics of {self.data} have kernels up to "
                f"{KERNEL_SIZES[-1]} x {KERNEL_SIZES[-1]}: give --data (data=) with larger images"
            )
        if channels not in (1, 3):
            raise InputError(
                f"the filters see {channels} channels; the shipped statistics of {self.data} have 3 (or 1, as gray): "
                "give --data (data=) with such images"
            )
        found = shipped_moments(size)
        return found.gray() if channels == 1 else found

    def normalisation(self, channels: int) -> Normalisation:
        if channels == 1:
            return pixel_statistics(shipped_moments(1).gray())
        return shipped_normalisation()


class GivenStatistics(PatchStatistics):
    """Moments that somebody computed before: for kernels that fit into theirs."""

    def __init__(self, moments: PatchMoments, data: str) -> None:
        self._moments, self.data = moments, data

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        size = self._moments.kernel_size
        if max(rows, columns) > size:
            raise InputError(
                f"the kernel is {rows} x {columns}; the moments {self.data} are of patches of {size} x {size}: compute "
                "some for a larger kernel size"
            )
        if max(rows, columns) > 1 and dilation != self._moments.dilation:
            raise InputError(
                f"the layer has dilation {dilation}; the moments {self.data} are of patches of dilation "
                f"{self._moments.dilation}: compute some with PatchMoments(..., dilation={dilation})"
            )
        return _with_channels(self._moments, channels, self.data)

    def normalisation(self, channels: int) -> Normalisation:
        told = told_normalisation(self._moments)
        if told and channels == self._moments.channels:
            return told
        return pixel_statistics(_with_channels(self._moments, channels, self.data))


class ComputedStatistics(PatchStatistics):
    """Those of a user's images, computed in one pass and kept in the cache under a hash of the images' content."""

    def __init__(self, stream: "ImageStream", data_dir: str | Path | None = None, strict: bool = False) -> None:
        self._stream, self.data, self._strict = stream, stream.name, strict
        self._data_dir = data_dir
        self._known: dict[tuple[int, int], PatchMoments] = {}  # by kernel size and dilation

    def prepare(self, banks: Iterable[FilterBank]) -> None:
        kinds = {(1, 1)} | {(max(bank.weight.shape[2:]), dilation_of(bank)) for bank in banks if _is_square(bank)}
        missing = sorted(kind for kind in kinds if kind not in self._known and not self._cached(*kind))
        if not missing:
            return
        stream = self._stream
        found = {(size, dilation): PatchMoments(size, stream.channels, dilation=dilation) for size, dilation in missing}
        for stack in stream:
            for moments in found.values():
                if min(stack.shape[2:]) >= moments.extent:
                    moments.update(stack)
        for kind, moments in found.items():
            if moments.count == 0:
                dilated = f" (with dilation {moments.dilation})" if moments.dilation > 1 else ""
                raise InputError(
                    f"all images of {self.data} are smaller than the kernel, {moments.extent} x {moments.extent}"
                    f"{dilated}; give larger ones"
                )
            self._known[kind] = moments
            if path := self._path(*kind):
                moments.save(path, data=self.data, broken=str(stream.broken_count), summary=stream.summary())

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        size = max(rows, columns)
        if (size, dilation) not in self._known:
            self.prepare([FilterBank(np.zeros((1, channels, size, size)), dilation=(dilation, dilation))])
        return _with_channels(self._known[size, dilation], channels, self.data)

    def normalisation(self, channels: int) -> Normalisation:
        return pixel_statistics(self.moments(1, 1, channels))

    def _cached(self, size: int, dilation: int) -> bool:
        """Take the moments from the cache, where they are whole and there."""
        from firstlight.utils.console import note

        path = self._path(size, dilation)
        if path is None or not path.is_file():
            return False
        try:
            moments = PatchMoments.load(path)
        except InputError:  # damaged: computed and written again
            return False
        if moments.provenance.get("broken", "0") != "0":
            if self._strict:
                return False
            if size == 1:  # one of those that every call asks for, so that it is said once
                note(f"statistics in the cache: {moments.provenance.get('summary')}")
        self._known[size, dilation] = moments
        return True

    def _path(self, size: int, dilation: int) -> Path | None:
        from firstlight.images.cache import cache_dir

        fingerprint = self._stream.fingerprint  # hashed once a stream
        if fingerprint is None:
            return None
        kind = f"{size}" if dilation == 1 else f"{size}-dilation-{dilation}"
        return cache_dir(self._data_dir) / "moments" / f"{fingerprint}-{self._stream.channels}-{kind}.npz"


def patch_statistics(
    data: Any = None, data_dir: str | Path | None = None, *, channels: int = 3, **options: Any
) -> PatchStatistics:
    """The patch statistics of a data set.

    Parameters
    ----------
    data : optional
        None or "cifar10": those that come with the package. A file of moments that `PatchMoments.save` wrote, or
        PatchMoments. Else images as `image_stream` takes them: a name, a folder, a file, an array, an ImageSet, a
        torch Dataset.
    data_dir : str or Path, optional
        Folder of the cache.
    channels : int
        Channels to decode images in files to, 3 or 1.
    **options
        Passed to `image_stream`: resize, crop, strict, workers, progress.

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
    if data is None or (isinstance(data, str) and data == DATA):
        return ShippedStatistics()
    if isinstance(data, PatchStatistics):
        return data
    if isinstance(data, PatchMoments):
        return GivenStatistics(data, "moments")
    if isinstance(data, str | Path) and is_moments(Path(data).expanduser()):
        moments = PatchMoments.load(Path(data).expanduser())
        return GivenStatistics(moments, moments.provenance.get("data") or Path(data).name)
    from firstlight.images.load import NAMES, load_images
    from firstlight.images.streams import image_stream

    if isinstance(data, str) and data in NAMES:
        data = load_images(data, data_dir=data_dir)
    return ComputedStatistics(image_stream(data, channels=channels, **options), data_dir, bool(options.get("strict")))


def dilation_of(bank: FilterBank) -> int:
    """Pixels between the neighbouring taps of the filters, in both directions; 1 where there is one tap only.

    Raises
    ------
    InputError
        It differs between rows and columns.
    """
    if not _is_square(bank):
        raise InputError(
            f"the layer {bank.layer} has dilation {bank.dilation}; expected the same in both directions, as patches "
            "are read"
        )
    return max(_dilations(bank))


def _is_square(bank: FilterBank) -> bool:
    return len(_dilations(bank)) == 1


def _dilations(bank: FilterBank) -> set[int]:
    """The different dilations in the directions in which there is more than one tap."""
    taps = zip(bank.weight.shape[2:], bank.dilation, strict=True)
    return {dilation for side, dilation in taps if side > 1} or {1}


def _with_channels(moments: PatchMoments, channels: int, data: str) -> PatchMoments:
    if channels == moments.channels:
        return moments
    if channels == 1 and moments.channels == len(LUMA):
        return moments.gray()
    raise InputError(
        f"the filters see {channels} channels; the images of {data} have {moments.channels}: give --data (data=) with "
        "such images"
    )
