"""What all exact sums over patches share: they are added to, merged, compared, saved and loaded in one way."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.possible_sums import are_possible
from firstlight.patches.storage import FileKind, read_sums, stamped, write_sums
from firstlight.patches.validation import type_name, validate_images
from firstlight.utils.damage import DAMAGE
from firstlight.utils.text import counted
from firstlight.utils.trouble import refuse_trouble

# The sum over so many patches of products of two bytes still fits a signed 64-bit integer.
MOST_PATCHES = (2**63 - 1) // 255**2


class PatchSums(ABC):
    """Second and first moments of patches, summed over a data set; `PatchMoments` and `ImageLags` are such sums.

    Attributes
    ----------
    geometry : PatchGeometry
        How patches are read.
    second, first : ndarray, shapes (..., D, D) and (..., D)
        Sums of ``p p^T`` and of ``p``: int64 for uint8 images, else float64.
    count : int or ndarray
        Of how many.
    dtype : {None, "uint8", "float64"}
        What the images were; None before the first update.
    provenance : dict
        What the file said that they were loaded from; empty otherwise.
    """

    # The constructor's arguments, which are attributes as well; what is added up; how messages call them; their files.
    _settings: ClassVar[tuple[str, ...]]
    _parts: ClassVar[tuple[str, ...]] = ("second", "first", "count")
    _noun: ClassVar[str]
    _file: ClassVar[FileKind]

    count: Any

    def __init__(self, geometry: PatchGeometry, shifts: tuple[int, ...] = ()) -> None:
        self.geometry = geometry
        self.dtype: str | None = None
        self.provenance: dict[str, str] = {}
        self.second = np.zeros((*shifts, self.size, self.size), np.int64)
        self.first = np.zeros((*shifts, self.size), np.int64)
        self.count = np.zeros(shifts, np.int64) if shifts else 0

    @property
    def kernel_size(self) -> int:
        """Pixels in each row and column of a patch."""
        return self.geometry.kernel_size

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.geometry.channels

    @property
    def stride(self) -> int:
        """Pixels from one patch to the next."""
        return self.geometry.stride

    @property
    def dilation(self) -> int:
        """Pixels from one pixel of a patch to the next."""
        return self.geometry.dilation

    @property
    def size(self) -> int:
        """Length D of a patch: channels * kernel_size**2."""
        return self.geometry.size

    @property
    def extent(self) -> int:
        """How many pixels high and wide images must be."""
        return self.geometry.extent

    @property
    def settings(self) -> dict[str, int]:
        """What these are sums of, by name: the arguments of the constructor."""
        return {name: getattr(self, name) for name in self._settings}

    @property
    def unit(self) -> int:
        """What a pixel of 1 is in the sums: 255 for uint8 images, which are normalised in 0..1, else 1."""
        return 255 if self.dtype == "uint8" else 1

    @property
    @abstractmethod
    def moments(self) -> "PatchSums":
        """The patches' moments, which are `PatchMoments`."""

    @property
    def parts(self) -> "tuple[PatchSums, ...]":
        """These sums, and those that they hold beside their own arrays."""
        return (self,)

    @property
    def scratch_bytes(self) -> int:
        """What an update takes for a while, besides images and sums."""
        return 0

    def __repr__(self) -> str:
        told = {name: value for name, value in self.settings.items() if (name, value) != ("dilation", 1)}
        shown = ", ".join(f"{name}={value}" for name, value in told.items())
        patches = counted(self.moments.count, "patch", "patches")
        return f"{type(self).__name__}({shown}: {patches} of {self.dtype or 'no'} images)"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        settings = [(name.replace("_", " "), str(value)) for name, value in self.settings.items()]
        summed = [("patches", f"{self.moments.count:,}"), ("images", self.dtype or "none yet")]
        return card(type(self).__name__, [*settings, *summed])

    def update(self, images: Any) -> Self:
        """Add all patches of a stack of images.

        Parameters
        ----------
        images : array_like or Tensor, shape (N, C, H, W), uint8 or floating
            uint8 in 0..255, or finite floats in any unit; at least `extent` high and wide. A transposed view of
            (N, H, W, C) is as quick. `PatchMoments` sum a torch tensor on a CUDA device there: the same integers, and
            floats within the same bound.

        Returns
        -------
        PatchMoments or ImageLags
            This object, so that calls chain.

        Raises
        ------
        InputError
            Wrong rank or type, no images, too small ones, another number of channels, NaN or infinity, or a mixture of
            uint8 and floats. The sums are then unchanged.
        """
        images = self._validated(images)
        dtype = "uint8" if type_name(images) == "uint8" else "float64"
        if self.dtype not in (None, dtype):
            raise InputError(
                f"images are {type_name(images)}, but these {self._noun} hold {self.dtype} images; their units differ: "
                f"accumulate them in separate {type(self).__name__}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            total = self + self._of(images)
        if dtype == "float64" and not np.isfinite(total.second).all():
            largest = float(abs(images).max())
            raise InputError(f"pixels reach {largest:.3g} and their squares overflow; expected smaller ones: rescale")
        for name in ("dtype", *self._parts):
            setattr(self, name, getattr(total, name))
        return self

    @classmethod
    def _of_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Of no images yet."""
        return cls(**{name: settings[name] for name in cls._settings})

    def _validated(self, images: Any) -> Any:
        """The images as the kernels read them, or an InputError."""
        return validate_images(images, self.geometry)

    @abstractmethod
    def _of(self, images: Any) -> Self:
        """The sums over these images alone."""

    @abstractmethod
    def _refuse_overflow(self, other: Any) -> None:
        """Raise InputError if the sums of integers together might not fit 64 bits."""

    def __add__(self, other: Self) -> Self:
        """Merge: the sums over both sets of images, exactly (uint8)."""
        if type(other) is not type(self):
            return NotImplemented
        for name in (*self._settings, "dtype"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and not (name == "dtype" and None in (mine, theirs)):
                hint = ": cut the longer one with up_to" if name == "max_distance" else ""
                raise InputError(f"cannot merge {self._noun} of {name} {mine} with {theirs}; expected the same{hint}")
        total = self._of_settings(self.settings)
        total.dtype = self.dtype or other.dtype
        if total.dtype == "uint8":
            self._refuse_overflow(other)
        for name in self._parts:
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total

    def __radd__(self, other: int) -> Self:
        """``0 + sums``, with which ``sum([...])`` begins."""
        if other != 0:
            return NotImplemented
        return self._of_settings(self.settings) + self

    def __eq__(self, other: object) -> bool:
        """Same sums of the same, bit for bit."""
        if type(other) is not type(self):
            return NotImplemented
        return (self.settings, self.dtype) == (other.settings, other.dtype) and all(
            np.all(getattr(self, name) == getattr(other, name)) for name in self._parts
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def fill(self, second: np.ndarray, first: np.ndarray, count: Any, dtype: str | None) -> None:
        """Take sums that were kept.

        Parameters
        ----------
        second, first : ndarray
            As the attributes.
        count : int or list of int
            Of how many.
        dtype : {None, "uint8", "float64"}
            What the images were.

        Raises
        ------
        ValueError
            They cannot be sums of this.
        """
        counted, number = np.array(count), np.float64 if dtype == "float64" else np.int64
        if not (
            dtype in (None, "uint8", "float64")
            and counted.shape == np.shape(self.count)
            and counted.dtype == np.int64
            and ((counted == 0) if dtype is None else (counted > 0)).all()
            and (second.shape, second.dtype) == (self.second.shape, number)
            and (first.shape, first.dtype) == (self.first.shape, number)
            and np.isfinite(second).all()
            and np.isfinite(first).all()
            and np.array_equal(second, second.swapaxes(-1, -2))
            and are_possible(second, first, counted, dtype)
        ):
            raise ValueError("these are no sums of patches, or of others")
        self.second, self.first, self.dtype = second, first, dtype
        self.count = counted if counted.ndim else counted.item()

    def save(self, path: str | Path, **provenance: str) -> None:
        """Write the sums to a ``.npz`` file, atomically: of the same sums and provenance, the same bytes.

        A file of lags is one of their `moments` as well.

        Parameters
        ----------
        path : str or Path
            The file to write, by this very name.
        **provenance : str
            What a reader should know about the images, such as ``data="cifar10"``; kept beside the version.
        """
        header, arrays = self._stored()
        header |= {**self.settings, "dtype": self.dtype, "provenance": stamped(provenance)}
        write_sums(path, header, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        PatchMoments or ImageLags
            As the class is.

        Raises
        ------
        InputError
            The file is missing, damaged, of another format version, or not a file of these sums.
        """
        header, arrays = read_sums(path, cls._file)
        try:
            sums = cls._of_settings(header)
            sums._restore(header, arrays)
            sums.provenance = {**header["provenance"]}
        except DAMAGE as error:
            refuse_trouble(error, str(path))
            raise InputError(
                f"{path}: the {cls._noun} contradict their header, so the file is damaged: compute them again"
            ) from None
        return sums

    @abstractmethod
    def _stored(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What goes into a file, besides settings, type and provenance: in its header, and as arrays."""

    @abstractmethod
    def _restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what a file holds; one of DAMAGE if it does not fit together."""
