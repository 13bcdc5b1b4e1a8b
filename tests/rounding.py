"""`make test-rounding`: the tests of what was recorded, where this machine's arithmetic rounds otherwise.

Sums are added up in another order than usual, as on another processor: by other kernels of BLAS, on one thread, and
without the wide instructions of NumPy and torch.
"""

import os
import sys
from pathlib import Path

import numpy as np


def other_rounding() -> dict[str, str]:
    """The environment in which NumPy, its BLAS and torch round otherwise, whatever the machine is.

    NumPy warns of a feature that it does not choose at run time, or that the processor lacks: only what it found is
    named. The kernels are for the oldest processor that it runs on; a BLAS that does not know them takes its own.
    """
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
        "ATEN_CPU_CAPABILITY": "default",
    }


if __name__ == "__main__":
    # Their modules are named, since to collect all of the thousands takes as long as to run these.
    modules = [str(path) for path in Path(__file__).parent.rglob("test_*.py") if "mark.recorded" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "recorded and not slow", *sys.argv[1:], *modules]
    os.execve(command[0], command, {**os.environ, **other_rounding()})
