"""The lag kernel against the definition: cut out every patch, multiply, add."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.patches import PatchGeometry
from firstlight.patches.kernels import lag_sums as lags, unfolded


def patch_sums(
    images: np.ndarray, kernel_size: int, stride: int, dilation: int = 1
) -> tuple[np.ndarray, np.ndarray, int]:
    return lags.patch_sums(images, PatchGeometry(kernel_size, images.shape[1], stride, dilation))


def patches_of(images: np.ndarray, kernel_size: int, stride: int, dilation: int = 1) -> np.ndarray:
    """Every patch, (number, D): the definition."""
    extent = (kernel_size - 1) * dilation + 1
    windows = sliding_window_view(images, (extent, extent), axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows[..., ::dilation, ::dilation]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * kernel_size**2)


def brute_force(
    images: np.ndarray, kernel_size: int, stride: int, dilation: int = 1
) -> tuple[np.ndarray, np.ndarray, int]:
    patches = patches_of(images, kernel_size, stride, dilation)
    if images.dtype != np.uint8:
        patches = patches.astype(np.float64)
        return patches.T @ patches, patches.sum(axis=0), len(patches)
    first = patches.sum(axis=0, dtype=np.int64)
    if patches.size * patches.shape[1] < 10**7:
        patches = patches.astype(np.int64)
        return patches.T @ patches, first, len(patches)
    # NumPy's products of int64 matrices are slow; those of float64 are exact below 2**53.
    patches = patches.astype(np.float64)
    return (patches.T @ patches).astype(np.int64), first, len(patches)


def assert_same(got: tuple, expected: tuple) -> None:
    assert got[2] == expected[2]
    for ours, theirs in zip(got[:2], expected[:2], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def laid_out(images: np.ndarray, layout: str) -> np.ndarray:
    """The same images in another memory layout."""
    if layout == "NHWC":
        view = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif layout == "sliced":
        big = np.full([2 * side + 1 for side in images.shape], 99, images.dtype)
        view = big[1::2, 1::2, 1::2, 1::2]
        view[...] = images
    elif layout == "negative":
        view = np.ascontiguousarray(images[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1]
    elif layout == "broadcast":  # zero strides: the first image, several times
        view = np.broadcast_to(images[:1], images.shape)
    elif layout == "read-only":
        view = images.copy()
        view.setflags(write=False)
    else:
        view = np.ascontiguousarray(images)
    return view


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int, int, int]:
    kernel_size, stride = draw(st.integers(1, 16)), draw(st.integers(1, 9))
    dilation = draw(st.integers(1, 6 if kernel_size < 6 else 2))
    count, channels = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    extent = (kernel_size - 1) * dilation + 1
    height, width = (extent + draw(st.integers(0, 40)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    layout = draw(st.sampled_from(["NCHW", "NHWC", "sliced", "negative", "broadcast", "read-only"]))
    return laid_out(images, layout), kernel_size, stride, dilation


@pytest.fixture(params=["one by one", "together", "unfolded"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kernel, whatever the number and size of the images; the first in more parts than there are cores."""
    written_out = request.param == "unfolded"
    monkeypatch.setattr(lags, "is_quicker_unfolded", lambda geometry: written_out and geometry.dilation == 1)
    monkeypatch.setattr(lags, "_FEW", 10**9 if request.param == "one by one" else 0)
    monkeypatch.setattr(lags, "_LARGE", 10**9)
    monkeypatch.setattr(lags, "_QUICK", 0)
    monkeypatch.setattr(lags, "cores", lambda: 3)
    return request.param


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_uint8_sums_are_exactly_those_of_the_patches(way: str, case: tuple[np.ndarray, int, int, int]):
    assert_same(patch_sums(*case), brute_force(*case))


@pytest.mark.parametrize("dilation", [1, 2, 6])
@pytest.mark.parametrize("stride", [1, 2, 3, 8])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5, 7])
@pytest.mark.usefixtures("way")
def test_every_small_kernel_stride_and_dilation_on_oblong_images(kernel_size: int, stride: int, dilation: int):
    rng = np.random.default_rng(kernel_size * 10 + stride)
    extent = (kernel_size - 1) * dilation + 1
    for shape in [(3, 2, extent, extent + 9), (2, 1, 40, extent), (1, 3, extent + 13, extent + 22)]:
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        assert_same(
            patch_sums(images, kernel_size, stride, dilation), brute_force(images, kernel_size, stride, dilation)
        )


@pytest.mark.parametrize("kernel_size", range(1, 17))
@pytest.mark.usefixtures("way")
def test_every_kernel_size_to_16_on_a_stack_and_on_one_image(kernel_size: int):
    images = np.random.default_rng(kernel_size).integers(0, 256, (20, 3, 37, 41), dtype=np.uint8)
    assert_same(patch_sums(images[:1], kernel_size, 1), brute_force(images[:1], kernel_size, 1))
    patches = patches_of(images, kernel_size, 1).astype(np.float64)  # below 2**53 their products are exact, and quick
    second, first, _ = patch_sums(images, kernel_size, 1)
    np.testing.assert_array_equal(second, patches.T @ patches)
    np.testing.assert_array_equal(first, patches.sum(axis=0))


def test_a_hand_computed_case():
    image = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)  # patches (1, 2, 4, 5) and (2, 3, 5, 6)
    second, first, count = patch_sums(image, 2, 1)
    assert count == 2
    assert first.tolist() == [3, 5, 9, 11]
    assert second.tolist() == [[5, 8, 14, 17], [8, 13, 23, 28], [14, 23, 41, 50], [17, 28, 50, 61]]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "sliced", "negative", "broadcast", "read-only"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_memory_layout_does_not_change_a_bit(layout: str, dtype: type):
    images = np.random.default_rng(5).integers(0, 256, (4, 3, 11, 14)).astype(dtype)
    images[1:] = images[0]  # so that the broadcast view is equal, too
    assert_same(patch_sums(laid_out(images, layout), 3, 2), patch_sums(images, 3, 2))


def test_a_read_only_memory_map_is_read_in_place(tmp_path: Path):
    images = np.random.default_rng(6).integers(0, 256, (6, 9, 13, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r").transpose(0, 3, 1, 2)
    assert_same(patch_sums(mapped, 4, 1), brute_force(images.transpose(0, 3, 1, 2), 4, 1))


@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride"),
    [
        ((256, 1, 3, 200), 3, 1),  # one dot product over 256 images x 198 windows
        ((300, 1, 4, 181), 2, 1),  # the same, and a second block
        ((1, 1, 3, 70_000), 3, 1),  # one row longer than the 32-bit chunk
        ((1, 2, 4, 70_001), 2, 2),
    ],
)
@pytest.mark.usefixtures("way")
def test_all_white_images_do_not_overflow_32_bit_partial_sums(shape: tuple, kernel_size: int, stride: int):
    second, first, count = patch_sums(np.full(shape, 255, np.uint8), kernel_size, stride)
    windows = [(side - kernel_size) // stride + 1 for side in shape[2:]]
    assert count == shape[0] * windows[0] * windows[1]
    assert count / windows[0] > 32_768, "the case is too small to test anything"
    assert (first == 255 * count).all()
    assert (second == 255**2 * count).all()


@pytest.mark.parametrize(
    ("side", "stride", "alone"), [(103, 1, False), (104, 1, True), (122, 2, False), (123, 2, True)]
)
def test_stacks_on_either_side_of_the_threshold_between_the_kernels(
    side: int, stride: int, alone: bool, monkeypatch: pytest.MonkeyPatch
):
    images = np.random.default_rng(13).integers(0, 256, (9, 1, side, side), dtype=np.uint8)
    expected = brute_force(images, 5, stride)
    assert_same(patch_sums(images, 5, stride), expected)
    # Which kernel it was: the other one is gone.
    monkeypatch.setattr(lags, "_accumulate" if alone else "add_single", None)
    assert_same(patch_sums(images, 5, stride), expected)


@pytest.mark.parametrize("stride", [1, 6, 8, 11, 12, 16])
@pytest.mark.parametrize("kernel_size", [7, 11, 16])
def test_patches_that_hardly_overlap_are_summed_as_exactly_whichever_way_is_quicker(kernel_size: int, stride: int):
    images = np.random.default_rng(11).integers(0, 256, (2, 3, 70, 83), dtype=np.uint8)
    assert_same(patch_sums(images, kernel_size, stride), brute_force(images, kernel_size, stride))


def test_unfolded_patches_are_multiplied_in_pieces_without_a_seam(monkeypatch: pytest.MonkeyPatch):
    images = np.random.default_rng(12).integers(0, 256, (5, 3, 50, 61), dtype=np.uint8)
    for patches in (1, 7, 20, 25, 10**6):  # less than a row, rows of an image, images
        monkeypatch.setattr(unfolded, "_PATCHES", patches)
        assert_same(unfolded.unfolded_sums(images, PatchGeometry(8, 3, 8)), brute_force(images, 8, 8))


@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride"),
    [
        ((1, 3, 700, 900), 3, 1),
        ((1, 3, 700, 900), 3, 2),
        ((1, 3, 901, 700), 4, 7),
        ((2, 1, 1200, 1003), 2, 1),
        ((1, 3, 40, 12_000), 3, 1),  # a band is at least four kernels high, even if it leaves the cache
    ],
)
def test_images_larger_than_a_block_are_cut_into_bands_without_a_seam(shape: tuple, kernel_size: int, stride: int):
    windows_y = (shape[2] - kernel_size) // stride + 1
    blocks = lags._blocks(shape[0], windows_y, PatchGeometry(kernel_size, shape[1], stride), shape[1] * shape[3], 256)
    assert len(list(blocks)) > shape[0], "the case is too small to test anything"
    images = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    # int64 matrix products are slow in NumPy; below 2**53 those of float64 are exact.
    patches = patches_of(images, kernel_size, stride).astype(np.float64)
    second, first, count = patch_sums(images, kernel_size, stride)
    assert count == len(patches)
    assert second.max() < 2**53
    np.testing.assert_array_equal(second, patches.T @ patches)
    np.testing.assert_array_equal(first, patches.sum(axis=0))


@settings(deadline=None, max_examples=100)
@given(
    count=st.integers(1, 700),
    windows_y=st.integers(1, 5000),
    kernel_size=st.integers(1, 16),
    stride=st.integers(1, 9),
    row_bytes=st.integers(1, 10**7),
    per_block=st.integers(1, 300),
)
def test_blocks_cover_every_window_row_of_every_image_once(
    count: int, windows_y: int, kernel_size: int, stride: int, row_bytes: int, per_block: int
):
    covered = 0
    previous = (0, 0, 0, 0)
    geometry = PatchGeometry(kernel_size, 1, stride)
    for n0, n1, m0, m1 in lags._blocks(count, windows_y, geometry, row_bytes, per_block):
        assert 0 <= n0 < n1 <= min(count, n0 + per_block)
        assert 0 <= m0 < m1 <= windows_y
        # In order, each starting where the last one ended: so no two overlap.
        assert (n0, m0) == ((previous[0], previous[3]) if m0 else (previous[1], 0))
        previous = (n0, n1, m0, m1)
        covered += (n1 - n0) * (m1 - m0)
    assert covered == count * windows_y


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_one_thread_and_many_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, dtype: type):
    rng = np.random.default_rng(8)
    images = rng.integers(0, 256, (600, 3, 40, 40), dtype=np.uint8)
    if dtype != np.uint8:
        images = (rng.normal(size=(60, 3, 90, 90)) * 10 ** rng.uniform(-3, 3, (60, 1, 1, 1))).astype(dtype)
    sums = []
    for threads in (1, 2, 7, 64):
        monkeypatch.setattr(lags, "cores", lambda threads=threads: threads)
        sums.append(patch_sums(images, 3, 1))
    for other in sums[1:]:
        assert_same(other, sums[0])


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from([np.float32, np.float64]), st.floats(-3, 3), st.floats(-100, 100))
def test_float_sums_agree_with_correctly_rounded_ones(
    case: tuple[np.ndarray, int, int, int], dtype: type, log_scale: float, offset: float
):
    images, kernel_size, stride, dilation = case
    images = ((images.astype(np.float64) - 128 + offset) * 10**log_scale).astype(dtype)
    second, first, count = patch_sums(images, kernel_size, stride, dilation)
    patches = patches_of(images, kernel_size, stride, dilation).astype(np.float64)
    assert count == len(patches)
    assert second.dtype == first.dtype == np.float64
    # Terms may cancel, so errors are relative to the sum of the terms' magnitudes (over the whole image: border
    # products are added and taken away again).
    largest = np.abs(images.astype(np.float64)).max()
    np.testing.assert_allclose(first, patches.sum(axis=0), rtol=0, atol=1e-12 * largest * count)
    np.testing.assert_allclose(second, patches.T @ patches, rtol=0, atol=1e-12 * largest**2 * count)


def exact_errors(images: np.ndarray, kernel_size: int, stride: int, dilation: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of `second` and `first` as multiples of their bound, against sums in Python's whole numbers."""
    second, first, _ = patch_sums(images, kernel_size, stride, dilation)
    bits = 200
    whole = np.vectorize(lambda value: int(math.ldexp(value, bits)), otypes=[object])(images.astype(np.float64))
    assert (np.vectorize(lambda value: math.ldexp(float(value), -bits))(whole) == images).all(), "bits were lost"
    patches = patches_of(whole, kernel_size, stride, dilation)

    def of(values: np.ndarray, scale: int) -> np.ndarray:
        return np.vectorize(lambda value: Fraction(int(value), 2**scale), otypes=[object])(values)

    fractions = np.vectorize(Fraction, otypes=[object])
    errors = (fractions(second) - of(patches.T @ patches, 2 * bits), fractions(first) - of(patches.sum(axis=0), bits))
    m, unit = 64 + 4 * images[:, 0].size, 2.0**-53
    factor = 32 * m * unit / (1 - m * unit)
    values = images.astype(np.float64)
    energy = np.repeat(np.sqrt((values**2).sum(axis=(0, 2, 3))), kernel_size**2)
    magnitude = np.repeat(np.abs(values).sum(axis=(0, 2, 3)), kernel_size**2)
    ratios = [np.abs(error).astype(np.float64) for error in errors]
    return ratios[0] / (factor * np.outer(energy, energy)), ratios[1] / (factor * magnitude)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    kernel_size=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    log_spread=st.floats(0, 12),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_float_sums_are_within_the_stated_bound_of_exact_rational_ones(
    way: str, seed: int, kernel_size: int, stride: int, dilation: int, log_spread: float, dtype: type
):
    rng = np.random.default_rng(seed)
    # Large and small numbers of both signs: borders that are taken away again can be far larger than what is left.
    shape = (int(rng.integers(1, 4)), 2, int(rng.integers(9, 14)), int(rng.integers(9, 20)))
    images = (rng.normal(size=shape) * 10 ** rng.uniform(-log_spread / 2, log_spread / 2, shape)).astype(dtype)
    second, first = exact_errors(images, kernel_size, stride, dilation)
    assert second.max() <= 1
    assert first.max() <= 1


def test_positive_float_images_are_summed_to_1e_12_of_the_exact_result():
    images = np.random.default_rng(9).random((40, 3, 33, 29))
    second, first, _ = patch_sums(images, 3, 1)
    patches = patches_of(images, 3, 1)
    np.testing.assert_allclose(first, [math.fsum(column) for column in patches.T], rtol=1e-12)
    for a, b in [(0, 0), (0, 26), (13, 14), (26, 3)]:
        assert second[a, b] == pytest.approx(math.fsum(patches[:, a] * patches[:, b]), rel=1e-12)
    np.testing.assert_array_equal(second, second.T)


def test_whole_numbers_in_floats_are_summed_as_exactly_as_bytes():
    images = np.random.default_rng(10).integers(0, 256, (5, 3, 20, 20), dtype=np.uint8)
    expected = patch_sums(images, 5, 3)
    for dtype in (np.float32, np.float64):
        second, first, count = patch_sums(images.astype(dtype), 5, 3)
        assert count == expected[2]
        np.testing.assert_array_equal(second, expected[0])
        np.testing.assert_array_equal(first, expected[1])
