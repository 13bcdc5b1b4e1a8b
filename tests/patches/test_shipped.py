"""The shipped statistics: the integers that CIFAR-10 gives, golden numbers, windows and grey."""

import numpy as np
import pytest

import firstlight as fl
from firstlight.errors import InputError, SourceError
from firstlight.images.cifar import CIFAR
from firstlight.patches import PatchMoments
from firstlight.patches.shipped import KERNEL_SIZES, shipped_moments, shipped_normalisation, shipped_size


@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
def test_they_are_whole_and_say_where_they_come_from(kernel_size: int):
    moments = shipped_moments(kernel_size)
    assert moments.count == 50_000 * (33 - kernel_size) ** 2
    assert moments.second.shape == (3 * kernel_size**2,) * 2
    assert moments.second.dtype == np.int64
    np.testing.assert_array_equal(moments.second, moments.second.T)
    # A covariance: no direction has a negative variance.
    mean = moments.first / moments.count
    centred = moments.second / moments.count - np.outer(mean, mean)
    assert np.linalg.eigvalsh(centred)[0] > 0
    assert moments.provenance["data"].startswith("cifar10, train, 50,000 images")
    assert set(moments.provenance) == {"data", "fingerprint", "firstlight", "written"}


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_they_are_the_integers_that_the_images_give(kernel_size: int):
    try:
        images = fl.load_images("cifar10")
    except SourceError:
        pytest.skip("CIFAR-10 cannot be had here")
    assert PatchMoments(kernel_size, 3).update(images.images) == shipped_moments(kernel_size)
    assert shipped_moments(kernel_size).provenance["fingerprint"] == images.fingerprint


def test_the_usual_normalisation_is_that_of_the_data_set():
    assert shipped_normalisation() == (CIFAR["cifar10"].mean, CIFAR["cifar10"].std)


def test_the_size_for_a_kernel_is_the_next_larger_one():
    assert shipped_size(3, 3) == 3
    assert shipped_size(2, 5) == 5
    assert shipped_size(9, 9) == 11
    assert shipped_size(1, 16) == 16
    assert shipped_size(17, 1) is None


@pytest.mark.parametrize("window", [(2, 2), (3, 5), (5, 1), (1, 1)])
def test_a_window_has_the_moments_of_the_patches_first_rows_and_columns(window: tuple[int, int]):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 2, 9, 8), dtype=np.uint8)
    rows, columns = window
    patches = np.lib.stride_tricks.sliding_window_view(images, (5, 5), axis=(2, 3))[..., :rows, :columns]
    flat = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 2 * rows * columns) / 255
    normalised = (flat - 0.4) / 0.3
    expected = np.linalg.eigvalsh(normalised.T @ normalised / len(flat))[::-1]
    basis = PatchMoments(5, 2).update(images).basis(0.4, 0.3, window=window)
    np.testing.assert_allclose(basis.variance, expected, atol=1e-12)
    assert basis.shape == (2, rows, columns)
    assert basis.images.shape == (2 * rows * columns, 2, rows, columns)
    assert basis.to_dict()["window"] == [rows, columns]


def test_the_whole_window_is_no_window():
    moments = shipped_moments(3)
    whole, plain = moments.basis(window=(3, 3)), moments.basis()
    np.testing.assert_array_equal(whole.components, plain.components)
    assert whole.window is plain.window is None


@pytest.mark.parametrize("window", [(0, 2), (6, 2), (2, 6)])
def test_a_window_larger_than_a_patch_is_refused(window: tuple[int, int]):
    with pytest.raises(InputError, match="at most 5 x 5"):
        shipped_moments(5).basis(window=window)


def test_gray_moments_are_those_of_gray_patches():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    gray = np.einsum("c,nchw->nhw", [0.299, 0.587, 0.114], images / 255)[:, None]
    expected = PatchMoments(3, 1).update(gray)
    found = PatchMoments(3, 3).update(images).gray()
    assert (found.channels, found.dtype, found.count) == (1, "float64", expected.count)
    np.testing.assert_allclose(found.second, expected.second, rtol=1e-12)
    np.testing.assert_allclose(found.first, expected.first, rtol=1e-12)


def test_gray_of_gray_is_refused():
    with pytest.raises(InputError, match="expected 3"):
        PatchMoments(3, 1).gray()
