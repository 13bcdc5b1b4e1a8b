"""NumPy's own files: one array in a .npy file, named arrays in a .npz archive; nothing is ever unpickled."""

import io
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.filters.formats.archives import open_archive
from firstlight.filters.formats.refusals import named, refusing
from firstlight.utils.damage import DAMAGE
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import counted, printable

_LARGEST_HEADER = 4096  # bytes; NumPy's own, of the numbers that weights are, have 128
_MOST_ARRAYS = 5000
_CHUNK = 1 << 20
_EXPECTED = "a file of numpy.save or numpy.savez"


class _Array(NamedTuple):
    """What an array's header says, and where in its file the numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    start: int


def read_numpy(path: Path, source: str) -> TensorFile:
    """List the arrays of a .npy or .npz file.

    Parameters
    ----------
    path : Path
        The file. The headers are read, and later the one array; pickled objects never are.
    source : str
        What messages call it.

    Returns
    -------
    TensorFile
        The array of a .npy file is called after the file. Those of a .npz file are in the order in which they were
        saved, so `ordered` is True.

    Raises
    ------
    SourceError
        The file cannot be read, is cut off, or is neither.
    """
    with named(source), refusing(_EXPECTED):
        with open_file(path) as file:
            if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
                return _archive(path, source)
            file.seek(0)
            array = _header(file)
            held, needed = path.stat().st_size - array.start, math.prod(array.shape) * array.dtype.itemsize
            file.seek(array.start + min(needed, held))
            behind = file.read(len(npy.MAGIC_PREFIX))
        if array.dtype.kind != "O" and held < needed:
            raise SourceError(
                f"holds {held:,} bytes where {array.dtype.name} of shape {array.shape} needs {needed:,}: it is cut off"
            )
        if behind == npy.MAGIC_PREFIX:
            raise SourceError("holds several arrays one after the other; expected one: save them by numpy.savez")
        return TensorFile(source, (_entry(path.stem, array, partial(open_file, path), source),), ordered=True)


def _archive(path: Path, source: str) -> TensorFile:
    entries: dict[str, TensorEntry] = {}
    with open_archive(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise SourceError(f"is an archive of {len(members):,} files; expected at most {_MOST_ARRAYS:,} arrays")
        for info in members:
            name = info.filename.removesuffix(".npy")
            if name == info.filename:
                continue
            if not name.isprintable() or name in entries:
                raise SourceError(f"the archive has {printable(name, 100)} twice, or that is no name: it is damaged")
            with named(name), refusing(_EXPECTED), _open_member(archive, info) as member:
                array = _header(member)
            entries[name] = _entry(name, array, partial(_member, path, info), source)
    if not entries:
        raise SourceError("is an archive without a .npy file in it; expected arrays saved by numpy.savez")
    return TensorFile(source, tuple(entries.values()), ordered=True)


def _entry(
    name: str, array: _Array, opener: Callable[[], AbstractContextManager[IO[bytes]]], source: str
) -> TensorEntry:
    def load() -> np.ndarray:
        with named(f"{source}: {name}"), refusing(_EXPECTED):
            _check_dtype(array.dtype)
            with opener() as file:
                return _values(file, array)

    return TensorEntry(name, array.shape, array.dtype.name, load)


def _values(file: IO[bytes], array: _Array) -> np.ndarray:
    """Read the numbers, a piece at a time so that an archive never unpacks more than is asked for."""
    raw = bytearray()
    missing = array.start + math.prod(array.shape) * array.dtype.itemsize
    while missing and (piece := file.read(min(missing, _CHUNK))):
        raw += piece
        missing -= len(piece)
    if missing:
        raise SourceError(
            f"ends {counted(missing, 'byte')} before {array.dtype.name} of shape {array.shape} does: it is cut off"
        )
    file.read(1)  # at its end, the checksum of an archive's member is verified
    with np.errstate(invalid="ignore", over="ignore"):  # a signalling NaN; a long double beyond the float64
        values = np.frombuffer(raw, array.dtype, offset=array.start).astype(np.float64)
    return values.reshape(array.shape, order="F" if array.fortran else "C")


def _check_dtype(dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise SourceError("holds Python objects, which are never unpickled: save the weight itself as an array")
    if dtype.kind == "c":
        raise SourceError(f"the numbers are complex ({dtype.name}); expected real ones")
    if dtype.kind == "V" and dtype.names is None and dtype.subdtype is None:
        raise SourceError(
            f"holds raw items of {counted(dtype.itemsize, 'byte')}, which is what NumPy makes of bfloat16 and "
            "float8: save it as "
            "float32"
        )
    if dtype.kind not in "fiub":
        raise SourceError(f"holds {printable(dtype.name, 40)}; expected an array of numbers")


def _header(file: IO[bytes]) -> _Array:
    """Parse an array's header out of the first few kilobytes, which is all that is read."""
    start = io.BytesIO(file.read(_LARGEST_HEADER))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Python 2's files, and names of types that NumPy gave up
            version = npy.read_magic(start)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
            if read is None:  # 3.0 differs by the names of fields alone, and weights have none
                raise SourceError(f"is of version {version[0]}.{version[1]} of NumPy's format; expected 1.0 or 2.0")
            shape, fortran, dtype = read(start, max_header_size=_LARGEST_HEADER)
    except DAMAGE:  # what NumPy's evaluating of a literal, or making a type of it, raises
        raise SourceError("the header of the array is damaged, or of a type that NumPy lacks") from None
    # Beyond this NumPy refuses even an array without elements.
    too_large = math.prod(max(n, 1) for n in shape) * max(dtype.itemsize, 1) >= 2**62
    if len(shape) > 64 or any(type(n) is not int or n < 0 for n in shape) or too_large:
        raise SourceError(f"no array has the shape {printable(str(shape), 100)}: the file is damaged")
    return _Array(shape, fortran, dtype, start.tell())


@contextmanager
def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    # Python unpacks the other methods without a limit, and NumPy writes none of them.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError("is packed in a way that NumPy does not use; expected stored or deflated")
    with archive.open(info) as member:
        yield member


@contextmanager
def _member(path: Path, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    with open_archive(path) as archive, _open_member(archive, info) as member:
        yield member
