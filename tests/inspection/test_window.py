"""The window: known shapes of kernels, what chance gives, and kernels that have none."""

import numpy as np
import pytest

import firstlight as fl
from firstlight.inspection.window import centre_over_corners, no_window, window


def random_bank(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_the_rings_of_a_kernel_of_three_are_centre_edges_and_corners():
    weight = np.zeros((2, 3, 3, 3))
    weight[...] = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    found = window(weight)
    assert found is not None
    mean = (16 + 4 * 4 + 4 * 1) / 9
    assert [at for at, _ in found.rings] == pytest.approx([0, 1, np.sqrt(2)])
    assert (found.centre, found.edge, found.corner) == pytest.approx((16 / mean, 4 / mean, 1 / mean))
    assert (found.to_corner, found.to_edge) == pytest.approx((16, 4))
    assert found.to_dict()["centre_over_corner"] == pytest.approx(16)


def test_of_a_larger_kernel_edges_are_in_the_middle_of_the_sides():
    weight = np.ones((1, 1, 11, 11))
    weight[0, 0, 0, 5] = 3  # as far from the centre as the tap at (3, 4)
    found = window(weight)
    assert found is not None
    assert found.edge / found.corner == pytest.approx((9 + 3) / 4)
    distances = {np.sqrt(y**2 + x**2) for y in range(6) for x in range(6)}
    assert [at for at, _ in found.rings] == pytest.approx(sorted(distances))


def test_random_filters_have_a_window_as_often_as_chance_says():
    values = [found.p_value for seed in range(200) if (found := window(random_bank(16, 3, 3, 3, seed=seed)))]
    assert 0.01 <= np.mean(np.array(values) <= 0.05) <= 0.1
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scale_and_seed_change_what_they_should(scale):
    weight = random_bank(8, 3, 5, 5)
    assert window(weight * scale) == window(weight * scale, seed=0)
    found, usual = window(weight * scale), window(weight)
    assert found is not None
    assert usual is not None
    assert found.to_corner == pytest.approx(usual.to_corner)


def test_empty_corners_and_an_empty_centre():
    weight = np.zeros((2, 1, 3, 3))
    weight[:, :, 1, 1] = 1
    found = window(weight)
    assert found is not None
    assert found.to_corner == np.inf
    assert found.to_dict()["centre_over_corner"] is None
    weight = np.ones((2, 1, 3, 3))
    weight[:, :, 1, 1] = 0
    hollow = window(weight)
    assert hollow is not None
    assert (hollow.to_corner, hollow.p_value) == (0, 1)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((4, 3, 1, 1), "kernels of one tap have none"),
        ((4, 3, 4, 4), "kernels of 4 x 4 have no tap in their centre"),
        ((4, 3, 3, 5), "kernels of 3 x 5 have no tap in their centre"),
    ],
)
def test_kernels_without_a_centre_among_others_have_none(shape, why):
    assert window(random_bank(*shape)) is None
    assert no_window(shape[2:]) == why
    found = fl.inspect(random_bank(*shape))
    assert (found.to_dict()["window"], dict(found.rows)["window"]) == (None, f"- ({why})")


def test_inspect_has_the_window_of_the_filters_and_of_their_change():
    first, last = random_bank(16, 3, 3, 3), random_bank(16, 3, 3, 3, seed=1)
    last[:, :, 1, 1] *= 5
    found = fl.inspect(last, initial=first)
    assert found.window == window(last)
    added = window(last - first)
    assert added is not None
    assert found.to_dict()["window"]["change"] == added.to_dict()
    assert fl.inspect(last).to_dict()["window"]["change"] is None
    assert any(name == "window" and "change" in how for name, _, how in found.measures)


def test_centre_over_corners_is_that_of_the_window():
    weight = np.ones((4, 3, 3, 3))
    assert centre_over_corners(weight) == pytest.approx(1)
    weight[:, :, 1, 1] = 2
    weight[:, :, 0, 1] = 100  # an edge
    weight[:, :, 2, 2] = 3  # one of four corners
    assert centre_over_corners(weight) == pytest.approx(4 / 3)
    found = window(weight)
    assert found is not None
    assert found.to_corner == centre_over_corners(weight)
    assert np.isnan(centre_over_corners(np.ones((1, 1, 4, 4))))
