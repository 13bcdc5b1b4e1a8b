"""The profile that composition gives for the patches of data."""

import os
import subprocess
import sys

import numpy as np
import pytest

import firstlight as fl
from firstlight.patches.bank_statistics import zeros
from firstlight.profile import correlation
from firstlight.theory.composition import UNIT
from firstlight.theory.trajectory import TOLERANCE, composition_of, follow

CIFAR = fl.patch_statistics("cifar10")
BASIS = CIFAR.basis(zeros(3, 3))


def test_one_layer_is_eq3():
    times = np.geomspace(0.3, 10, 6)
    found = follow(composition_of(CIFAR, 3, (3,)), BASIS.components, times, 0, (0,), tolerance=1e-8)
    to_tau = UNIT / BASIS.variance[0]
    expected = fl.linear_cnn_profile(BASIS, tau=times * to_tau)
    np.testing.assert_allclose(found.energy * np.sqrt(to_tau), expected, rtol=1e-6)


def test_the_usual_steps_are_near_the_limit_of_small_ones():
    times = np.geomspace(0.3, 30, 12)
    stack = composition_of(CIFAR, 3, (3, 3, 1, 1))
    usual, fine = (follow(stack, BASIS.components, times, tolerance=tolerance) for tolerance in (TOLERANCE, 1e-5))
    pairs = zip(usual.energy, fine.energy, strict=True)
    profile = np.sqrt(np.linspace(1, 0, 27) + 0.1)  # any
    errors = [correlation(one, profile) - correlation(other, profile) for one, other in pairs]
    assert np.abs(errors).max() < 0.002
    assert (abs(usual.energy / fine.energy - 1) < 0.01).all()


def test_later_kernels_that_are_spatial_make_a_window():
    """Of the taps, the centre has 9 partners, an edge 6, a corner 4; with 1 x 1 kernels above, all have one."""
    spatial, pointwise = (
        follow(composition_of(CIFAR, 3, sizes), BASIS.components, np.array([7.0, 18.0])).taps
        for sizes in ((3, 3, 1, 1), (3, 1, 1, 1))
    )
    centre, edge, corner = (spatial[:, y, x] for y, x in ((1, 1), (0, 1), (0, 0)))
    assert (centre > edge).all()
    assert (edge > corner).all()
    assert centre[1] / corner[1] > 3
    assert pointwise[1, 1, 1] / pointwise[1][[0, 0, 2, 2], [0, 2, 0, 2]].mean() < 1.5


def test_times_keep_their_shape_and_order():
    found = fl.composition_profile("cifar10", [[1.0, 0.0], [0.5, 1.0]], width=4, seeds=1)
    assert found.shape == (2, 2, 27)
    np.testing.assert_array_equal(found[0, 0], found[1, 1])
    start = fl.composition_profile(CIFAR, 0, width=4, seeds=[0])
    np.testing.assert_array_equal(found[0, 1], start)


def test_seeds_average_energies():
    one, other, both = (fl.composition_profile(CIFAR, 0.5, width=4, seeds=seeds) for seeds in ([0], [5], [0, 5]))
    np.testing.assert_allclose(both**2, (one**2 + other**2) / 2, rtol=1e-4)
    assert abs(one / other - 1).max() > 0.1


@pytest.mark.parametrize(
    ("channels", "side", "stride"), [(1, 3, 1), (13, 3, 1), (3, 5, 1), (3, 3, 2)], ids=lambda value: str(value)
)
def test_other_patches(channels: int, side: int, stride: int):
    images = np.random.default_rng(0).integers(0, 256, (20, channels, 16, 16), dtype=np.uint8)
    data = fl.patch_statistics(images, channels=channels, progress=False)
    found = fl.composition_profile(data, [0.5, 2.0], layers=(side, side, 1, 1), width=8, stride=stride, seeds=1)
    assert found.shape == (2, channels * side**2)
    assert (found > 0).all()


def test_grey_pictures_in_colour_and_constant_channels():
    """Their moments are singular: null directions are not learned, and keep what they began with."""
    grey = np.random.default_rng(0).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8)
    for images in (np.repeat(grey, 3, axis=1), np.concatenate([grey, grey * 0 + 7, grey], axis=1)):
        moments = fl.PatchMoments(5, 3).update(images)
        found = fl.composition_profile(moments, [0.0, 5.0], layers=(3, 3, 1, 1), mean=(0.5,) * 3, std=(0.2,) * 3)
        assert np.isfinite(found).all()
        empty = fl.patch_statistics(moments).basis(zeros(3, 3), (0.5,) * 3, (0.2,) * 3).variance == 0
        assert empty.sum() in (17, 18)
        np.testing.assert_allclose(found[1, empty], found[0, empty], rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"layers": (1, 1, 1, 1)}, "there is no window"),
        ({"layers": (4, 4, 1, 1)}, "expected odd ones"),
        ({"layers": (11, 11, 1, 1), "stride": 4}, "7,803 numbers; expected at most 2,500"),
        ({"layers": (16, 16, 1, 1), "stride": 16}, "expected odd ones"),
        ({"layers": (7, 7, 1, 1), "stride": 2}, "kernels up to 16 x 16"),
        ({"layers": ()}, "expected the sides"),
        ({"layers": (3, 0)}, "expected a whole number"),
        ({"t": None}, "expected finite times"),
        ({"t": [1, np.inf]}, "expected finite times"),
        ({"layers": 3}, "layers is 3; expected the sides"),
        ({"t": []}, "expected finite times"),
        ({"t": "late"}, "t is 'late'; expected finite times"),
        ({"t": 1j}, "expected finite times"),
        ({"t": 1e9}, "about 10,561 hours; expected one at most"),
        ({"width": 100_000}, "hours; expected one at most"),
        ({"seeds": 0}, "seeds is 0; expected a whole number of at least 1"),
        ({"seeds": None}, "seeds is None; expected a whole number"),
        ({"seeds": []}, "expected at least one seed"),
        ({"seeds": [1.5]}, "a seed in seeds is 1.5; expected a whole number"),
        ({"seeds": [-1]}, "a seed in seeds is -1; expected"),
        ({"initial_scale": 0}, "several layers of zeros never learn"),
        ({"initial_scale": 1e3}, "expected 1e-06 to 2"),
        ({"initial_scale": "small"}, "initial_scale is 'small'; expected a number"),
        ({"stride": 0}, "expected a whole number"),
        ({"data": fl.PatchMoments(5, 1).update(np.zeros((9, 1, 8, 8))), "mean": 0, "std": 1}, "are zero"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_has_no_composition_is_refused_in_one_line(change: dict, expected: str):
    with pytest.raises(fl.InputError, match=expected) as refused:
        fl.composition_profile(**{"data": "cifar10", "t": 1.0, **change})
    assert "\n" not in str(refused.value)


def test_steps_from_large_weights_that_fail_are_taken_again_without_a_warning():
    found = fl.composition_profile("cifar10", t=0.1, width=8, initial_scale=2.0, seeds=1)
    assert np.isfinite(found).all()


def test_any_number_of_threads_gives_the_same():
    """Bits for 3 x 3 kernels, whose products are small; single precision, which is kept, for larger ones."""
    code = """
import sys, numpy as np
from firstlight.patches.bank_statistics import zeros
from firstlight.patches.statistics import patch_statistics
from firstlight.theory.trajectory import composition_of, follow
statistics = patch_statistics("cifar10")
found = [
    follow(composition_of(statistics, 3, (side, side, 1, 1)), statistics.basis(zeros(3, side)).components, times)
    for side, times in ((3, np.array([2.0])), (5, np.array([0.1])))
]
print(found[0].energy.tobytes().hex(), found[1].energy.astype(np.float32).tobytes().hex())
"""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **dict.fromkeys(threads, count)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 500
