"""Trajectories that come with the package, and those that the cache keeps."""

from pathlib import Path

import numpy as np
import pytest
from tools.trajectories import SIZES, STRIDES

import firstlight as fl
from firstlight.patches.bank_statistics import zeros
from firstlight.theory.kept_trajectories import SHIPPED, TIMES, computed, file_name, trajectory_of

CIFAR = fl.patch_statistics("cifar10")
NORMAL = CIFAR.normalisation(3)


@pytest.fixture
def refuse(monkeypatch):
    """Nothing is computed."""

    def follow(*given):
        raise AssertionError("computed again")

    monkeypatch.setattr("firstlight.theory.kept_trajectories.follow", follow)


def test_those_of_cifar_10_are_shipped(refuse):
    wanted = {file_name(zeros(3, size), CIFAR, stride, NORMAL) for size in SIZES for stride in STRIDES}
    assert {Path(str(file)).name for file in SHIPPED.iterdir()} == wanted
    assert sum(Path(str(file)).stat().st_size for file in SHIPPED.iterdir()) < 200_000
    for size in SIZES:
        found = trajectory_of(zeros(3, size), CIFAR, stride=2)
        assert (found.energy.shape, found.taps.shape) == ((len(TIMES), 3 * size**2), (len(TIMES), size, size))


def test_a_shipped_one_is_what_is_computed():
    shipped, again = trajectory_of(zeros(3, 3), CIFAR), computed(3, 3, CIFAR, 1, *NORMAL)
    np.testing.assert_allclose(shipped.energy, again.energy, rtol=1e-5)
    np.testing.assert_allclose(shipped.taps, again.taps, rtol=1e-5)


def test_a_trajectory_is_kept_and_a_damaged_one_computed_again(tmp_path, monkeypatch, request):
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path))
    moments = fl.PatchMoments(5, 1).update(np.random.default_rng(0).integers(0, 256, (9, 1, 16, 16), dtype=np.uint8))
    data = fl.patch_statistics(moments)
    first = trajectory_of(zeros(1, 3), data)
    (path,) = (tmp_path / "composition").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:100])
    np.testing.assert_array_equal(trajectory_of(zeros(1, 3), data).energy, first.energy)
    assert path.read_bytes() == content

    request.getfixturevalue("refuse")
    np.testing.assert_array_equal(trajectory_of(zeros(1, 3), data).taps, first.taps)
    with pytest.raises(AssertionError, match="computed again"):
        trajectory_of(zeros(1, 3), data, stride=1, mean=0.3)
