import json
import math
import os
import pickle
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import firstlight as fl
from firstlight.errors import FirstlightError, InputError
from firstlight.patches import PatchMoments

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 11, 14), dtype=np.uint8)


def patches_of(images: np.ndarray, kernel_size: int = 3, stride: int = 1, dilation: int = 1) -> np.ndarray:
    extent = (kernel_size - 1) * dilation + 1
    windows = sliding_window_view(images, (extent, extent), axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows[..., ::dilation, ::dilation]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * kernel_size**2)


# Accumulating


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 4),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 9),
    dilation=st.integers(1, 4),
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=4),
)
def test_updates_of_any_sizes_add_up_to_the_sum_over_all_patches(
    seed: int, channels: int, kernel_size: int, stride: int, dilation: int, sizes: list
):
    rng = np.random.default_rng(seed)
    extent = dilation * (kernel_size - 1) + 1
    stacks = [rng.integers(0, 256, (n, channels, extent + h, extent + w), dtype=np.uint8) for n, h, w in sizes]
    moments = PatchMoments(kernel_size, channels, stride, dilation)
    assert moments.extent == extent
    for stack in stacks:
        moments.update(stack)
    patches = np.concatenate([patches_of(stack, kernel_size, stride, dilation) for stack in stacks]).astype(np.int64)
    assert moments.dtype == "uint8"
    assert moments.count == len(patches)
    assert moments.second.dtype == moments.first.dtype == np.int64
    np.testing.assert_array_equal(moments.first, patches.sum(axis=0))
    np.testing.assert_array_equal(moments.second, patches.T @ patches)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(len(IMAGES))), st.lists(st.integers(1, len(IMAGES) - 1), unique=True, max_size=5))
def test_any_order_and_any_sharding_give_the_same_bits(order: list[int], cuts: list[int]):
    whole = PatchMoments().update(IMAGES)
    shards = [PatchMoments().update(IMAGES[part]) for part in np.split(np.array(order), sorted(cuts))]
    assert sum(shards[1:], start=shards[0]) == whole
    assert sum(shards) == whole  # starts from 0
    backwards = PatchMoments()
    for shard in reversed(shards):
        backwards = shard + backwards
    assert backwards == whole


def test_updates_chain_and_return_the_object_itself():
    moments = PatchMoments()
    assert moments.update(IMAGES[:5]).update(IMAGES[5:]) is moments
    assert moments == PatchMoments().update(IMAGES)


def test_a_merge_leaves_both_parts_as_they_were():
    a, b = PatchMoments().update(IMAGES[:5]), PatchMoments().update(IMAGES[5:])
    second = a.second.copy()
    total = a + b
    total.update(IMAGES)
    np.testing.assert_array_equal(a.second, second)
    assert a == PatchMoments().update(IMAGES[:5])
    assert b == PatchMoments().update(IMAGES[5:])


def test_a_sum_of_one_is_not_the_same_object():
    part = PatchMoments().update(IMAGES)
    total = sum([part])
    assert isinstance(total, PatchMoments)
    total.update(IMAGES)
    assert part == PatchMoments().update(IMAGES), "updating the sum changed its part"


def test_merging_with_empty_moments_changes_nothing():
    moments = PatchMoments().update(IMAGES)
    assert moments + PatchMoments() == moments
    assert PatchMoments() + moments == moments
    assert PatchMoments() + PatchMoments() == PatchMoments()
    floats = PatchMoments().update(IMAGES / 255.0)
    assert PatchMoments() + floats == floats


def test_moments_can_be_updated_after_a_merge_with_nothing():
    assert (PatchMoments() + PatchMoments()).update(IMAGES) == PatchMoments().update(IMAGES)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8", np.longdouble])
def test_every_float_type_is_summed_in_float64(dtype: Any):
    images = RNG.normal(size=(4, 3, 12, 9)).astype(dtype)
    moments = PatchMoments().update(images)
    patches = patches_of(images).astype(np.float64)
    assert (moments.dtype, moments.count) == ("float64", len(patches))
    assert moments.second.dtype == np.float64
    scale = np.abs(patches).T @ np.abs(patches)  # errors are relative to the sum of magnitudes
    assert (np.abs(moments.second - patches.T @ patches) <= 1e-12 * scale).all()
    assert (np.abs(moments.first - patches.sum(axis=0)) <= 1e-12 * np.abs(patches).sum(axis=0)).all()


def test_lists_and_torch_tensors_are_read():
    torch = pytest.importorskip("torch")
    expected = PatchMoments().update(IMAGES)
    assert PatchMoments().update(torch.from_numpy(IMAGES)) == expected
    assert PatchMoments().update(list(IMAGES)) == expected


def test_equality_sees_every_part():
    base = PatchMoments(2, 1).update(IMAGES[:, :1])
    assert base == PatchMoments(2, 1).update(IMAGES[:, :1])
    assert base != PatchMoments(2, 1).update(IMAGES[::-1, :1, ::-1])
    assert base != PatchMoments(2, 1)
    assert PatchMoments(2, 1, 1) != PatchMoments(2, 1, 2)
    assert PatchMoments(2, 1, 1, 1) != PatchMoments(2, 1, 1, 2)
    assert base != PatchMoments(2, 1).update(IMAGES[:, :1].astype(float))
    assert base != "moments"
    with pytest.raises(TypeError, match="unhashable"):
        hash(base)


def test_the_repr_names_settings_count_and_type():
    assert repr(PatchMoments(5, 1, 2)) == "PatchMoments(kernel_size=5, channels=1, stride=2: 0 patches of no images)"
    assert repr(PatchMoments(3, 1, 1, 2)).startswith("PatchMoments(kernel_size=3, channels=1, stride=1, dilation=2: 0")
    moments = PatchMoments().update(IMAGES)
    assert repr(moments).endswith("1,296 patches of uint8 images)")
    assert moments.size == 27


# Refusals: the message names the value, and nothing has changed


@pytest.mark.parametrize("name", ["kernel_size", "channels", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True])
def test_settings_other_than_positive_whole_numbers_are_refused(name: str, value: Any):
    with pytest.raises(InputError, match=f"{name} is {value!r}; expected"):
        PatchMoments(**{name: value})


def test_settings_may_be_numpy_integers():
    moments = PatchMoments(np.int64(2), np.uint8(1), np.int32(3))  # pyright: ignore[reportArgumentType]
    assert type(moments.kernel_size) is type(moments.channels) is type(moments.stride) is int


def with_value(value: float, dtype: type = np.float64) -> np.ndarray:
    images = np.ones((5, 3, 8, 8), dtype)
    images[3, 1, 2, 2] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(IMAGES[0], r"3 dimensions, shape \(3, 11, 14\); expected 4", id="rank 3"),
        pytest.param(np.uint8(3), r"0 dimensions, shape \(\); expected 4", id="scalar"),
        pytest.param(None, "0 dimensions", id="None"),
        pytest.param(IMAGES[None], "5 dimensions", id="rank 5"),
        pytest.param(IMAGES.astype(np.int64), "type int64; expected uint8", id="int64"),
        pytest.param(IMAGES.astype(np.int8), "type int8; expected uint8", id="int8"),
        pytest.param(IMAGES > 9, "type bool; expected uint8", id="bool"),
        pytest.param(IMAGES.astype(complex), "type complex128; expected uint8", id="complex"),
        pytest.param(IMAGES.astype(object), "type object; expected uint8", id="object"),
        pytest.param(IMAGES[:0], r"empty, shape \(0, 3, 11, 14\)", id="no images"),
        pytest.param(IMAGES[..., :0], r"empty, shape \(12, 3, 11, 0\)", id="no columns"),
        pytest.param(IMAGES[:, :2], r"2 channels, shape \(12, 2, 11, 14\); expected 3", id="2 channels"),
        pytest.param(IMAGES.transpose(0, 2, 3, 1), r"11 channels.*transpose\(0, 3, 1, 2\)", id="NHWC"),
        pytest.param(IMAGES[:, :, :2], "2 x 14 pixels; expected at least the kernel size, 3 x 3", id="low"),
        pytest.param(IMAGES[:, :, :, :2], "11 x 2 pixels; expected at least", id="narrow"),
        pytest.param(with_value(np.nan), "image 3 holds NaN or infinity", id="nan"),
        pytest.param(with_value(-np.inf, np.float32), "image 3 holds NaN or infinity", id="inf"),
        pytest.param(with_value(np.inf, np.float16), "image 3 holds NaN or infinity", id="half inf"),
        pytest.param([IMAGES[0], IMAGES[1, :, :5]], "cannot be read as one array", id="ragged"),
        pytest.param("images.png", "0 dimensions", id="text"),
        pytest.param(IMAGES / 255.0, "images are float64, but these moments hold uint8", id="mixture"),
    ],
)
def test_images_that_cannot_be_summed_are_refused_and_change_nothing(images: Any, message: str):
    moments = PatchMoments().update(IMAGES)
    with pytest.raises(InputError, match=message):
        moments.update(images)
    assert moments == PatchMoments().update(IMAGES)


def test_bytes_are_refused_by_moments_of_floats_which_stay_as_they_were():
    moments = PatchMoments().update(IMAGES / 255.0)
    with pytest.raises(InputError, match="images are uint8, but these moments hold float64"):
        moments.update(IMAGES)
    assert moments == PatchMoments().update(IMAGES / 255.0)


def test_a_refused_first_update_leaves_the_type_open():
    moments = PatchMoments()
    with pytest.raises(InputError, match="NaN"):
        moments.update(with_value(np.nan))
    assert moments.dtype is None
    assert moments.update(IMAGES) == PatchMoments().update(IMAGES)


def test_non_finite_pixels_are_found_in_every_piece(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firstlight.patches.validation._PIECE", 2 * 3 * 8 * 8)  # two images a piece
    with pytest.raises(InputError, match="image 3 holds"):
        PatchMoments().update(with_value(np.nan))


def test_a_torch_tensor_that_requires_grad_is_refused_with_an_input_error_or_read():
    torch = pytest.importorskip("torch")
    images = torch.rand(1, 3, 8, 8, requires_grad=True)
    try:
        moments = PatchMoments().update(images)
    except InputError:
        return
    assert moments == PatchMoments().update(images.detach())


@pytest.mark.parametrize("value", [1e200, 1e154])
def test_floats_whose_squares_overflow_are_refused(value: float):
    with pytest.raises(InputError):
        PatchMoments(2, 1).update(np.full((3, 1, 5, 6), value))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (PatchMoments(kernel_size=5), "kernel_size 3 with 5"),
        (PatchMoments(channels=1), "channels 3 with 1"),
        (PatchMoments(stride=2), "stride 1 with 2"),
        (PatchMoments(dilation=2), "dilation 1 with 2"),
        (PatchMoments().update(IMAGES / 255.0), "dtype uint8 with float64"),
    ],
)
def test_unlike_moments_do_not_merge(other: PatchMoments, message: str):
    moments = PatchMoments().update(IMAGES)
    with pytest.raises(InputError, match=message):
        _ = moments + other
    assert moments == PatchMoments().update(IMAGES)


@pytest.mark.parametrize("other", [1, "moments", None, 0.5])
def test_moments_plus_something_else_is_a_type_error(other: Any):
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'PatchMoments'"):
        _ = PatchMoments() + other
    with pytest.raises(TypeError):
        _ = other + PatchMoments()


def test_sums_that_might_overflow_64_bits_are_refused():
    most = (2**63 - 1) // 255**2
    moments = PatchMoments().update(IMAGES)
    per_update = moments.count
    moments.count = most - per_update
    moments.update(IMAGES)  # to the last patch
    assert moments.count == most
    before = moments.second.copy()
    with pytest.raises(InputError, match=f"{most + per_update:,} patches are more than {most:,}"):
        moments.update(IMAGES)
    with pytest.raises(InputError, match="more than"):
        _ = moments + PatchMoments().update(IMAGES)
    assert moments.count == most
    np.testing.assert_array_equal(moments.second, before)
    floats = PatchMoments().update(IMAGES / 255.0)
    floats.count = most
    floats.update(IMAGES / 255.0)  # floats have no such limit


def test_images_smaller_than_a_dilated_kernel_are_refused():
    with pytest.raises(InputError, match=r"11 x 14 pixels; expected at least kernel size 3 with dilation 6, 13 x 13"):
        PatchMoments(3, dilation=6).update(IMAGES)


# The basis


def test_a_basis_keeps_the_dilation_of_its_patches_gray_or_not():
    moments = PatchMoments(3, 3, 2, 4).update(IMAGES)
    patches = patches_of(IMAGES / 255, 3, 2, 4)
    basis = moments.basis()
    np.testing.assert_allclose(basis.variance, np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1], atol=1e-12)
    assert (basis.dilation, basis.to_dict()["dilation"], moments.gray().dilation) == (4, 4, 4)
    assert "dilation" not in PatchMoments().update(IMAGES).basis().to_dict()


def brute_basis(images: np.ndarray, mean: Any, std: Any, center: bool, kernel_size: int = 3, stride: int = 1):
    """Eigenvalues and -vectors from explicitly normalised float64 patches."""
    channels = images.shape[1]
    unit = 255.0 if images.dtype == np.uint8 else 1.0
    mean, std = (np.broadcast_to(np.asarray(v, float), channels)[:, None, None] for v in (mean, std))
    patches = patches_of((images / unit - mean) / std, kernel_size, stride)
    if center:
        patches = patches - patches.mean(axis=0)
    matrix = patches.T @ patches / len(patches)
    variance, vectors = np.linalg.eigh(matrix)
    return variance[::-1], vectors.T[::-1], matrix


NORMALISATIONS = [(None, None), (0.5, 0.25), ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(("mean", "std"), NORMALISATIONS)
@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (2, 3), (3, 1), (4, 2)])
def test_the_basis_is_the_pca_of_the_normalised_patches(
    mean: Any, std: Any, center: bool, kernel_size: int, stride: int
):
    # Smooth images, as real ones are: distinct eigenvalues.
    coarse = np.random.default_rng(3).normal(size=(60, 3, 16, 16)).cumsum(axis=2).cumsum(axis=3)
    images = (128 + 100 * np.tanh(coarse / 10)).astype(np.uint8)
    basis = PatchMoments(kernel_size, 3, stride).update(images).basis(mean, std, center)
    variance, vectors, _ = brute_basis(
        images, 0 if mean is None else mean, 1 if std is None else std, center, kernel_size, stride
    )
    # Both have errors of about 1e-16 of the largest eigenvalue.
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-12, atol=2e-15 * variance[0])
    gap = np.abs(np.subtract.outer(variance, variance) + np.diag(np.full(len(variance), np.inf))).min(axis=1)
    np.testing.assert_array_less(
        1 - np.abs(np.sum(basis.components * vectors, axis=1)), 1e-12 + (1e-13 * variance[0] / gap) ** 2
    )
    assert basis.count == len(patches_of(images, kernel_size, stride))
    assert (basis.kernel_size, basis.channels, basis.stride, basis.center) == (kernel_size, 3, stride, center)
    assert basis.mean == tuple(np.broadcast_to(0.0 if mean is None else mean, 3))
    assert basis.std == tuple(np.broadcast_to(1.0 if std is None else std, 3))


def test_well_separated_variances_agree_to_1e_12_relative():
    images = np.random.default_rng(4).integers(0, 256, (50, 3, 12, 12), dtype=np.uint8)
    basis = PatchMoments(2).update(images).basis(0.45, 0.3)
    variance, vectors, _ = brute_basis(images, 0.45, 0.3, False, 2)
    assert variance[0] / variance[-1] < 10  # well conditioned
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(basis.components * vectors, axis=1)), 1, rtol=1e-10)


def exact_covariance(images: np.ndarray) -> np.ndarray:
    """Covariance of the raw pixel values of the patches, in rational arithmetic, rounded once."""
    patches = patches_of(images, 2).astype(int).astype(object)
    count = len(patches)
    first, second = patches.sum(axis=0), patches.T.dot(patches)
    exact = [
        [Fraction(int(second[a, b]) * count - int(first[a] * first[b]), count**2) for b in range(4)] for a in range(4)
    ]
    return np.array(exact, dtype=np.float64)


def test_low_contrast_on_a_high_offset_does_not_cancel():
    images = np.random.default_rng(5).integers(254, 256, (9, 1, 30, 30), dtype=np.uint8)
    moments = PatchMoments(2, 1).update(images)
    # Seen through a tiny std, as if the contrast were normal: the covariance is what is left of a difference.
    basis = moments.basis(mean=moments.first.mean() / moments.count / 255, std=1 / 510, center=True)
    matrix = exact_covariance(images) * 4
    np.testing.assert_allclose(basis.variance, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-14)
    rebuilt = basis.components.T @ np.diag(basis.variance) @ basis.components
    np.testing.assert_allclose(rebuilt, matrix, rtol=0, atol=1e-14)


def test_one_odd_pixel_among_a_million_is_seen_exactly():
    images = np.full((1, 1, 1000, 1000), 255, np.uint8)
    images[0, 0, 500, 500] = 254
    (variance,) = PatchMoments(1, 1).update(images).basis(std=1 / 255, center=True).variance
    assert variance == pytest.approx(float(Fraction(10**6 - 1, 10**12)), rel=1e-15)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(("mean", "std"), NORMALISATIONS)
def test_float_and_byte_images_have_the_same_basis(mean: Any, std: Any, center: bool):
    images = np.random.default_rng(6).integers(0, 256, (20, 3, 10, 10), dtype=np.uint8)
    of_bytes = PatchMoments(2).update(images).basis(mean, std, center)
    of_floats = PatchMoments(2).update(images / 255).basis(mean, std, center)
    np.testing.assert_allclose(of_floats.variance, of_bytes.variance, rtol=1e-12)
    np.testing.assert_allclose(of_floats.components, of_bytes.components, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(-3, 3), std=st.floats(1e-3, 1e3), unit=st.floats(0.01, 100))
def test_normalising_before_and_after_is_the_same(seed: int, mean: float, std: float, unit: float):
    images = (np.random.default_rng(seed).random((4, 2, 6, 7)) - 1) * unit  # negative: neither in 0..1 nor in 0..255
    after = PatchMoments(2, 2).update(images).basis(mean, std)
    before = PatchMoments(2, 2).update((images - mean) / std).basis()
    np.testing.assert_allclose(after.variance, before.variance, rtol=0, atol=1e-12 * before.variance[0])


def test_the_basis_is_the_same_bits_whatever_the_sharding():
    whole = PatchMoments().update(IMAGES).basis(0.4, 0.2)
    parts = (PatchMoments().update(IMAGES[7:]) + PatchMoments().update(IMAGES[:7])).basis(0.4, 0.2)
    np.testing.assert_array_equal(whole.variance, parts.variance)
    np.testing.assert_array_equal(whole.components, parts.components)


def test_a_constant_image_has_one_component_and_none_when_centred():
    moments = PatchMoments(2, 1).update(np.full((2, 1, 6, 6), 51, np.uint8))
    basis = moments.basis()
    np.testing.assert_allclose(basis.variance, [4 * 0.2**2, 0, 0, 0], atol=1e-16)
    np.testing.assert_allclose(basis.components[0], 0.5)
    assert (moments.basis(mean=0.2, std=0.5).variance <= 1e-30).all()
    assert (moments.basis(center=True).variance == 0).all()


def test_the_mean_is_added_as_the_offset_of_its_square():
    """Hand computed: pixels 0 and 255 in equal number, kernel 1: E(x - m)^2 / s^2."""
    images = np.array([[[[0, 255]]]], np.uint8)
    moments = PatchMoments(1, 1).update(images)
    assert moments.basis().variance == pytest.approx([0.5], rel=1e-15)
    assert moments.basis(mean=0.25).variance == pytest.approx([(0.0625 + 0.5625) / 2], rel=1e-15)
    assert moments.basis(mean=0.25, std=0.5).variance == pytest.approx([1.25], rel=1e-15)
    assert moments.basis(mean=0.25, std=0.5, center=True).variance == pytest.approx([1.0], rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (0.1, 0.2)}, r"mean is \(0.1, 0.2\); expected a finite number, or one for each of 3"),
        ({"mean": math.nan}, "mean is nan; expected"),
        ({"mean": "grey"}, "mean is 'grey'; expected"),
        ({"mean": [[0.1, 0.2, 0.3]]}, "mean is"),
        ({"std": 0}, "std is 0; expected positive"),
        ({"std": (1, 1, -1)}, r"std is \(1, 1, -1\); expected positive"),
        ({"std": math.inf}, "std is inf; expected"),
        ({"std": {}}, "std is {}; expected"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused(arguments: dict, message: str):
    with pytest.raises(InputError, match=message):
        PatchMoments().update(IMAGES).basis(**arguments)


def test_a_basis_of_nothing_is_refused():
    with pytest.raises(InputError, match="no patches"):
        PatchMoments().basis()


# Files


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255.0, None], ids=["uint8", "float", "empty"])
def test_saved_moments_come_back_whole(tmp_path: Path, images: np.ndarray | None):
    moments = PatchMoments(2, 3, 2, 4)
    if images is not None:
        moments.update(images)
    path = tmp_path / "folder" / "moments.any"  # the name is taken as it is
    moments.save(path, data="cifar10")
    loaded = PatchMoments.load(path)
    assert loaded == moments
    assert loaded.dilation == 4
    assert loaded.update(IMAGES if images is None else images) == moments.update(IMAGES if images is None else images)
    assert [p.name for p in path.parent.iterdir()] == ["moments.any"]


def test_a_patch_whose_moments_fill_the_memory_is_refused():
    with pytest.raises(InputError, match="kernel_size 100000 with 3 channels makes patches of 30,000,000,000 numbers"):
        PatchMoments(kernel_size=100_000)
    assert PatchMoments(kernel_size=16, channels=3).size == 768


def test_the_file_says_what_it_holds_and_where_it_came_from(tmp_path: Path):
    PatchMoments().update(IMAGES).save(tmp_path / "m.npz", data="cifar10")
    with np.load(tmp_path / "m.npz") as file:
        assert sorted(file.files) == ["first", "header", "second"]
        header = json.loads(str(file["header"]))
    assert header["format"] == 2
    assert header["provenance"]["data"] == "cifar10"
    assert "firstlight" in header["provenance"]
    assert "written" not in header["provenance"]  # so that the same sums are the same file
    assert PatchMoments.load(tmp_path / "m.npz").provenance == header["provenance"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "m.npz"
    PatchMoments().update(IMAGES).save(path)
    old = path.read_bytes()

    def fails(file: Any, *_: Any, **options: Any) -> None:
        file.write(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(OSError, match="disk full"):
        PatchMoments().save(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["m.npz"]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        PatchMoments.load(tmp_path / "none.npz")
    with pytest.raises(InputError, match="it is a folder; expected a file"):
        PatchMoments.load(tmp_path)


@pytest.mark.parametrize("images", [np.uint8, np.float64])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda second, first: (-second, first),
        lambda second, first: (second, -300 * first - 1),
        lambda second, first: (second, np.full_like(first, 2**50)),
        lambda second, first: (second - np.diag(np.diag(second)) + np.eye(27, dtype=second.dtype), first),
    ],
)
def test_sums_that_no_patches_have_are_refused(spoil: Callable[..., Any], images: type, tmp_path: Path):
    moments = PatchMoments(3, 3).update(np.random.default_rng(0).integers(1, 256, (3, 3, 8, 8)).astype(images))
    moments.save(tmp_path / "m.npz")
    PatchMoments.load(tmp_path / "m.npz")
    moments.second, moments.first = spoil(moments.second, moments.first)
    moments.save(tmp_path / "m.npz")
    with pytest.raises(InputError, match="contradict their header"):
        PatchMoments.load(tmp_path / "m.npz")


def test_sums_beyond_those_of_bytes_are_refused(tmp_path: Path):
    moments = PatchMoments(3, 3).update(np.full((3, 3, 8, 8), 255, np.uint8))
    moments.save(tmp_path / "m.npz")
    PatchMoments.load(tmp_path / "m.npz")
    moments.second = 3 * moments.second
    moments.save(tmp_path / "m.npz")
    with pytest.raises(InputError, match="contradict their header"):
        PatchMoments.load(tmp_path / "m.npz")


def test_a_damaged_directory_is_told_where_the_file_is_given_as_data(tmp_path: Path):
    path = tmp_path / "m.npz"
    PatchMoments(3, 3).update(np.zeros((2, 3, 8, 8), np.uint8)).save(path)
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(FirstlightError, match=r"m\.npz"):
        fl.patch_statistics(path)


def test_every_damaged_byte_is_refused_or_harmless(tmp_path: Path):
    moments = PatchMoments(1, 2).update(IMAGES[:, :2])
    moments.save(tmp_path / "m.npz")
    raw = (tmp_path / "m.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    escaped: dict[str, int] = {}
    for position in range(len(raw)):
        for flip in (0x01, 0x80, 0xFF):
            data = bytearray(raw)
            data[position] ^= flip
            damaged.write_bytes(data)
            try:
                assert PatchMoments.load(damaged) == moments, f"byte {position} changed the moments unnoticed"
            except InputError as error:
                assert str(damaged) in str(error)  # noqa: PT017
            except Exception as error:  # what should have been an InputError
                escaped[type(error).__name__] = position
    assert not escaped


def test_every_truncated_file_is_refused(tmp_path: Path):
    PatchMoments(1, 1).update(IMAGES[:, :1]).save(tmp_path / "m.npz")
    raw = (tmp_path / "m.npz").read_bytes()
    for length in range(0, len(raw), 11):
        (tmp_path / "short.npz").write_bytes(raw[:length])
        with pytest.raises(InputError, match="not a whole file"):
            PatchMoments.load(tmp_path / "short.npz")


class Fake:
    """A moments file with anything in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moments = PatchMoments(2, 1).update(IMAGES[:, :1])

    def write(self, **changes: Any) -> Path:
        header: dict[str, Any] = {
            "format": 2,
            "kernel_size": 2,
            "channels": 1,
            "stride": 1,
            "dilation": 1,
            "count": self.moments.count,
            "dtype": "uint8",
            "provenance": {},
        }
        arrays: dict[str, Any] = {"second": self.moments.second, "first": self.moments.first}
        for name, value in changes.items():
            (arrays if name in arrays else header)[name] = value
        np.savez(self.path, header=np.array(json.dumps(header)), **arrays)
        return self.path


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path / "fake.npz")


def test_the_fake_file_without_changes_is_good(fake: Fake):
    assert PatchMoments.load(fake.write()) == fake.moments


FLOATS = {"second": np.eye(4), "first": np.ones(4)}


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_size": 3},
        {"kernel_size": 0},
        {"kernel_size": 2.0},
        {"kernel_size": "2"},
        {"kernel_size": 400},  # claims 200 GB
        {"channels": 10**9},
        {"stride": None},
        {"dilation": 0},
        {"dilation": 2.0},
        {"dilation": None},
        {"count": -1},
        {"count": 1.5},
        {"count": "many"},
        {"count": True},
        {"count": 10**30},  # more than 64-bit sums can hold
        {"count": 0},  # yet there are sums
        {"dtype": None},  # yet there are sums
        {"dtype": "int8"},
        {"dtype": "int8", **FLOATS},
        {"dtype": []},
        {"dtype": "float64"},
        FLOATS,
        {"dtype": "float64", "second": np.full((4, 4), np.nan), "first": np.ones(4)},
        {"dtype": "float64", "second": np.eye(4), "first": np.full(4, np.nan)},
        {"second": np.arange(16).reshape(4, 4)},
        {"second": np.zeros((4, 4, 1), np.int64)},
        {"first": np.zeros(5, np.int64)},
        {"first": np.zeros(4)},
        {"second": np.full((4, 4), "x")},
    ],
    ids=lambda changes: ", ".join(f"{k}={v if np.ndim(v) == 0 else 'array'}" for k, v in changes.items()),
)
def test_files_that_contradict_themselves_are_refused(fake: Fake, changes: dict):
    with pytest.raises(InputError, match=r"fake\.npz: "):
        PatchMoments.load(fake.write(**changes))


@pytest.mark.parametrize("version", [0, 3, "1", "2", None, True, 1.0])
def test_another_format_version_is_refused(fake: Fake, version: Any):
    with pytest.raises(InputError, match=f"format {version!r}; expected 1 to 2"):
        PatchMoments.load(fake.write(format=version))


def test_files_of_format_1_had_no_dilation_and_are_read_as_dilation_1(fake: Fake):
    path = fake.write(format=1)
    with np.load(path) as file:
        header, second, first = json.loads(str(file["header"])), file["second"], file["first"]
    del header["dilation"]
    np.savez(path, header=np.array(json.dumps(header)), second=second, first=first)
    assert PatchMoments.load(path) == fake.moments
    assert PatchMoments.load(path).dilation == 1
    header["format"] = 2  # which has to say it
    np.savez(path, header=np.array(json.dumps(header)), second=second, first=first)
    with pytest.raises(InputError, match="contradict"):
        PatchMoments.load(path)


def test_another_format_version_is_named_even_where_the_rest_is_strange(fake: Fake):
    with pytest.raises(InputError, match="format 3; expected 1 to 2"):
        PatchMoments.load(fake.write(format=3, kernel_size=[3, 3]))


def _other_keys(path: Path) -> None:
    np.savez(path, second=np.eye(2), header="{}")


def _plain_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.eye(2))


def _objects(path: Path) -> None:
    np.savez(path, header=np.array([{"format": 1}], dtype=object), second=np.eye(4), first=np.ones(4))


def _object_moments(path: Path) -> None:
    header = {"format": 1, "kernel_size": 2, "channels": 1, "stride": 1, "count": 1, "dtype": "uint8"}
    np.savez(path, header=json.dumps(header), second=np.eye(4).astype(object), first=np.ones(4))


class Bomb:
    def __reduce__(self) -> tuple[Callable, tuple]:
        return (pytest.fail, ("the file was unpickled",))


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def _header_is_a_list(path: Path) -> None:
    np.savez(path, header="[1, 2]", second=np.eye(4), first=np.ones(4))


def _header_is_not_json(path: Path) -> None:
    np.savez(path, header="format 1", second=np.eye(4), first=np.ones(4))


def _not_arrays(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in ("header", "second", "first"):
            file.writestr(f"{name}.npy", "text")


@pytest.mark.parametrize(
    "write",
    [
        _other_keys,
        _plain_array,
        _objects,
        _object_moments,
        _pickle,
        _header_is_a_list,
        _header_is_not_json,
        _not_arrays,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("moments"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, write: Callable[[Path], Any]):
    write(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"other\.npz: not a whole file of patch moments"):
        PatchMoments.load(tmp_path / "other.npz")
