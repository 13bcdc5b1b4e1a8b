"""What all tests share."""

import os
import sys

from hypothesis import settings

# Tests run beside each other, on machines that others use: how long an example took says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What is compiled is kept, whatever the environment asks for: tests start hundreds of processes of the same sources.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
