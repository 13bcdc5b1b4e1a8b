"""PatchStatistics: the patches of a data set, in which the filters of any bank are looked at."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.patches.basis import PatchBasis
from firstlight.patches.moments import LUMA, PatchMoments
from firstlight.patches.normalise import Normalisation, one_or_all
from firstlight.utils.text import counted, printable

# Of the patches, where nothing says it: the kernels of the paper's networks.
USUAL_SIZE = 3


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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({printable(self.data)})"

    def example(self, kernel_size: int | None = None) -> FilterBank:
        """Filters of zeros, of the shape of these patches: for a basis where no filters say which.

        Parameters
        ----------
        kernel_size : int, optional
            By default that of the patches, where they have one, else 3.

        Returns
        -------
        FilterBank
        """
        raise NotImplementedError

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


def zeros(channels: int, kernel_size: int, dilation: int = 1) -> FilterBank:
    """A filter that stands for its shape alone."""
    return FilterBank(np.zeros((1, channels, kernel_size, kernel_size)), dilation=(dilation, dilation))


def channels_of(banks: Iterable[FilterBank]) -> int | None:
    """The channels that images are read with for these filters; None, which takes their own, where filters differ."""
    found = {bank.ungrouped().weight.shape[1] for bank in banks}
    return found.pop() if len(found) == 1 else 3 if found == {1, 3} else None


def dilation_of(bank: FilterBank) -> int:
    """Pixels between the neighbouring taps of the filters, in both directions; 1 where there is one tap only.

    Raises
    ------
    InputError
        It differs between rows and columns.
    """
    if not is_square(bank):
        raise InputError(
            f"the layer {bank.layer} has dilation {bank.dilation}; expected the same in both directions, as patches "
            "are read"
        )
    return max(_dilations(bank))


def is_square(bank: FilterBank) -> bool:
    """Whether there is one dilation for both directions."""
    return len(_dilations(bank)) == 1


def _dilations(bank: FilterBank) -> set[int]:
    """The different dilations in the directions in which there is more than one tap."""
    taps = zip(bank.weight.shape[2:], bank.dilation, strict=True)
    return {dilation for side, dilation in taps if side > 1} or {1}


def with_channels(moments: PatchMoments, channels: int, data: str) -> PatchMoments:
    """Moments of the patches as filters of so many channels see them: in grey, if of one.

    Raises
    ------
    InputError
        The images have other channels.
    """
    if channels == moments.channels:
        return moments
    if channels == 1 and moments.channels == len(LUMA):
        return moments.gray()
    raise InputError(
        f"the filters see {counted(channels, 'channel')}; the images of {data} have {moments.channels}: give "
        "--data (data=) with "
        "such images"
    )
