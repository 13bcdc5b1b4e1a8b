import hashlib
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from firstlight.errors import InputError
from firstlight.images.imageset import ImageSet, channel_statistics


def make(images: np.ndarray, labels: np.ndarray | None = None) -> ImageSet:
    channels = images.shape[1] if images.ndim > 1 else 1
    return ImageSet("x", "train", images, labels, (), (0.0,) * channels, (1.0,) * channels)


def pixels(count: int = 4, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, 5, 7), dtype=np.uint8)


def test_properties_and_repr() -> None:
    images = ImageSet("x", "test", pixels(), np.zeros(4, np.int64), ("a", "b"), (0.0,) * 3, (1.0,) * 3)
    assert (len(images), images.channels, images.size) == (4, 3, (5, 7))
    assert repr(images) == "ImageSet('x', test: 4 images of 3x5x7, uint8, 2 classes)"
    assert repr(make(pixels().astype(np.float32))) == ("ImageSet('x', train: 4 images of 3x5x7, float32, no labels)")
    with pytest.raises(FrozenInstanceError):
        images.name = "y"  # pyright: ignore[reportAttributeAccessIssue]


def test_fingerprint_is_the_documented_hash() -> None:
    array, labels = pixels(), np.arange(4)
    content = b"4,5,7,3 uint8 labels=True\n" + array.transpose(0, 2, 3, 1).tobytes() + labels.astype("<i8").tobytes()
    assert make(array, labels).fingerprint == hashlib.sha256(content).hexdigest()


def test_fingerprint_depends_on_content_and_not_on_memory_layout() -> None:
    array = pixels()
    original = make(array).fingerprint
    assert make(np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)).fingerprint == original
    assert make(np.asfortranarray(array)).fingerprint == original
    changed = array.copy()
    changed[3, 2, 4, 6] ^= 1
    others = {
        make(changed).fingerprint,
        make(array.astype(np.float32)).fingerprint,
        make(array.reshape(4, 3, 7, 5)).fingerprint,
        make(array, np.zeros(4, np.int64)).fingerprint,
        make(array, np.array([0, 0, 0, 1])).fingerprint,
    }
    assert len(others) == 5
    assert original not in others


def test_fingerprint_of_many_blocks_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(pixels(50)).fingerprint
    monkeypatch.setattr("firstlight.images.imageset._BLOCK_BYTES", 300)
    assert make(pixels(50)).fingerprint == whole


def test_subset_is_a_view_with_the_same_normalisation() -> None:
    images = ImageSet("x", "train", pixels(), np.arange(4), tuple("abcd"), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    part = images.subset(3)
    assert len(part) == 3
    assert np.shares_memory(part.images, images.images)
    assert part.labels is not None
    assert part.labels.tolist() == [0, 1, 2]
    assert (part.mean, part.std, part.classes) == (images.mean, images.std, images.classes)
    assert part.fingerprint != images.fingerprint
    assert images.subset(4).fingerprint == images.fingerprint


@pytest.mark.parametrize("count", [0, -1, 5])
def test_subset_out_of_range(count: int) -> None:
    with pytest.raises(InputError, match=rf"count is {count}; expected 1 to 4"):
        make(pixels()).subset(count)


def test_parts_that_do_not_belong_together() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 5, 7\)"):
        make(pixels()[0])
    with pytest.raises(InputError, match=r"labels have shape \(3,\); expected \(4,\)"):
        make(pixels(), np.zeros(3, np.int64))
    with pytest.raises(InputError, match="3 channels"):
        ImageSet("x", "train", pixels(), None, (), (0.0,), (1.0,))
    with pytest.raises(InputError, match="split is 'val'"):
        ImageSet("x", "val", pixels(), None, (), (0.0,) * 3, (1.0,) * 3)


def test_statistics_of_uint8_are_correctly_rounded() -> None:
    # Three pixels 0, 0, 255: mean 1/3 and variance 2/9 of the full range, whatever the order of summation.
    images = np.array([0, 0, 255], dtype=np.uint8).reshape(3, 1, 1, 1)
    assert channel_statistics(images) == ((1 / 3,), ((2 / 9) ** 0.5,))


@given(arrays(np.uint8, (6, 2, 3, 3)).filter(lambda array: all(np.ptp(array[:, c]) > 0 for c in range(2))))
def test_statistics_of_uint8_match_numpy_and_any_layout(images: np.ndarray) -> None:
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 2, 3)), rtol=1e-12)
    assert channel_statistics(np.asfortranarray(images)) == (mean, std)
    assert channel_statistics(images[::-1]) == (mean, std)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_statistics_of_floats_are_float64_on_the_raw_scale(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.images.imageset._BLOCK_BYTES", 500)
    images = np.random.default_rng(1).normal(1000, 1, (40, 3, 4, 4)).astype(dtype)
    mean, std = channel_statistics(images)
    wide = images.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, wide.std(axis=(0, 2, 3)), rtol=1e-11)


@given(st.integers(0, 2), st.sampled_from([np.uint8, np.float32]))
def test_constant_channel_is_named(channel: int, dtype: type) -> None:
    images = pixels().astype(dtype)
    images[:, channel] = 7
    with pytest.raises(InputError, match=f"channel {channel} has the same value"):
        channel_statistics(images)
