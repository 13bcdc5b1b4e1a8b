"""The pair kernel against the definition: cut out both patches of every pair, multiply, average."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.whitening import pair_sums
from firstlight.whitening.pair_sums import lag_matrices

from .direct import made_images, normalised


def brute_force(images: np.ndarray, kernel_size: int, max_distance: int) -> np.ndarray:
    """Mean outer product of all pairs of patches, by distance: horizontal and vertical averaged, symmetric."""
    windows = sliding_window_view(images, (kernel_size, kernel_size), axis=(2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(images), *windows.shape[2:4], -1)
    height, width = patches.shape[1:3]
    matrices = []
    for d in range(max_distance + 1):
        across = np.einsum("nyxa,nyxb->ab", patches[:, :, : width - d], patches[:, :, d:]) / (height * (width - d))
        down = np.einsum("nyxa,nyxb->ab", patches[:, : height - d], patches[:, d:]) / ((height - d) * width)
        matrix = (across + down) / (2 * len(images))
        matrices.append((matrix + matrix.T) / 2)
    return np.array(matrices)


def assert_same(images, kernel_size: int, max_distance: int) -> None:
    got = lag_matrices(images.images, kernel_size, max_distance, np.array(images.mean), np.array(images.std))
    expected = brute_force(normalised(images), kernel_size, max_distance)
    assert got.shape == expected.shape
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_array_equal(got, got.transpose(0, 2, 1))


@st.composite
def cases(draw: st.DrawFn):
    kernel_size, max_distance = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    least = kernel_size + max_distance
    height, width = (least + draw(st.integers(0, 12)) for _ in range(2))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), height, width)
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.float64]))
    return made_images(shape, dtype, draw(st.integers(0, 2**32 - 1))), kernel_size, max_distance


@settings(deadline=None, max_examples=60)
@given(cases())
def test_matrices_are_those_of_the_pairs_of_patches(case):
    assert_same(*case)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
@pytest.mark.parametrize("height", [14, 17])
def test_up_to_the_last_pair_that_fits(kernel_size, height, dtype):
    assert_same(made_images((3, 2, height, 14), dtype), kernel_size, 14 - kernel_size)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_many_blocks_of_images_give_the_same_as_one(monkeypatch, dtype):
    images = made_images((150, 1, 9, 11), dtype)
    monkeypatch.setattr(pair_sums, "_BLOCK_IMAGES", 4)  # 38 blocks, more than there are lanes
    assert_same(images, 3, 4)


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    images = made_images((60, 3, 12, 12), np.float64)
    monkeypatch.setattr(pair_sums, "_BLOCK_IMAGES", 4)
    arguments = (images.images, 3, 5, np.array(images.mean), np.array(images.std))
    monkeypatch.setattr(pair_sums, "thread_count", lambda: 1)
    one = lag_matrices(*arguments)
    monkeypatch.setattr(pair_sums, "thread_count", lambda: 3)
    np.testing.assert_array_equal(lag_matrices(*arguments), one)


def test_bytes_are_exact_whatever_the_order_and_layout():
    images = made_images((40, 3, 13, 12), np.uint8)
    arguments = (3, 6, np.array(images.mean), np.array(images.std))
    expected = lag_matrices(images.images, *arguments)
    np.testing.assert_array_equal(lag_matrices(images.images[::-1], *arguments), expected)
    interleaved = np.ascontiguousarray(images.images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(lag_matrices(interleaved, *arguments), expected)


def test_the_largest_bytes_do_not_overflow():
    images = np.full((300, 1, 40, 40), 255, np.uint8)  # a dot product of 32-bit integers over one row would
    matrices = lag_matrices(images, 3, 10, np.zeros(1), np.ones(1))
    np.testing.assert_array_equal(matrices, np.ones((11, 9, 9)))
