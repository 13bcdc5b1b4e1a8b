"""Arrays in .npz files, and .npy files that cannot be mapped, of which slices are read and never the whole.

A deflated member can only be unpacked from its start on. So places in it are kept, with the state of the decompressor
and the checksum of what lies before: spread over the member, and those where the latest slices ended. A slice is read
from the place before it; whoever comes to the end has the checksum of all.
"""

import contextlib
import math
import zipfile
import zlib
from collections import deque
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from firstlight.utils.budget import check_item
from firstlight.utils.regular_file import open_file

_CHUNK, _PACKED = 1 << 16, 1 << 14  # bytes at once
_SPREAD, _LATEST = 64, 32  # places that are kept, of some 60 kB each
_LOCAL_HEADER = 30  # bytes, before a name and what follows it


class NpzArray(NamedTuple):
    """An array in a .npz or .npy file, and where it lies.

    Attributes
    ----------
    path : Path
    known_by : tuple
        What tells of which file and member the places are.
    shape, dtype : tuple of int and dtype
        Of the array, in C order.
    skip : int
        Bytes of the member, unpacked, before the numbers.
    start, packed : int
        Where the member begins in the file, and its bytes there.
    size, checksum : int
        Of the member, unpacked: all bytes, and the CRC-32 of these; -1 of a .npy file.
    deflated : bool
    """

    path: Path
    known_by: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    skip: int
    start: int
    packed: int
    size: int
    checksum: int
    deflated: bool

    @classmethod
    def of(cls, path: Path, name: str) -> "NpzArray | None":
        """Find an array by its name in the file; None for one that has to be read whole."""
        path = path.absolute()
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            if f"{name}.npy" not in archive.namelist():
                return None
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                return None
            with archive.open(info) as member:
                header = _header(member, info.file_size)
            if header is None:
                return None
        with open_file(path) as file:
            file.seek(info.header_offset)
            local = file.read(_LOCAL_HEADER)
            status = path.stat()
        start = (
            info.header_offset + _LOCAL_HEADER + sum(int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
        )
        known_by = (str(path), status.st_size, status.st_mtime_ns, start)
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        return cls(path, known_by, *header, start, info.compress_size, info.file_size, info.CRC, deflated)

    @classmethod
    def of_npy(cls, path: Path) -> "NpzArray":
        """The array of a .npy file.

        Raises
        ------
        ValueError, EOFError
            It holds objects, or columns one after the other; or it is damaged.
        """
        status = path.stat()
        with path.open("rb") as file:
            header = _header(file, status.st_size)
        if header is None:
            raise ValueError("Python objects, or an array in Fortran order; expected numbers in C order")
        known_by = (str(path), status.st_size, status.st_mtime_ns, 0)
        return cls(path, known_by, *header, 0, status.st_size, status.st_size, -1, False)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` along the first axis.

        Raises
        ------
        BadZipFile, EOFError, zlib.error, OSError
            The file is damaged, cut off, or cannot be read.
        """
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        check_item(f"an image in {self.path}", (stop - start) * row, self.packed)
        raw = bytearray((stop - start) * row)
        filled = 0
        with contextlib.closing(self._pieces(self.skip + start * row, self.skip + stop * row)) as pieces:
            for piece in pieces:
                raw[filled : filled + len(piece)] = piece
                filled += len(piece)
        return np.frombuffer(raw, self.dtype).reshape(stop - start, *self.shape[1:])

    def _pieces(self, begin: int, end: int) -> Generator[bytes]:
        """The member's bytes from one on to another, as they are unpacked."""
        places = _places(self.known_by)
        place = places.before(begin) or _Place(0, 0, 0, zlib.decompressobj(-zlib.MAX_WBITS) if self.deflated else None)
        if self.checksum < 0:  # nothing has to be read before the slice
            place = _Place(begin, begin, 0, None)
        position, checksum, width = place.position, place.checksum, max(_CHUNK, self.size // _SPREAD)
        state = place.state and place.state.copy()
        with open_file(self.path) as file:
            file.seek(self.start + place.offset)
            while position < end:
                target = begin if position < begin else end
                piece = self._next(file, state, min(target - position, _CHUNK))
                checksum = zlib.crc32(piece, checksum)
                position += len(piece)
                if position > begin:
                    yield piece
                if position == end or position // width not in places.spread:
                    offset = file.tell() - self.start
                    places.keep(_Place(position, offset, checksum, state and state.copy()), width)
        if position == self.size and self.checksum not in (checksum, -1):
            raise zipfile.BadZipFile("a checksum (CRC-32) is not that of the content")

    def _next(self, file: IO[bytes], state: Any, most: int) -> bytes:
        """At most so many bytes more."""
        while True:
            left = self.start + self.packed - file.tell()
            if state is None:
                piece = file.read(min(most, left))
                ended = True
            else:
                packed = state.unconsumed_tail or file.read(min(_PACKED, left))
                piece = state.decompress(packed, most)
                ended = not packed or state.eof
            if piece:
                return piece
            if ended:
                raise EOFError("it ends before the array does")


def _header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype, int] | None:
    """Shape, type and length of the header; None of what is to be read whole."""
    parse = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(file))
    if parse is None:
        return None
    shape, fortran, dtype = parse(file)
    if dtype.hasobject or not shape or (fortran and len(shape) > 1):
        return None
    skip = file.tell()
    if skip + math.prod(shape) * dtype.itemsize > size:
        raise EOFError(f"it has {size - skip:,} bytes, too few for {dtype} of shape {shape}")
    return shape, dtype, skip


class _Place(NamedTuple):
    """A place in a member: bytes before it, unpacked and packed, the checksum of the former, the decompressor."""

    position: int
    offset: int
    checksum: int
    state: Any


class _Places:
    """The places of a member that are kept."""

    def __init__(self) -> None:
        self.spread: dict[int, _Place] = {}
        self._latest: deque[_Place] = deque(maxlen=_LATEST)

    def before(self, position: int) -> _Place | None:
        """The last place from which this can be reached."""
        found = [place for place in (*self.spread.values(), *self._latest) if place.position <= position]
        return max(found, default=None, key=lambda place: place.position)

    def keep(self, place: _Place, width: int) -> None:
        """As the latest, and as one of those that are spread, of which one lies in so many bytes."""
        self.spread.setdefault(place.position // width, place)
        self._latest.append(place)


@lru_cache(maxsize=4)
def _places(known_by: tuple[Any, ...]) -> _Places:
    """The same for the same member, in all threads."""
    return _Places()
