"""The whitening bank: what it does to the patches that it was made for."""

import numpy as np
import pytest
from tests.whitening.direct import image_set, made_images, normalised, responses

from firstlight.errors import InputError
from firstlight.patches import PatchBasis, PatchMoments
from firstlight.profile import energy_profile
from firstlight.theory import linear_cnn_profile
from firstlight.whitening import LagMoments, pixel_bank, whitening_bank


def basis_of(images) -> PatchBasis:
    return PatchMoments(3, images.channels).update(images.images).basis(images.mean, images.std)


def test_responses_to_one_patch_are_uncorrelated_and_of_variance_1():
    images = made_images((20, 3, 16, 16), np.uint8)
    bank = whitening_bank(basis_of(images))
    assert bank.weight.shape == (27, 3, 3, 3)
    y = responses(bank.weight, normalised(images)).transpose(1, 0, 2, 3).reshape(27, -1)
    np.testing.assert_allclose(y @ y.T / y.shape[1], np.eye(27), atol=1e-9)


def test_its_profile_is_the_limit_of_eq_3_and_so_is_its_curve():
    images = made_images((20, 3, 16, 16), np.uint8)
    basis, lags = basis_of(images), LagMoments.of(images, 3, 6)
    bank = whitening_bank(basis)
    limit = linear_cnn_profile(basis.variance, float("inf"))
    np.testing.assert_allclose(energy_profile(bank, basis).energy * np.sqrt(27), limit, rtol=1e-9)
    late = basis.images * linear_cnn_profile(basis.variance, 1e6 / basis.variance.min())[:, None, None, None]
    np.testing.assert_allclose(lags.curve(late).value, lags.curve(bank).value, atol=1e-9)


def test_any_rotation_of_it_has_the_same_curve():
    images = made_images((20, 3, 16, 16), np.uint8)
    basis, lags = basis_of(images), LagMoments.of(images, 3, 6)
    symmetric = np.tensordot(basis.components.T, whitening_bank(basis).weight, axes=1)
    np.testing.assert_allclose(lags.curve(symmetric).value, lags.curve(whitening_bank(basis)).value, atol=1e-9)


def test_where_patches_are_uncorrelated_as_the_theorem_assumes_the_curve_is_0():
    # Independent 3 x 3 tiles of smooth content: patches on the tiles' grid share nothing.
    rng = np.random.default_rng(0)
    tiles = np.cumsum(rng.standard_normal((2000, 1, 5, 3, 5, 3)), axis=3)
    images = image_set(tiles.reshape(2000, 1, 15, 15), 0.0, 1.0)
    curve = LagMoments.of(images, 3, 8).curve(whitening_bank(basis_of(images))).value
    assert np.abs(curve[6:]).max() < 0.02
    assert curve[1] > 0.05  # overlapping patches share pixels, whatever whitens each


def test_components_without_variance_are_left_out():
    gray = np.repeat(made_images((9, 1, 12, 12), np.uint8).images, 3, axis=1)
    basis = PatchMoments(3, 3).update(gray).basis((0.4,) * 3, (0.3,) * 3)
    bank = whitening_bank(basis)
    assert len(bank) == 9
    assert np.isfinite(bank.weight).all()


def test_a_basis_without_variance_is_refused():
    basis = PatchMoments(3, 1).update(np.zeros((1, 1, 5, 5), np.uint8)).basis()
    with pytest.raises(InputError, match="no component of the basis has variance"):
        whitening_bank(basis)


def test_the_pixel_bank_hands_pixels_on():
    pixels = np.random.default_rng(0).random((2, 3, 4, 5))
    np.testing.assert_array_equal(responses(pixel_bank(3).weight, pixels), pixels)
