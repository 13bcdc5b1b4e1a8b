"""The sums on a device, of CPU tensors."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.patches.kernels.stacks import IMAGES, RNG, WORST, assert_same, cases, patch_sums, tensor_sums

from firstlight.errors import InputError
from firstlight.patches import PatchGeometry, PatchMoments
from firstlight.patches.kernels import on_device as device
from firstlight.patches.validation import lies_on_cuda, validate_tensor


@pytest.fixture(params=["chosen", "small blocks", "large tiles"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As chosen for a device; few chunks of 50 tiles at a time; and tiles of about 5 x 5 windows."""
    if request.param == "small blocks":
        monkeypatch.setattr(device, "_EXACT", 50)
        monkeypatch.setattr(device, "_HELD", 1 << 16)
    if request.param != "chosen":
        monkeypatch.setattr(device, "_tile_side", lambda count, windows, geometry: 5 if geometry.kernel_size < 8 else 2)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
@pytest.mark.usefixtures("way")
def test_sums_of_bytes_are_the_integers_of_the_lag_kernels(case: tuple[torch.Tensor, int, int, int]):
    images, *settings = case
    assert_same(tensor_sums(images, *settings), patch_sums(images.numpy(), *settings))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", range(1, 17))
def test_every_kernel_size_to_16(kernel_size: int, channels: int):
    images = np.random.default_rng(kernel_size).integers(0, 256, (20, channels, 26, 23), dtype=np.uint8)
    assert_same(tensor_sums(torch.from_numpy(images), kernel_size, 1), patch_sums(images, kernel_size, 1))
    assert_same(tensor_sums(torch.from_numpy(images[:1]), kernel_size, 1), patch_sums(images[:1], kernel_size, 1))


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("repeats", [1, 9])
def test_the_largest_products_are_summed_exactly(name: str, repeats: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "_tile_side", lambda *shape: 1)
    images = np.repeat(WORST[name], repeats, axis=0)
    assert_same(tensor_sums(torch.from_numpy(images), 1, 1), patch_sums(images, 1, 1))


def test_longer_chunks_would_not_be_exact(monkeypatch: pytest.MonkeyPatch):
    """The case above is sharp: the sum over all 4096 is odd and above 2^24, which no float32 is."""
    monkeypatch.setattr(device, "_tile_side", lambda *shape: 1)
    monkeypatch.setattr(device, "_EXACT", 4096)
    images = WORST["nearly black"]
    assert not np.array_equal(tensor_sums(torch.from_numpy(images), 1, 1)[0], patch_sums(images, 1, 1)[0])


def test_no_tile_is_so_large_that_its_chunk_is_not_exact():
    assert 128**2 * device._EXACT <= 2**24


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_the_precision_of_matrix_products_changes_no_bit(kernel_size: int):
    images = RNG.integers(0, 256, (300, 3, 16, 16), dtype=np.uint8)
    assert_same(tensor_sums(torch.from_numpy(images), kernel_size, 1), patch_sums(images, kernel_size, 1))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_changes_no_bit(half: torch.dtype):
    expected = patch_sums(IMAGES, 3, 1)
    with torch.autocast("cpu", dtype=half):
        assert_same(tensor_sums(torch.from_numpy(IMAGES), 3, 1), expected)


def test_default_type_and_gradients_change_no_bit():
    expected = patch_sums(IMAGES / 255.0, 3, 1)
    torch.set_default_dtype(torch.float64)
    try:
        assert_same(tensor_sums(torch.from_numpy(IMAGES), 3, 1), patch_sums(IMAGES, 3, 1))
    finally:
        torch.set_default_dtype(torch.float32)
    second, first, count = tensor_sums(torch.from_numpy(IMAGES / 255.0).requires_grad_(), 3, 1)
    assert count == expected[2]
    np.testing.assert_allclose(second, expected[0], rtol=1e-13)
    np.testing.assert_allclose(first, expected[1], rtol=1e-13)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), log_scale=st.floats(-3, 3), dtype=st.sampled_from([torch.float32, torch.float64]))
@pytest.mark.usefixtures("way")
def test_floats_are_within_the_bound_of_the_lag_kernels_and_symmetric(
    case: tuple[torch.Tensor, int, int, int], log_scale: float, dtype: torch.dtype
):
    images = ((case[0].double() - 100) * 10**log_scale).to(dtype)
    second, first, count = tensor_sums(images, *case[1:])
    values = images.double().numpy()
    expected = patch_sums(values, *case[1:])
    assert count == expected[2]
    assert second.dtype == first.dtype == np.float64
    np.testing.assert_array_equal(second, second.T)
    # Both ways are within half of this of the exact sums.
    m, unit = 64 + 4 * values[:, 0].size, 2.0**-53
    factor = 2 * 32 * m * unit / (1 - m * unit)
    taps = case[1] ** 2
    energy = np.repeat(np.sqrt((values**2).sum(axis=(0, 2, 3))), taps)
    assert (np.abs(second - expected[0]) <= factor * np.outer(energy, energy)).all()
    assert (np.abs(first - expected[1]) <= factor * np.repeat(np.abs(values).sum(axis=(0, 2, 3)), taps)).all()


def test_floats_are_summed_to_1e_13_of_the_exact_result():
    images = np.random.default_rng(9).random((40, 3, 13, 19))
    second, first, _ = tensor_sums(torch.from_numpy(images), 3, 1)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 27)
    np.testing.assert_allclose(first, [math.fsum(column) for column in patches.T], rtol=1e-13)
    for a, b in [(0, 0), (0, 26), (13, 14), (26, 3)]:
        assert second[a, b] == pytest.approx(math.fsum(patches[:, a] * patches[:, b]), rel=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_whole_numbers_in_floats_are_summed_as_exactly_as_bytes(dtype: torch.dtype):
    second, first, count = tensor_sums(torch.from_numpy(IMAGES).to(dtype), 4, 2)
    expected = patch_sums(IMAGES, 4, 2)
    assert count == expected[2]
    np.testing.assert_array_equal(second, expected[0])
    np.testing.assert_array_equal(first, expected[1])


# Cutting


@settings(deadline=None)
@given(windows=st.integers(1, 3000), side=st.integers(1, 40))
def test_runs_of_tiles_hold_every_window_once(windows: int, side: int):
    held = [first + tile * length + m for first, length, tiles in device._runs(windows, side)
            for tile in range(tiles) for m in range(length)]  # fmt: skip
    assert held == list(range(windows))
    assert all(length <= side for _, length, _ in device._runs(windows, side))


@settings(deadline=None)
@given(shape=st.tuples(*[st.integers(1, 9)] * 3), most=st.integers(1, 800))
def test_blocks_hold_every_tile_once_and_not_too_many(shape: tuple[int, int, int], most: int):
    seen = np.zeros(shape, int)
    for block in device._blocks(shape, most):
        seen[block] += 1
        assert seen[block].size <= most
    assert (seen == 1).all()


def test_tiles_are_large_where_patches_overlap_and_single_where_they_do_not():
    overlapping = device._tile_side(50_000, (30, 30), PatchGeometry(3, 3))
    assert 2 <= overlapping <= 10
    assert device._tile_side(1000, (14, 14), PatchGeometry(16, 3, 16)) == 1
    assert device._tile_side(1, (1, 1), PatchGeometry(16, 3)) == 1
    assert device._tile_side(10, (30, 30), PatchGeometry(5, 1000)) == 1  # a patch of more than the largest tile


# What comes in


def test_only_cuda_tensors_are_taken_for_such():
    for images in (IMAGES, torch.from_numpy(IMAGES), list(IMAGES), None, "images"):
        assert not lies_on_cuda(images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 8, 8), r"3 dimensions, shape \(3, 8, 8\); expected 4"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), "type int64; expected uint8"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.complex64), "type complex64; expected uint8"),
        (torch.zeros(0, 3, 8, 8), r"empty, shape \(0, 3, 8, 8\)"),
        (torch.zeros(1, 8, 8, 3), r"8 channels.*transpose\(0, 3, 1, 2\)"),
        (torch.zeros(1, 3, 8, 2), "8 x 2 pixels; expected at least the kernel size, 3 x 3"),
        (torch.zeros(5, 3, 8, 8).index_fill(0, torch.tensor([3]), math.nan), "image 3 holds NaN"),
        (torch.zeros(5, 3, 8, 8).index_fill(0, torch.tensor([4]), -math.inf).bfloat16(), "image 4 holds NaN"),
        (torch.zeros(1, 3, 8, 8).to_sparse(), "layout torch.sparse_coo; expected a dense one"),
    ],
)
def test_tensors_that_cannot_be_summed_are_refused(images: torch.Tensor, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firstlight.patches.validation._PIECE", 2 * 3 * 8 * 8)  # two images a piece
    with pytest.raises(InputError, match=message):
        validate_tensor(images, PatchGeometry(3, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16])
def test_float_types_that_numpy_does_not_have_are_read(dtype: torch.dtype):
    images = torch.from_numpy(IMAGES // 16).to(dtype)
    moments = PatchMoments().update(images)
    assert moments == PatchMoments().update(IMAGES // 16 * 1.0)
    assert validate_tensor(images, PatchGeometry(3, 3)) is not None


def test_a_tensor_without_numbers_is_refused():
    with pytest.raises(InputError, match="cannot be read as one array"):
        PatchMoments().update(torch.zeros(1, 3, 8, 8, device="meta"))


def test_arrays_are_summed_without_torch():
    code = (
        "import sys, numpy as np; from firstlight.patches import PatchMoments; "
        "PatchMoments().update(np.zeros((1, 3, 8, 8), np.uint8)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
