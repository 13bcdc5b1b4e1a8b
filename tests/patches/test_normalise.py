"""Normalisation of sums: exact where they are integers, and one line for what cannot be."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.errors import InputError
from firstlight.patches.normalise import checked_normalisation, scaled_covariance


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=30))
def test_the_covariance_of_integers_is_rounded_once(pairs):
    values = np.array(pairs)
    found = scaled_covariance(values.T @ values, values.sum(axis=0), len(values), np.ones(2))
    for i, j in np.ndindex(2, 2):
        mean = [Fraction(int(values[:, c].sum()), len(values)) for c in (i, j)]
        exact = Fraction(int((values[:, i] * values[:, j]).sum()), len(values)) - mean[0] * mean[1]
        assert found[i, j] == float(exact)


def test_large_sums_lose_nothing_to_cancellation():
    third = 3 * 10**13  # pixels of 254, and twice as many of 255: the variance is 2/9, of squares near 65025
    first = np.array([third * (254 + 2 * 255)])
    second = np.array([[third * (254**2 + 2 * 255**2)]])
    assert scaled_covariance(second, first, 3 * third, np.ones(1)) == 2 / 9
    assert scaled_covariance(second.astype(float), first.astype(float), 3 * third, np.ones(1)) != 2 / 9


def test_covariances_are_in_units_of_the_scale():
    values = np.random.default_rng(0).random((50, 3))
    found = scaled_covariance(values.T @ values, values.sum(axis=0), 50, np.array([1.0, 2.0, 0.5]))
    np.testing.assert_allclose(found, np.cov((values / [1, 2, 0.5]).T, bias=True), rtol=1e-12)


def test_a_normalisation_is_one_number_for_all_channels_or_one_for_each():
    np.testing.assert_array_equal(checked_normalisation(None, None, 2), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(checked_normalisation(0.5, [2, 3], 2), [[0.5, 0.5], [2, 3]])


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([1, 2, 3], None, "mean is .1, 2, 3.; expected a finite number, or one for each of 2 channels"),
        ("gray", None, "mean is 'gray'; expected a number or 2 numbers"),
        (None, [1, 0], r"std is \[1, 0\]; expected positive numbers"),
        (None, float("inf"), "std is inf; expected a finite number"),
    ],
)
def test_what_is_no_normalisation_is_refused(mean, std, message):
    with pytest.raises(InputError, match=message):
        checked_normalisation(mean, std, 2)
