"""ImageLags: exact whatever the order and the split, moments and lags in one, and honest files."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.patches import ImageLags, PatchMoments

RNG = np.random.default_rng(0)
SIZES = ((8, 8), (9, 13), (15, 8))
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


def noise(count: int, size: tuple[int, int], channels: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = rng.integers(0, 90, (count, channels, *size)).cumsum(axis=2).cumsum(axis=3)
    return (smooth // 7 % 256).astype(np.uint8)


# Of several sizes, in one pass.
STACKS = [noise(count, size, seed=count) for count, size in zip((3, 1, 4), SIZES, strict=True)]


def summed(stacks: list[np.ndarray], *arguments: int) -> ImageLags:
    lags = ImageLags(*arguments)
    for stack in stacks:
        lags.update(stack)
    return lags


def pairs(stack: np.ndarray, kernel_size: int, y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
    """Both patches of all pairs that lie (y, x) apart, each in both orders, (pairs, D)."""
    windows = np.lib.stride_tricks.sliding_window_view(stack, (kernel_size, kernel_size), axis=(2, 3))
    patches = windows.transpose(2, 3, 0, 1, 4, 5).reshape(*windows.shape[2:4], len(stack), -1)
    height, width = patches.shape[:2]
    own = patches[: height - y, : width - x].reshape(-1, patches.shape[-1])
    partner = patches[y:, x:].reshape(-1, patches.shape[-1])
    return np.concatenate([own, partner]), np.concatenate([partner, own])


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[np.ndarray], list[list[np.ndarray]], tuple[int, int, int]]:
    """Images of mixed sizes; the same, shuffled and dealt to workers in stacks; and settings."""
    kernel_size, channels, distance = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    least = kernel_size + distance
    sizes = draw(st.lists(st.tuples(*(st.integers(least, least + 7),) * 2), min_size=1, max_size=4))
    stacks = [noise(draw(st.integers(1, 4)), size, channels, draw(st.integers(0, 99))) for size in sizes]
    single = [stack[i : i + 1] for stack in stacks for i in range(len(stack))]
    shuffled = [single[i] for i in draw(st.permutations(range(len(single))))]
    workers = draw(st.integers(1, 3))
    return stacks, [shuffled[i::workers] for i in range(workers)], (kernel_size, channels, distance)


@given(splits())
@settings(deadline=None, max_examples=25)
def test_no_order_and_no_split_changes_a_bit(split):
    stacks, dealt, arguments = split
    whole = summed(stacks, *arguments)
    assert sum(summed(part, *arguments) for part in dealt) == whole
    moments, pixels = PatchMoments(*arguments[:2]), PatchMoments(1, arguments[1])
    for stack in stacks:
        moments.update(stack)
        pixels.update(stack)
    assert whole.moments == moments
    assert whole.pixels == pixels
    for distance in range(arguments[2] + 1):
        assert whole.up_to(distance) == summed(stacks, *arguments[:2], distance)
    basis, expected = whole.basis(0.4, 0.3), moments.basis(0.4, 0.3)
    np.testing.assert_array_equal(basis.variance, expected.variance)
    np.testing.assert_array_equal(basis.components, expected.components)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_matrices_are_the_means_over_all_pairs_of_normalised_patches(kernel_size, dtype):
    unit = 255 if dtype is np.uint8 else 1
    stacks = [(stack / (1 if dtype is np.uint8 else 255)).astype(dtype) for stack in STACKS]
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    matrices = summed(stacks, kernel_size, 3, 5).matrices(MEAN, STD)
    assert matrices.shape == (6, 3 * kernel_size**2, 3 * kernel_size**2)
    normalised = [(stack / unit - mean) / std for stack in stacks]
    for d, matrix in enumerate(matrices):
        directions = []
        for shift in ((0, d), (d, 0)):  # the mean over horizontal pairs of all images, and over vertical ones
            own, partner = zip(*(pairs(stack, kernel_size, *shift) for stack in normalised), strict=True)
            directions.append(np.concatenate(own).T @ np.concatenate(partner) / sum(map(len, own)))
        expected = (directions[0] + directions[1]) / 2
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
        np.testing.assert_array_equal(matrix, matrix.T)


def test_normalisation_loses_nothing_to_cancellation():
    stack = noise(2, (7, 7), 1) % 2 + 253  # hardly any variance, far from zero
    mean, std = 253.5 / 255, 1e-3
    found = ImageLags(2, 1, 1).update(stack).matrices(mean, std)
    exact = np.zeros((4, 4), object)
    for shift in ((0, 1), (1, 0)):
        own, partner = (
            (values.astype(object) * Fraction(1, 255) - Fraction(mean)) / Fraction(std)
            for values in pairs(stack, 2, *shift)
        )
        exact += own.T @ partner / (2 * len(own))
    # What remains is the rounding of the mean, of 1 in units of 0.001.
    np.testing.assert_allclose(found[1], exact.astype(np.float64), rtol=0, atol=1e-12)


def test_a_window_is_the_first_rows_and_columns_of_the_same_patches():
    lags = summed(STACKS, 4, 3, 3)
    found = lags.matrices(MEAN, STD, window=(2, 3))
    taps = np.arange(48).reshape(3, 4, 4)[:, :2, :3].ravel()
    np.testing.assert_array_equal(found, lags.matrices(MEAN, STD)[:, taps[:, None], taps])
    # As if the images had no more than these taps see of them.
    cut = [stack[:, :, : stack.shape[2] - 3, : stack.shape[3] - 3] for stack in STACKS]
    np.testing.assert_allclose(lags.matrices(MEAN, STD, (1, 1)), summed(cut, 1, 3, 3).matrices(MEAN, STD), rtol=1e-13)


def test_floats_lie_within_the_stated_bound():
    kernel_size, distance = 2, 3
    images = RNG.standard_normal((3, 2, 9, 8)) * 10.0 ** RNG.integers(-3, 4, (3, 2, 9, 8)) + 100
    lags = ImageLags(kernel_size, 2, distance).update(images)
    exact = images.astype(object)
    for index in np.ndindex(exact.shape):
        exact[index] = Fraction(float(images[index]))
    count = 3 * 9 * 8
    rounding = (64 + 8 * kernel_size + 4 * count) * Fraction(2) ** -53
    g = float(rounding / (1 - rounding))
    energy = np.repeat([math.sqrt((images[:, c] ** 2).sum()) for c in range(2)], kernel_size**2)
    magnitude = np.repeat([np.abs(images[:, c]).sum() for c in range(2)], kernel_size**2)
    errors = []
    for shift in range(1 + 2 * distance):
        d = shift if shift <= distance else shift - distance
        own, partner = pairs(exact, kernel_size, *((0, d) if shift <= distance else (d, 0)))
        half = Fraction(1, 2) if d == 0 else 1  # a patch is no pair
        error = np.abs(own.T @ partner * half - lags.second[shift].astype(object))
        assert (error <= 8 * g * np.outer(energy, energy)).all()
        errors.append(error.max())
        assert (np.abs(own.sum(axis=0) * half - lags.first[shift]) <= 8 * g * magnitude).all()
    assert max(errors) > 0  # there is something to bound


def test_tensors_transposed_views_and_lists_are_read():
    torch = pytest.importorskip("torch")
    expected = ImageLags(2, 3, 4).update(STACKS[0])
    assert ImageLags(2, 3, 4).update(torch.from_numpy(STACKS[0])) == expected
    assert ImageLags(2, 3, 4).update(STACKS[0].transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)) == expected
    assert ImageLags(2, 3, 4).update(list(STACKS[0])) == expected


def test_it_prints_what_it_holds():
    lags = ImageLags(3, 1, 4)
    assert repr(lags) == "ImageLags(kernel_size=3, channels=1, max_distance=4: 0 patches of no images)"
    lags.update(np.zeros((50, 1, 10, 10), np.uint8))
    assert repr(lags) == "ImageLags(kernel_size=3, channels=1, max_distance=4: 3,200 patches of uint8 images)"


def test_empty_lags_add_nothing():
    lags = summed(STACKS, 2, 3, 4)
    assert lags + ImageLags(2, 3, 4) == ImageLags(2, 3, 4) + lags == lags
    assert ImageLags(2, 3, 4) != lags
    assert ImageLags(2, 3, 4).moments == PatchMoments(2, 3)
    assert sum([ImageLags(2, 3, 4)]) == ImageLags(2, 3, 4)
    with pytest.raises(InputError, match="hold no patches"):
        ImageLags(2, 3, 4).matrices()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (noise(1, (6, 9)), "max_distance is 5; expected at most 4: patches of 2 x 2 pixels .* images of 6 x 9"),
        (noise(1, (9, 6)), "max_distance is 5; expected at most 4"),
        (noise(1, (9, 1)), "images are 9 x 1 pixels; expected at least the kernel size"),
        (noise(1, (9, 9), 1), "images have 1 channel,"),
        (noise(1, (9, 9)) / 255.0, "but these lags hold uint8 images"),
        (np.zeros((0, 3, 9, 9), np.uint8), "images are empty"),
        (np.zeros((3, 9, 9), np.uint8), "images have 3 dimensions"),
        (np.zeros((1, 3, 9, 9), np.int32), "images are of type int32"),
    ],
)
def test_what_cannot_be_summed_is_refused_and_changes_nothing(images, message):
    lags, same = (summed(STACKS, 2, 3, 5) for _ in range(2))
    with pytest.raises(InputError, match=message):
        lags.update(images)
    assert lags == same


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "image 0 holds NaN"), (np.inf, "image 0 holds NaN"), (1e200, "squares overflow")]
)
def test_floats_that_cannot_be_summed_are_refused_and_change_nothing(value, message):
    images = noise(1, (9, 9)) / 255.0
    lags, same = (ImageLags(2, 3, 5).update(images) for _ in range(2))
    images[0, 1, 2, 3] = value
    with pytest.raises(InputError, match=message):
        lags.update(images)
    assert lags == same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, 5), "kernel_size is 0"),
        ((2.0, 3, 5), "kernel_size is 2.0"),
        ((2, True, 5), "channels is True"),
        ((2, 3, -1), "max_distance is -1; expected a whole number of at least 0"),
        ((2, 3, None), "max_distance is None"),
        ((64, 3, 10), "makes 21 matrices of 12,288 x 12,288; expected at most 268,435,456 numbers, .* 2 GiB"),
        ((1, 1, 10**12), "makes 2,000,000,000,001 matrices"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ImageLags(*arguments)


def test_different_lags_do_not_merge():
    lags = summed(STACKS, 2, 3, 5)
    for other, message in [
        (ImageLags(3, 3, 5), "kernel_size 2 with 3"),
        (ImageLags(2, 1, 5), "channels 3 with 1"),
        (ImageLags(2, 3, 4), "max_distance 5 with 4; expected the same: cut the longer one with up_to"),
        (ImageLags(2, 3, 5).update(STACKS[0] / 255), "dtype uint8 with float64"),
    ]:
        with pytest.raises(InputError, match=message):
            _ = lags + other
    with pytest.raises(TypeError):
        _ = lags + PatchMoments(2, 3)  # pyright: ignore[reportOperatorIssue]
    with pytest.raises(InputError, match="max_distance is 6; expected at most 5"):
        lags.up_to(6)


def test_sums_that_might_overflow_are_refused():
    lags = ImageLags(2, 3, 5).update(STACKS[1])
    lags.pixels.count = 2**47
    with pytest.raises(InputError, match="64-bit sums are certain to be exact: keep separate"):
        lags.update(STACKS[1])
    with pytest.raises(InputError, match="64-bit sums are certain"):
        _ = lags + lags


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"std": 0}, "std is 0; expected positive"),
        ({"mean": [1, 2]}, "mean is .* one for each of 3 channels"),
        ({"mean": "gray"}, "mean is 'gray'"),
        ({"std": float("nan")}, "std is nan"),
        ({"std": 1e-200}, "std is 1e-200, and the squares of pixels divided by it overflow"),
        ({"window": (3, 1)}, "window is 3 x 1; expected at least 1 x 1 and at most 2 x 2"),
        ({"window": (0, 1)}, "window is 0 x 1"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        summed(STACKS, 2, 3, 5).matrices(**arguments)


# Files


@pytest.mark.parametrize("distance", [0, 4])
@pytest.mark.parametrize("unit", [None, 1, 255.0], ids=["empty", "uint8", "float"])
def test_saved_lags_come_back_whole(tmp_path: Path, unit: float | None, distance: int):
    stacks = [] if unit is None else [stack if unit == 1 else stack / unit for stack in STACKS]
    lags, path = summed(stacks, 2, 3, distance), tmp_path / "folder" / "lags.npz"
    lags.save(path, data="cifar10")
    loaded = ImageLags.load(path)
    assert loaded == lags
    assert loaded.provenance["data"] == "cifar10"
    assert loaded + lags == lags + lags
    assert [p.name for p in path.parent.iterdir()] == ["lags.npz"]
    # It is a file of the patches' moments, too.
    moments = PatchMoments.load(path)
    assert moments == lags.moments
    assert moments.provenance["data"] == "cifar10"


def test_a_file_of_moments_alone_is_refused_by_name(tmp_path: Path):
    path = tmp_path / "m.npz"
    PatchMoments(2, 3).update(STACKS[0]).save(path)
    with pytest.raises(InputError, match=r"m\.npz: holds patch moments alone, .* ImageLags\.save"):
        ImageLags.load(path)
    with pytest.raises(InputError, match=r"none\.npz: no such file.*; expected lags written by ImageLags\.save"):
        ImageLags.load(tmp_path / "none.npz")


def test_every_damaged_byte_is_refused_or_harmless(tmp_path: Path):
    lags = ImageLags(1, 1, 1).update(STACKS[0][:, :1])
    lags.save(tmp_path / "l.npz")
    raw = (tmp_path / "l.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    for position in range(0, len(raw), 7):
        for flip in (0x01, 0x80, 0xFF):
            data = bytearray(raw)
            data[position] ^= flip
            damaged.write_bytes(data)
            try:
                assert ImageLags.load(damaged) == lags, f"byte {position} changed the lags unnoticed"
            except InputError as error:  # and nothing else
                assert str(damaged) in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
    for length in range(0, len(raw), 41):
        damaged.write_bytes(raw[:length])
        with pytest.raises(InputError, match="not a whole file"):
            ImageLags.load(damaged)


class Fake:
    """A file of lags with anything in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lags = ImageLags(1, 2, 2).update(STACKS[0][:, :2])
        self.lags.save(path)

    def write(self, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Path:
        with np.load(self.path) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
        header = json.loads(str(arrays["header"]))
        change(header, arrays)
        np.savez(self.path, **{**arrays, "header": np.array(json.dumps(header))})
        return self.path


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path / "fake.npz")


def test_the_fake_file_without_changes_is_good(fake: Fake):
    assert ImageLags.load(fake.write(lambda header, arrays: None)) == fake.lags


def put(where: str, key: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Change one entry of the header or one array."""

    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        (header if where == "header" else arrays)[key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("header", "max_distance", 3),
        put("header", "max_distance", -1),
        put("header", "max_distance", 2.0),
        put("header", "max_distance", None),
        put("header", "max_distance", 10**15),
        put("header", "stride", 2),
        put("header", "dilation", 2),
        put("header", "pixels", 1),
        put("header", "pixels", True),
        put("header", "pixels", 0),
        put("header", "count", 3),
        put("header", "count", 0),
        put("header", "dtype", "float64"),
        put("header", "dtype", None),
        put("header", "provenance", []),
        put("arrays", "lag_count", np.array([1, 1, 1, 0])),
        put("arrays", "lag_count", np.array([1, 1, 1, 2**60])),
        put("arrays", "lag_count", np.ones(4)),
        put("arrays", "lag_count", np.ones(3, np.int64)),
        put("arrays", "lag_second", np.ones((4, 2, 2))),
        put("arrays", "lag_second", np.ones((3, 2, 2), np.int64)),
        put("arrays", "lag_second", np.arange(16).reshape(4, 2, 2)),
        put("arrays", "lag_second", np.full((4, 2, 2), "x")),
        put("arrays", "lag_first", np.ones((4, 3), np.int64)),
        put("arrays", "pixel_second", np.ones((1, 1), np.int64)),
        put("arrays", "pixel_first", np.ones(2)),
    ],
)
def test_files_that_contradict_themselves_are_refused(fake: Fake, change):
    with pytest.raises(InputError, match=r"fake\.npz: .* contradict their header"):
        ImageLags.load(fake.write(change))


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_another_format_version_is_refused(fake: Fake, version: Any):
    with pytest.raises(InputError, match=f"lags of format {version!r}; expected 1: sum them up again"):
        ImageLags.load(fake.write(put("header", "lags_format", version)))
    assert PatchMoments.load(fake.path) == fake.lags.moments
    with pytest.raises(InputError, match="format 3; expected 1 to 2"):
        ImageLags.load(fake.write(put("header", "format", 3)))
