"""The examples in the docstrings run, and print what they say."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import firstlight

MODULES = ["firstlight", *(module.name for module in pkgutil.walk_packages(firstlight.__path__, "firstlight."))]


@pytest.mark.recorded
@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstring_examples(name: str):
    if (module := imported(name)) is None:
        pytest.skip("it stands upon a library that is not installed")
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [module for name in MODULES if (module := imported(name)) is not None]
    found = [test for module in modules for test in finder.find(module) if test.examples]
    assert len(found) >= 6


def imported(name: str) -> ModuleType | None:
    """The module; None for an adapter whose library is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("firstlight") or not name.endswith("_callback"):
            raise
        return None
