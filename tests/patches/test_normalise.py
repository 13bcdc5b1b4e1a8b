"""Normalisation of sums: exact where they are integers, and one line for what cannot be."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight import ImageLags, ImageSet, PatchMoments
from firstlight.errors import InputError
from firstlight.patches.normalise import checked_normalisation, scaled_covariance
from firstlight.utils.console import note_once


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


@pytest.fixture(autouse=True)
def _nothing_told_before():
    note_once.cache_clear()


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3, 9, 9)).astype(np.uint8)
UNITS = {"uint8": PIXELS, "floats in 0..1": PIXELS / 255, "floats in 0..255": PIXELS.astype(np.float32)}


@pytest.mark.parametrize("unit", UNITS)
def test_a_normalisation_of_pixels_in_0_to_255_is_recognised(unit, capsys):
    network = (PIXELS / 255 - np.array(IMAGENET[0])[:, None, None]) / np.array(IMAGENET[1])[:, None, None]
    right = PatchMoments(3, 3).update(network).basis().variance
    moments, lags = PatchMoments(3, 3).update(UNITS[unit]), ImageLags(3, 3, 2).update(UNITS[unit])
    pairs = lags.matrices(*IMAGENET)
    for factor in (1, 255):
        mean, std = np.multiply(IMAGENET, factor)
        basis = moments.basis(mean, std)
        np.testing.assert_allclose(basis.variance, right, rtol=1e-9)
        np.testing.assert_allclose(basis.std, np.multiply(IMAGENET[1], 255 if unit.endswith("255") else 1))
        np.testing.assert_allclose(lags.matrices(mean, std), pairs, rtol=1e-9, atol=1e-9)
        told = capsys.readouterr().err
        assert ("firstlight: mean" in told) == ((factor == 255) != unit.endswith("255")), told


@pytest.mark.parametrize("unit", UNITS)
def test_only_a_mean_is_subtracted_from_pixels_in_0_to_255(unit):
    network = PIXELS - np.array([103.53, 116.28, 123.675])[:, None, None]
    right = PatchMoments(3, 3).update(network).basis().variance
    found = PatchMoments(3, 3).update(UNITS[unit]).basis((103.53, 116.28, 123.675), (1, 1, 1))
    np.testing.assert_allclose(found.variance, right, rtol=1e-9)
    np.testing.assert_allclose(
        PatchMoments(3, 3).update(UNITS[unit]).basis(0, 255).variance, right_in_0_to_1(), rtol=1e-9
    )


def right_in_0_to_1():
    return PatchMoments(3, 3).update(PIXELS).basis().variance


def test_pixels_of_other_units_are_normalised_as_told(capsys):
    normalised = np.random.default_rng(0).normal(size=(4, 3, 9, 9))
    for images in (normalised, 60 * normalised, 30000 + 9000 * normalised):
        moments = PatchMoments(1, 3).update(images)
        for mean, std in ((0.485, 0.229), (123, 58), (0.5, 58)):
            assert moments.basis(mean, std).std == (std,) * 3
    assert PatchMoments(1, 3).update(UNITS["floats in 0..255"]).basis().std == (1, 1, 1)
    assert not capsys.readouterr().err


def test_networks_of_one_normalisation_are_told_of_it_once(capsys):
    for _ in range(3):
        PatchMoments(1, 3).update(PIXELS).basis(127, 63.25)
    assert capsys.readouterr().err == (
        "firstlight: mean 127 127 127 and std 63.25 63.25 63.25 are taken for those of pixels in 0..255, and divided "
        "by 255 for these images\n"
    )


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(("mean", "std"), [(123.7, 0.229), (0.485, 58.4), (300, 1), (300, 60)])
def test_a_mean_and_a_std_of_different_pixels_are_refused(unit, mean, std):
    with pytest.raises(InputError, match=r"^mean is .* and std .*; expected both of pixels in 0..1, or both .*: give"):
        PatchMoments(1, 3).update(UNITS[unit]).basis(mean, std)


def test_a_set_of_bytes_has_its_mean_in_0_to_1():
    with pytest.raises(InputError, match=r"mean is 124 124 124 of uint8 images; expected 0..1: divide"):
        ImageSet("mine", "train", PIXELS, None, (), (124.0,) * 3, (58.0,) * 3)


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
