"""Named tensors in a file, not read yet: what the readers of bare state dicts hand to the choice of the first layer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from firstlight.errors import SourceError

# More numbers than any first layer has: 16 million, 128 MiB in float64. A file that declares more is not read.
LARGEST = 1 << 24


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a file.

    Attributes
    ----------
    name : str
        As in the file; the parts of nested containers joined by dots, such as "state_dict.module.conv1.weight".
    shape : tuple of int
        As declared. Nothing is allocated until :meth:`read`.
    dtype : str
        As stored: "float32", "bfloat16", "float8_e4m3fn", "int8", ...; a quantised tensor that carries its own scale
        is called "quantized int8" and so on.
    load : callable
        Reads this tensor alone, upcast to float64 and rescaled when it carries its own scale. May raise SourceError.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray] = field(repr=False)

    def read(self) -> np.ndarray:
        """The values, of `shape`, float64.

        Raises
        ------
        SourceError
            It is larger than any first layer, or the file does not hold what it declares.
        """
        if (count := math.prod(self.shape)) > LARGEST:
            raise SourceError(
                f"{self.name} declares {count:,} numbers; expected at most {LARGEST:,}: no first layer is so large"
            )
        return self.load()


@dataclass(frozen=True)
class TensorFile:
    """All tensors of a file, or of several shards.

    Attributes
    ----------
    source : str
        The file as messages and results call it.
    entries : tuple of TensorEntry
        In the order of the file.
    ordered : bool
        Whether that order is the one in which the network's layers were made.
    notes : sequence of str
        What a reader of the result should know, in plain sentences without a full stop. It is asked for after the
        weight was read, so that it may tell what reading took.
    """

    source: str
    entries: tuple[TensorEntry, ...]
    ordered: bool
    notes: Sequence[str] = ()
