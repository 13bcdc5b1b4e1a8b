"""PatchGeometry: which pixels of an image make a patch, and where patches lie."""

from dataclasses import dataclass, fields

import numpy as np

from firstlight.errors import InputError
from firstlight.utils.checks import whole_number

_WIDEST = (1 << 31) - 1


@dataclass(frozen=True)
class PatchGeometry:
    """How patches are read: as a convolution without padding reads them.

    The patch at (y, x) has pixel (y + dilation * i, x + dilation * j) of channel c as its entry (c, i, j), which is
    number ``(c * kernel_size + i) * kernel_size + j`` of the D that it has; patches lie `stride` pixels apart.

    Parameters
    ----------
    kernel_size : int
        Pixels in each row and column of a patch.
    channels : int
        Channels of the images.
    stride : int
        Pixels from one patch to the next, in both directions.
    dilation : int
        Pixels from one pixel of a patch to the next, in both directions; 1: they are neighbours.

    Raises
    ------
    InputError
        One of these is no whole number of at least 1.

    Examples
    --------
    >>> geometry = PatchGeometry(kernel_size=3, channels=1, stride=2, dilation=2)
    >>> geometry.size, geometry.extent, geometry.windows(9, 7)
    (9, 5, (3, 2))
    """

    kernel_size: int
    channels: int
    stride: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, whole_number(one.name, getattr(self, one.name), least=1))
        if self.stride > _WIDEST:  # an image of one patch allows any other
            raise InputError(f"stride is {self.stride}; expected at most {_WIDEST}, pixels that an image can have")

    @property
    def size(self) -> int:
        """Length D of a patch: channels * kernel_size**2."""
        return self.channels * self.kernel_size**2

    @property
    def extent(self) -> int:
        """Pixels from the first to the last of a patch, in one direction."""
        return self.span(1)

    def span(self, windows: int) -> int:
        """Pixels from the first to the last that so many patches in a row read."""
        return self.stride * (windows - 1) + self.dilation * (self.kernel_size - 1) + 1

    def windows(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches in an image."""
        return (height - self.extent) // self.stride + 1, (width - self.extent) // self.stride + 1

    def taps_inside(self, window: tuple[int, int]) -> np.ndarray:
        """Which entries of a patch lie in its first rows and columns, shape (channels * rows * columns,).

        Raises
        ------
        InputError
            The window does not fit into a patch.
        """
        rows, columns = window
        if not (1 <= rows <= self.kernel_size and 1 <= columns <= self.kernel_size):
            raise InputError(
                f"window is {rows} x {columns}; expected at least 1 x 1 and at most {self.kernel_size} x "
                f"{self.kernel_size}, the size of these patches"
            )
        entries = np.arange(self.size).reshape(self.channels, self.kernel_size, self.kernel_size)
        return entries[:, :rows, :columns].ravel()
