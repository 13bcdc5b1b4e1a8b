"""Real files that take seconds to write, once for all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real exported program that the hostile ones are made of."""
    from .exported_programs import Net, export, stem  # here: torch, which most tests do without

    return export(Net(features=stem(stride=2, padding=1)), tmp_path_factory.mktemp("exported") / "seed.pt2")


@pytest.fixture(scope="session")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that Keras wrote."""
    from .keras_models import MAKE

    folder = tmp_path_factory.mktemp("keras")
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], check=True, env=environment, capture_output=True
    )
    return folder
