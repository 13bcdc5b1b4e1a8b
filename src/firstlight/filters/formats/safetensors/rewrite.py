"""A safetensors file with one tensor's numbers replaced, and everything else bit for bit as it was."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.formats.dtypes import to_float64
from firstlight.filters.formats.refusals import named
from firstlight.filters.formats.safetensors.header import parse_header
from firstlight.filters.formats.safetensors.reader import open_regular, read_header
from firstlight.utils.whole_files import atomic_write

_COMPUTED = (
    "stores no floating-point weight of {} as the layer convolves with it; expected a plain convolution: "
    "fl.initialise_first_layer starts one in Python"
)


def rewritten(path: Path, source: str, bank: FilterBank, weight: np.ndarray, out: Path) -> None:
    """Copy a file with the weight of one layer replaced, in its own dtype, rounded to the nearest.

    Parameters
    ----------
    path : Path
        The file; it stays as it is.
    source : str
        What messages call it.
    bank : FilterBank
        The layer, as it was read from the file.
    weight : ndarray, float64
        Of the tensor's shape.
    out : Path
        The new file: whole, or not at all.

    Raises
    ------
    SourceError
        What the layer convolves with is not what the file stores under its name, in floating-point numbers.
    OutputError
        `out` cannot be written.
    """
    with named(source):
        header, size = read_header(path)
        names = (bank.layer, f"{bank.layer}.weight")
        stored = next((one for one in parse_header(header, size) if one.name in names), None)
        if stored is None or stored.shape != weight.shape or stored.dtype not in _ENCODED:
            raise SourceError(_COMPUTED.format(bank.layer))
        begin = 8 + len(header) + stored.begin
        with open_regular(path) as file:
            file.seek(begin)
            old = to_float64(file.read(stored.end - stored.begin), stored.dtype, stored.shape)
            if not np.array_equal(old, bank.weight):
                raise SourceError(_COMPUTED.format(bank.layer))
        with open_regular(path) as file, atomic_write(out) as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.seek(begin)
            copy.write(_ENCODED[stored.dtype](weight))


def _brain(weight: np.ndarray) -> bytes:
    """As bfloat16: the upper half of a float32, rounded to even."""
    bits = weight.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


_ENCODED: dict[str, Callable[[np.ndarray], bytes]] = {
    "float64": lambda weight: weight.astype("<f8").tobytes(),
    "float32": lambda weight: weight.astype("<f4").tobytes(),
    "float16": lambda weight: weight.astype("<f2").tobytes(),
    "bfloat16": _brain,
}


def is_rewritten(path: Path, model: Path) -> bool:
    """Whether a file is a model but for the numbers of one tensor, as `rewritten` leaves it."""
    header, size = read_header(path)
    with open_regular(path) as one, open_regular(model) as other:
        if read_header(model) != (header, size) or path.stat().st_size != model.stat().st_size:
            return False
        spans = sorted((stored.begin, stored.end) for stored in parse_header(header, size))
        one.seek(8 + len(header))
        other.seek(8 + len(header))
        changed = sum(one.read(end - begin) != other.read(end - begin) for begin, end in spans)
    return changed <= 1
