"""Keras files (.keras, .h5, .weights.h5), read without Keras, in a process of their own.

HDF5 is a large format, and its library in C answers damaged files at times with endless loops, gigabytes or a crash. So
it works in a process of its own with limits on time and memory.
"""

import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from firstlight import errors
from firstlight.errors import FirstlightError, SourceError
from firstlight.filters.bank import FilterBank

_SECONDS, _MEMORY = 8, 768 << 20  # for the process that reads, bytes beyond what its imports take


def read_keras(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The filters of a Keras model's first two-dimensional convolution.

    Parameters
    ----------
    path : Path
        A .keras archive, or an HDF5 file of a whole model or of weights alone, of Keras 2 or 3.
    source : str
        What messages and the result call it.
    layer : str, optional
        Name of the layer to take instead; one of a nested model is called "model/layer", or "layer" where that is
        unique.

    Returns
    -------
    FilterBank
        Of weight (K, C / groups, kh, kw). Without a configuration, stride and padding are None and `alternatives`
        lists what else would have fitted.

    Raises
    ------
    SourceError
        h5py is missing; the file is damaged or refers to others; the first layer is no ordinary convolution.
    InputError
        `layer` is not there, or is no convolution.
    """
    if find_spec("h5py") is None:
        raise SourceError(f"{source}: a Keras file needs h5py: pip install 'firstlight[keras]'")
    job = json.dumps([str(path), source, layer, sys.path])
    command = [sys.executable, "-I", "-c", _START, job]
    try:
        # The process does no arithmetic to speak of, and a thread a core would only cost it time to start.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{source}: reading it did not end within {_SECONDS} s: it is damaged") from None
    if done.returncode:
        raise SourceError(f"{source}: the HDF5 library crashed, or ran out of memory, on it: it is damaged")
    head, numbers = done.stdout.split(b"\n", 1)
    answer: dict[str, Any] = json.loads(head)
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    values = np.frombuffer(numbers, dtype=np.float64)
    shape = answer.pop("shape")
    weight, scale = np.split(values, [math.prod(shape)])
    bank = FilterBank(weight.reshape(shape), scale=scale if len(scale) else None)
    return replace(bank, **{key: tuple(value) if isinstance(value, list) else value for key, value in answer.items()})


# What the reading process starts with: the module search path of this one, and nothing from its working directory.
_START = """import json, sys
*job, sys.path = json.loads(sys.argv[1])
from firstlight.filters.formats.keras.reader import write_answer
write_answer(*job)"""


def write_answer(path: str, source: str, layer: str | None) -> None:
    """In a process of its own: read, and write the answer to standard output, JSON and then the numbers."""
    import h5py  # noqa: F401 - before memory is counted

    from firstlight.filters.formats.keras.model import read_in_process
    from firstlight.utils.named_path import path_of

    _limit_memory()
    try:
        bank = read_in_process(path_of(path), source, layer)
    except FirstlightError as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__, "message": str(error)}) + "\n")
        return
    names = [one.name for one in fields(bank) if one.name not in ("weight", "scale")]
    head = {name: getattr(bank, name) for name in names} | {"shape": bank.weight.shape}
    output = sys.stdout.buffer
    output.write(json.dumps(head).encode() + b"\n")
    output.write(np.ascontiguousarray(bank.weight).data)
    if bank.scale is not None:
        output.write(np.ascontiguousarray(bank.scale, dtype=np.float64).data)


def _limit_memory() -> None:
    """Let this process have so much more memory; only where the system says how much it has, which is on Linux."""
    with suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
