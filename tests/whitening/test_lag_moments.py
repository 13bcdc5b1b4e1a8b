"""The auto-correlation of filter banks against convolving, and what must not change it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.whitening import direct
from tests.whitening.direct import made_images

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.images import ImageSet
from firstlight.patches import PatchMoments
from firstlight.whitening import LagMoments, autocorrelation

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return made_images((30, 3, 16, 19), np.uint8)


@pytest.fixture(scope="module")
def lags(images) -> LagMoments:
    return LagMoments.of(images, 3, 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 5])
@pytest.mark.parametrize("size", [(17, 24), (20, 15)])
def test_a_curve_is_that_of_the_convolution(dtype, channels, kernel_size, size):
    images = made_images((6, channels, *size), dtype)
    bank = RNG.standard_normal((5, channels, kernel_size, kernel_size))
    for max_distance in (0, min(size) - kernel_size):
        curve = autocorrelation(bank, images, max_distance)
        expected = direct.curve(bank, images, max_distance)
        np.testing.assert_allclose(curve.raw, expected, rtol=1e-9, atol=1e-9 * expected[0])
        np.testing.assert_allclose(curve.value, expected / expected[0], rtol=0, atol=1e-9)
        assert curve.value[0] == 1


def test_floats_far_from_zero_lose_nothing():
    images = made_images((6, 2, 14, 14), np.float64)
    far = replace(
        images, images=images.images + 1e5, mean=tuple(1e5 + mean for mean in images.mean)
    )  # the same images once normalised, up to the rounding of the pixels
    bank = RNG.standard_normal((4, 2, 3, 3))
    np.testing.assert_allclose(autocorrelation(bank, far).value, autocorrelation(bank, images).value, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), filters=st.integers(1, 40))
@settings(deadline=None, max_examples=30)
def test_permutation_rotation_sign_and_scale_do_not_change_it(lags, seed, scale, filters):
    rng = np.random.default_rng(seed)
    bank = rng.standard_normal((filters, 3, 3, 3))
    rotation, _ = np.linalg.qr(rng.standard_normal((filters, filters)))
    rotated = np.tensordot(rotation, bank, axes=1)
    curve, other = lags.curve(bank), lags.curve(scale * rotated[rng.permutation(filters)])
    np.testing.assert_allclose(other.value, curve.value, atol=1e-11)
    np.testing.assert_allclose(other.raw, scale**2 * curve.raw, rtol=1e-9, atol=1e-9 * scale**2 * curve.raw[0])


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_tiny_and_huge_weights_have_a_curve(lags, scale):
    bank = RNG.standard_normal((8, 3, 3, 3))
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(lags.curve(scale * bank).value, lags.curve(bank).value, atol=1e-12)


def test_the_energy_at_distance_0_is_that_of_the_patches(images, lags):
    basis = PatchMoments(3, 3).update(images.images).basis(images.mean, images.std)
    bank = RNG.standard_normal((8, 3, 3, 3))
    energy = (bank.reshape(8, -1) @ basis.components.T) ** 2
    assert lags.curve(bank).raw[0] == pytest.approx(float((energy @ basis.variance).sum()), rel=1e-12)


def test_no_bank_means_the_pixels(images):
    pixels = direct.normalised(images)
    expected = [(pixels**2).sum(axis=1).mean()]
    for d in (1, 2, 3):
        across = (pixels[..., :-d] * pixels[..., d:]).sum(axis=1).mean()
        down = (pixels[:, :, :-d] * pixels[:, :, d:]).sum(axis=1).mean()
        expected.append((across + down) / 2)
    curve = autocorrelation(None, images, 3)
    np.testing.assert_allclose(curve.raw, expected, rtol=1e-12)
    assert (curve.filters, curve.source) == (3, "pixels")


def test_the_centre_tap_of_a_larger_filter_hands_on_the_pixels_inside():
    images = made_images((8, 2, 15, 15), np.uint8)
    bank = np.zeros((2, 2, 3, 3))
    bank[[0, 1], [0, 1], 1, 1] = 1
    inside = replace(images, images=images.images[:, :, 1:-1, 1:-1])
    np.testing.assert_allclose(autocorrelation(bank, images).raw, autocorrelation(None, inside).raw, rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), kernel_size=st.integers(1, 4))
@settings(deadline=None, max_examples=10)
def test_white_noise_is_correlated_where_patches_overlap_and_nowhere_else(seed, kernel_size):
    rng = np.random.default_rng(seed)
    noise = ImageSet("noise", "train", rng.standard_normal((300, 1, 32, 32)), None, (), (0.0,), (1.0,))
    lags = LagMoments.of(noise, kernel_size, 8)
    # A box filter's overlap falls as a triangle; a filter of random signs has none but its own auto-correlation.
    box = lags.curve(np.ones((1, 1, kernel_size, kernel_size))).value
    triangle = np.maximum(0, 1 - np.arange(9) / kernel_size)
    np.testing.assert_allclose(box, triangle, atol=0.02 * kernel_size)
    bank = rng.standard_normal((5, 1, kernel_size, kernel_size))
    shared = [
        ((bank[..., : kernel_size - d] * bank[..., d:]).sum() + (bank[:, :, : kernel_size - d] * bank[:, :, d:]).sum())
        / (2 * (bank**2).sum())
        for d in range(kernel_size)
    ]
    curve = lags.curve(bank).value
    np.testing.assert_allclose(curve[:kernel_size], shared, atol=0.02)
    np.testing.assert_allclose(curve[kernel_size:], 0, atol=0.02)


def test_random_banks_over_white_noise_leave_it_white_on_average():
    rng = np.random.default_rng(1)
    noise = ImageSet("noise", "train", rng.standard_normal((200, 3, 24, 24)), None, (), (0.0,) * 3, (1.0,) * 3)
    lags = LagMoments.of(noise, 3, 5)
    curves = [lags.curve(rng.standard_normal((64, 3, 3, 3))).value for _ in range(50)]
    np.testing.assert_allclose(np.mean(curves, axis=0)[1:], 0, atol=0.02)


def test_a_constant_image_is_as_alike_at_any_distance():
    images = ImageSet("flat", "train", np.full((2, 1, 16, 16), 200, np.uint8), None, (), (0.0,), (1.0,))
    np.testing.assert_allclose(autocorrelation(np.ones((1, 1, 3, 3)), images).value, 1)


def test_arrays_are_normalised_by_their_own_statistics():
    pixels = made_images((9, 3, 20, 20), np.uint8).images
    own = ImageSet(
        "own", "train", pixels, None, (), tuple(pixels.mean((0, 2, 3)) / 255), tuple(pixels.std((0, 2, 3)) / 255)
    )
    np.testing.assert_allclose(autocorrelation(None, pixels).value, autocorrelation(None, own).value, atol=1e-12)


def test_moments_read_back_give_the_same_curve(lags):
    bank = FilterBank(RNG.standard_normal((4, 3, 3, 3)), source="net", layer="conv1")
    again = LagMoments(np.array(lags.matrices), lags.kernel_size, lags.channels)
    np.testing.assert_array_equal(again.curve(bank).value, lags.curve(bank).value)
    assert repr(again) == "LagMoments(3 x 3 x 3 patches, up to 10 pixels apart)"


@pytest.mark.parametrize(
    ("bank", "max_distance", "message"),
    [
        (np.ones((1, 3, 3, 3)), 14, r"max_distance is 14; expected at most 13: patches of 3 x 3 pixels .* 16 x 19"),
        (np.ones((1, 3, 3, 3)), -1, "max_distance is -1; expected a whole number of at least 0"),
        (np.ones((1, 3, 3, 3)), 2.5, "max_distance is 2.5; expected a whole number"),
        (np.ones((1, 1, 3, 3)), 4, "filters are 1 x 3 x 3 .* expected 3 x 3 x 3"),
        (np.ones((1, 3, 17, 17)), 4, "images are 16 x 19 pixels; expected at least the kernel size"),
        (np.zeros((2, 3, 3, 3)), 4, "respond to nothing in these images"),
        (FilterBank(np.ones((2, 3, 3, 3)), dilation=(2, 2)), 4, r"with dilation \(2, 2\)"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(images, bank, max_distance, message):
    with pytest.raises(InputError, match=message) as caught:
        autocorrelation(bank, images, max_distance)
    assert "\n" not in str(caught.value)


def test_filters_that_only_rounding_answers_are_refused():
    gray = np.repeat(made_images((5, 1, 14, 14), np.uint8).images, 3, axis=1)
    images = ImageSet("gray", "train", gray, None, (), (0.4,) * 3, (0.3,) * 3)
    for _ in range(20):  # rounding is of either sign
        colour = np.array([1.0, -0.7, -0.3])[None, :, None, None] * RNG.standard_normal((6, 1, 3, 3))
        with pytest.raises(InputError, match="respond to nothing"):
            autocorrelation(colour, images, 2)


def test_squares_that_overflow_are_refused():
    images = ImageSet("huge", "train", 1e200 * RNG.random((2, 1, 8, 8)), None, (), (0.0,), (1.0,))
    with pytest.raises(InputError, match="overflow"):
        autocorrelation(None, images, 2)
