"""Distance from whitening: its ends, what does not count, and that both measures are of one scale."""

import numpy as np
import pytest

from firstlight.whitening import whitening_distance, whitening_spread

VARIANCE = np.array([9.0, 4.0, 1.0, 0.25])


def test_distance_from_whitening():
    assert whitening_distance(1 / np.sqrt(VARIANCE), VARIANCE) == pytest.approx(0, abs=1e-15)
    assert whitening_distance(7 * np.ones(4), VARIANCE) == pytest.approx(1)
    assert whitening_distance(np.sqrt(VARIANCE), VARIANCE) == pytest.approx(2)


@pytest.mark.parametrize("energy", [[0, 0, 0], [1, 0, 0]])
def test_distance_from_whitening_needs_two_components(energy: list[float]):
    assert np.isnan(whitening_distance(np.array(energy), np.array([3.0, 2.0, 1.0])))


def test_components_without_variance_or_energy_do_not_count():
    variance, energy = np.array([9.0, 4.0, 1.0, 0.0]), np.array([1 / 3, 1 / 2, 0.0, 5.0])
    assert whitening_distance(energy, variance) == pytest.approx(0, abs=1e-15)


def test_spread_is_the_distance_in_units_of_log_lambda():
    energy = np.array([3.0, 1.0, 2.0, 0.5])
    unit = np.std(np.log(np.sqrt(VARIANCE)))
    assert whitening_spread(energy, VARIANCE) == pytest.approx(unit * whitening_distance(energy, VARIANCE))
    assert whitening_spread(1 / np.sqrt(VARIANCE), VARIANCE) == pytest.approx(0, abs=1e-15)


def test_spread_leaves_out_what_has_no_variance_and_is_undefined_where_there_is_no_energy():
    variance = np.array([9.0, 4.0, 0.0])
    assert whitening_spread(np.array([1 / 3, 1 / 2, 7.0]), variance) == pytest.approx(0, abs=1e-15)
    assert np.isnan(whitening_spread(np.array([1.0, 0.0, 1.0]), variance))


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_distance_does_not_depend_on_the_scale_of_the_energies(scale: float):
    energy, variance = np.array([3.0, 1.0, 2.0, 0.5]), 1e-20 * VARIANCE
    assert whitening_distance(scale * energy, variance) == pytest.approx(whitening_distance(energy, variance))


def test_equal_variances_have_no_distance():
    assert np.isnan(whitening_distance(np.array([1.0, 2.0]), np.array([3.0, 3.0])))
