"""Patch statistics that are there already: shipped with the package, or given as moments or as a basis."""

from collections.abc import Sequence

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.patches.bank_statistics import USUAL_SIZE, PatchStatistics, dilation_of, with_channels, zeros
from firstlight.patches.basis import PatchBasis
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import Normalisation
from firstlight.patches.pixel_statistics import pixel_statistics, recorded_normalisation
from firstlight.patches.shipped import DATA, KERNEL_SIZES, shipped_moments, shipped_normalisation, shipped_size
from firstlight.utils.text import counted


class ShippedStatistics(PatchStatistics):
    """Those of CIFAR-10 that come with the package: nothing is downloaded. Grey is mixed from red, green and blue."""

    data = DATA

    def example(self, kernel_size: int | None = None) -> FilterBank:
        return zeros(3, kernel_size or USUAL_SIZE)

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
            cut = (
                ", which may be blocks of pixels (space to depth), in an order not known"
                if channels in (12, 48)
                else ""
            )
            raise InputError(
                f"the filters see {counted(channels, 'channel')}{cut}; the shipped statistics of {self.data} have 3 "
                "(or 1, as grey): "
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
        self._named = "the moments" if data in ("moments", "lags") else f"the moments {data}"

    def example(self, kernel_size: int | None = None) -> FilterBank:
        own = self._moments
        return zeros(own.channels, kernel_size or own.kernel_size, own.dilation)

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        size = self._moments.kernel_size
        if max(rows, columns) > size:
            raise InputError(
                f"the kernel is {rows} x {columns}; {self._named} are of patches of {size} x {size}: compute some "
                f"for kernel size {max(rows, columns)}"
            )
        if max(rows, columns) > 1 and dilation != self._moments.dilation:
            raise InputError(
                f"the layer has dilation {dilation}; {self._named} are of patches of dilation "
                f"{self._moments.dilation}: compute some with PatchMoments(..., dilation={dilation})"
            )
        return with_channels(self._moments, channels, self.data)

    def normalisation(self, channels: int) -> Normalisation:
        told = recorded_normalisation(self._moments)
        if told and channels == self._moments.channels:
            return told
        return pixel_statistics(with_channels(self._moments, channels, self.data))


class BasisStatistics(PatchStatistics):
    """A basis that somebody computed before: for kernels of its shape, on pixels normalised as its patches were."""

    data = "basis"

    def __init__(self, basis: PatchBasis) -> None:
        self._basis = basis

    def example(self, kernel_size: int | None = None) -> FilterBank:
        channels, rows, columns = self._basis.shape
        shape = (channels, rows, columns) if kernel_size is None else (channels, kernel_size, kernel_size)
        return FilterBank(np.zeros((1, *shape)), dilation=(self._basis.dilation, self._basis.dilation))

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        raise InputError(f"{self._basis!r} holds no moments; expected PatchMoments, ImageLags or images for data")

    def normalisation(self, channels: int) -> Normalisation:
        return self._basis.mean, self._basis.std

    def basis(
        self,
        bank: FilterBank,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> PatchBasis:
        shape = bank.ungrouped().weight.shape[1:]
        if shape != self._basis.shape or (max(shape[1:]) > 1 and dilation_of(bank) != self._basis.dilation):
            raise InputError(
                f"the filters are {' x '.join(map(str, shape))} with dilation {dilation_of(bank)}; the basis given for "
                f"data is {self._basis!r}: give one of patches of that shape, or moments or images"
            )
        if mean is not None or std is not None:
            raise InputError("mean or std is given beside a basis, whose patches are normalised already: leave it out")
        return self._basis
