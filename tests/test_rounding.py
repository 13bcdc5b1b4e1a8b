"""`make test-rounding` changes how this machine rounds, and nothing complains of it."""

import os
import subprocess
import sys

from tests.rounding import other_rounding


def test_numpy_takes_the_environment_and_is_left_without_wide_instructions():
    code = "import numpy as np; print(np.show_config(mode='dicts')['SIMD Extensions'].get('found', []))"
    environment = {**os.environ, **other_rounding()}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
