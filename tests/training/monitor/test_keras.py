"""The callback in trainings by Keras, on every backend that is installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KERAS = importlib.util.find_spec("keras")  # which is imported in the other process only
BACKENDS = [name for name in ("torch", "jax", "tensorflow") if KERAS and importlib.util.find_spec(name)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_trainings_are_watched_by_updates_and_not_changed(backend: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("keras_child.py"))],
        env=os.environ | {"KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["backend"] == backend
    assert found["layer"] == "stem"
    assert found["steps"] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16]
    assert found["unchanged"]
    assert found["profile"]  # of the change from the first weights to the last
    assert found["accumulated"] == [0, 1, 2, 3, 4]
    assert found["several"] == list(range(0, 17, 1 if backend == "torch" else 4))
    assert found["resumed"] == found["steps"]
    assert found["same"]
    assert found["grouped"] == [6, 3, 3, 3]
    assert found["frozen"]
    assert ["call its build before" in one for one in found["not built"]] == [True] * (backend == "tensorflow")
    assert len(found["no convolution"]) == len(found["another layer"]) == 1
    assert "has no Conv2D; expected a model with a convolution" in found["no convolution"][0]
    assert "layer is 'fc'; expected one of stem" in found["another layer"][0]
