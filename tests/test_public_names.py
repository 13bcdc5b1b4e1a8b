"""`import firstlight` is light, and every promised name is there."""

import subprocess
import sys

import pytest

import firstlight as fl


def test_every_public_name_resolves():
    for name in fl.__all__:
        assert getattr(fl, name) is not None
    assert set(fl.__all__) == set(dir(fl)) >= {"PatchMoments", "__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="firstlight attribute energy_profil"):
        _ = fl.energy_profil  # pyright: ignore[reportAttributeAccessIssue]


HEAVY = {"torch", "numba", "pandas", "matplotlib", "scipy", "pyarrow"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("firstlight", {"numpy", *HEAVY}),
        ("firstlight.cli", {"numpy", *HEAVY}),
        *((f"firstlight.{room}", HEAVY) for room in ("images", "theory", "inspection", "training")),
    ],
)
def test_imports_are_light(module: str, heavy: set[str]):
    code = f"import sys, {module}; print(*(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
