"""What all tests share."""

import os
import sys
from typing import Any

import pytest
from hypothesis import settings

# Tests run beside each other, on machines that others use: how long an example took says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What is compiled is kept, whatever the environment asks for: tests start hundreds of processes of the same sources.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def gpu() -> Any:
    """The torch device of tests marked gpu. FIRSTLIGHT_GPU=cpu tries them out without one, cuda:1 on another one."""
    import torch  # which most tests do without

    device = torch.device(os.environ.get("FIRSTLIGHT_GPU", "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device; FIRSTLIGHT_GPU=cpu tries the test out without one")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device
