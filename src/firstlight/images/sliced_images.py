"""Images in a .npz file, of which a slice is in memory at a time."""

import zipfile
import zlib

import numpy as np

from firstlight.images.array_files import refusal, with_channels
from firstlight.images.arrays import check_images, laid_out
from firstlight.images.npz_slices import NpzArray

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError)


class SlicedImages:
    """Images (N, C, H, W) in a .npz file, or some of them: slices are read, and looked at as by `check_images`.

    Parameters
    ----------
    array : NpzArray
    layout, place, channels : optional
        As of `check_images`.
    start, stop : int, optional
        Which of the images.
    """

    def __init__(
        self,
        array: NpzArray,
        layout: str | None,
        place: str,
        channels: int | None,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self.array, self._layout, self._place, self._channels = array, layout, place, channels
        self._start = start
        # Of the shape alone.
        native = np.broadcast_to(np.zeros((), array.dtype.newbyteorder("=")), array.shape)
        form = laid_out(with_channels(native, layout), layout, place, channels)
        count = (len(form) if stop is None else stop) - start
        self.shape, self.dtype = (count, *form.shape[1:]), form.dtype
        self.nbytes = count * form[0].nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        start, stop = self._start + start, self._start + stop
        try:
            raw = self.array.read(start, stop)
        except _DAMAGE as error:
            raise refusal(self.array.path, error) from None
        return check_images(with_channels(raw, self._layout), self._layout, self._place, self._channels, start)

    def part(self, start: int, stop: int) -> "SlicedImages":
        """Some of them, which are not read yet."""
        begin = self._start
        return SlicedImages(self.array, self._layout, self._place, self._channels, begin + start, begin + stop)
