"""The pair kernel against the definition: cut out both patches of every pair, multiply, add."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.patches.kernels import pair_sums as module
from firstlight.patches.kernels.pair_sums import PairSums, pair_sums


def made(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    """Noise on a gradient, so that no two directions and no two channels are alike."""
    rng = np.random.default_rng(seed)
    count, channels, height, width = shape
    ramp = np.linspace(0, 120, height)[:, None] + np.linspace(0, 60, width)
    pixels = ramp + 60 * rng.random((count, channels, 1, 1)) + rng.integers(0, 16, shape)
    return pixels.astype(dtype)


def brute_force(images: np.ndarray, kernel_size: int, max_distance: int) -> PairSums:
    """All sums from the patches themselves: int64, or in the longest floats."""
    images = images.astype(np.int64 if images.dtype == np.uint8 else np.longdouble)
    windows = sliding_window_view(images, (kernel_size, kernel_size), axis=(2, 3))
    patches = windows.transpose(2, 3, 0, 1, 4, 5).reshape(*windows.shape[2:4], len(images), -1)
    height, width, _, size = patches.shape
    second, first, count = [], [], []
    for y, x in [(0, d) for d in range(max_distance + 1)] + [(d, 0) for d in range(1, max_distance + 1)]:
        own, partner = patches[: height - y, : width - x].reshape(-1, size), patches[y:, x:].reshape(-1, size)
        both = [(own, partner)] if y == x == 0 else [(own, partner), (partner, own)]
        second.append(sum(a.T @ b for a, b in both))
        first.append(sum(a.sum(axis=0) for a, _ in both))
        count.append(len(both) * len(own))
    pixels = images.transpose(0, 2, 3, 1).reshape(-1, images.shape[1])
    return PairSums(
        np.array(second), np.array(first), np.array(count), pixels.T @ pixels, pixels.sum(axis=0), len(pixels)
    )


def assert_same(images: np.ndarray, kernel_size: int, max_distance: int) -> None:
    found, expected = pair_sums(images, kernel_size, max_distance), brute_force(images, kernel_size, max_distance)
    assert found.second.dtype == (np.int64 if images.dtype == np.uint8 else np.float64)
    assert found.pixel_count == expected.pixel_count
    np.testing.assert_array_equal(found.count, expected.count)
    np.testing.assert_array_equal(found.second, found.second.transpose(0, 2, 1))
    for name in ("second", "first", "pixel_second", "pixel_first"):
        sums, exact = getattr(found, name), getattr(expected, name)
        assert sums.shape == exact.shape
        if images.dtype == np.uint8:
            np.testing.assert_array_equal(sums, exact)
        else:
            np.testing.assert_allclose(sums, exact.astype(np.float64), rtol=0, atol=1e-13 * np.abs(exact).max())


@st.composite
def cases(draw: st.DrawFn):
    kernel_size, max_distance = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    least = kernel_size + max_distance
    height, width = (least + draw(st.integers(0, 12)) for _ in range(2))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), height, width)
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.float64]))
    return made(shape, dtype, draw(st.integers(0, 2**32 - 1))), kernel_size, max_distance


@settings(deadline=None, max_examples=40)
@given(cases())
def test_sums_are_those_of_the_pairs_of_patches(case):
    assert_same(*case)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
@pytest.mark.parametrize("height", [14, 17])
def test_up_to_the_last_pair_that_fits(kernel_size, height, dtype):
    assert_same(made((3, 2, height, 14), dtype), kernel_size, 14 - kernel_size)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_many_blocks_of_images_give_the_same_as_one(monkeypatch, dtype):
    monkeypatch.setattr(module, "_BLOCK_IMAGES", 4)  # 38 blocks, more than there are lanes
    monkeypatch.setattr(module, "_BAND", 4)
    assert_same(made((150, 1, 9, 11), dtype), 3, 4)


@pytest.mark.parametrize("count", [1, 60])
def test_the_number_of_threads_does_not_change_a_bit(monkeypatch, count):
    images = made((count, 3, 12, 12), np.float64) + np.random.default_rng(0).random((count, 3, 12, 12))
    monkeypatch.setattr(module, "_BLOCK_IMAGES", 4)
    monkeypatch.setattr(module, "cores", lambda: 1)
    one = pair_sums(images, 3, 5)
    for threads in (3, 40):  # fewer than lanes; and more, which share their lags
        monkeypatch.setattr(module, "cores", lambda threads=threads: threads)
        many = pair_sums(images, 3, 5)
        np.testing.assert_array_equal(many.second, one.second)
        np.testing.assert_array_equal(many.first, one.first)


def test_the_cells_of_large_kernels_take_bounded_memory(monkeypatch):
    images = made((40, 3, 20, 20), np.uint8)
    monkeypatch.setattr(module, "_BLOCK_IMAGES", 4)  # ten blocks
    expected = pair_sums(images, 8, 4)
    lags = 19**2 - 4**2  # apart in one direction at most
    lane = 8 * lags * 3**2 * 15**2
    monkeypatch.setattr(module, "_CELL_BYTES", 2 * lane)
    tracemalloc.start()
    found = pair_sums(images, 8, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 2 * lane < peak < 4 * lane
    np.testing.assert_array_equal(found.second, expected.second)


def test_bytes_are_exact_whatever_the_order_and_layout():
    images = made((40, 3, 13, 12), np.uint8)
    expected = pair_sums(images, 3, 6).second
    np.testing.assert_array_equal(pair_sums(images[::-1], 3, 6).second, expected)
    interleaved = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(pair_sums(interleaved, 3, 6).second, expected)


def test_the_largest_bytes_do_not_overflow():
    images = np.full((300, 1, 40, 40), 255, np.uint8)  # a dot product of 32-bit integers over one row would
    found = pair_sums(images, 3, 10)
    np.testing.assert_array_equal(found.second, np.multiply.outer(found.count, np.full((9, 9), 255**2)))
