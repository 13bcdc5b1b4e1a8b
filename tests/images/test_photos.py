import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight.errors import SourceError
from firstlight.images import photos
from firstlight.images.imageset import channel_statistics
from firstlight.images.photos import CROP, PER_CLASS, PHOTOGRAPHS, crop_positions, load_photos, require_photos


def test_sizes_classes_and_balance() -> None:
    for split, count in (("train", 20_000), ("test", 4_000)):
        images = load_photos(split)
        assert images.images.shape == (count, 3, 32, 32)
        assert images.images.dtype == np.uint8
        assert images.labels is not None
        assert np.bincount(images.labels).tolist() == [PER_CLASS[split]] * 5
        assert images.labels[:7].tolist() == [0, 1, 2, 3, 4, 0, 1]
        assert images.classes == ("astronaut", "cat", "coffee", "motorcycle", "rocket")
        assert not images.images.flags.writeable


def test_the_crops_are_always_the_same() -> None:
    assert load_photos("train").fingerprint == "5351807b3eb0116673ff61f2e36e7967ed4368d4c55274861f24ebba5bf983b5"
    assert crop_positions(40, 50, 3, (0, 0)).tolist() == [[0, 15], [1, 16], [4, 4]]


def test_both_splits_are_normalised_by_train() -> None:
    train, test = load_photos("train"), load_photos("test")
    assert (train.mean, train.std) == (test.mean, test.std) == channel_statistics(train.images)


def test_building_takes_less_than_two_seconds() -> None:
    photos._crops_and_statistics.cache_clear()
    start = time.perf_counter()
    load_photos("train")
    load_photos("test")
    assert time.perf_counter() - start < 2


def window_hashes(pixels: np.ndarray) -> np.ndarray:
    """A 64-bit polynomial hash of every 32 x 32 window of (..., H, W, 3), computed with wrapping integers."""
    value = (pixels.astype(np.uint64) * np.array([1, 1_000_003, 998_244_353], np.uint64)).sum(axis=-1)
    for factor in (np.uint64(6364136223846793005), np.uint64(2862933555777941757)):
        windows = value.shape[-1] - CROP + 1
        total = np.zeros((*value.shape[:-1], windows), np.uint64)
        for offset in range(CROP):
            total = total * factor + value[..., offset : offset + windows]
        value = total.swapaxes(-1, -2)
    return value


@pytest.mark.parametrize("label", range(5))
def test_no_train_crop_overlaps_a_test_crop(label: int) -> None:
    """Every crop is looked up in its photograph; all columns it can come from lie on its split's side."""
    with Image.open(require_photos() / list(PHOTOGRAPHS.values())[label]) as photograph:
        pixels = np.asarray(photograph)
    where = window_hashes(pixels)
    order = np.argsort(where, axis=None)
    sorted_hashes = where.ravel()[order]
    columns = {}
    for split in ("train", "test"):
        crops = load_photos(split).images[label::5].transpose(0, 2, 3, 1)
        found = window_hashes(crops)[:, 0, 0]
        first = np.searchsorted(sorted_hashes, found)
        assert np.array_equal(sorted_hashes[first], found)
        unique = np.searchsorted(sorted_hashes, found, side="right") - first == 1
        assert unique.mean() > 0.9  # crops of plain black occur at several places
        rows, columns[split] = np.divmod(order[first[unique]], where.shape[1])
        for index in range(20):
            row, column = rows[index], columns[split][index]
            assert np.array_equal(crops[unique][index], pixels[row : row + CROP, column : column + CROP])
        assert len(set(zip(rows.tolist(), columns[split].tolist(), strict=True))) == unique.sum()
    assert columns["train"].max() + CROP <= columns["test"].min()


def test_without_scikit_image_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    with pytest.raises(SourceError, match=r"pip install 'firstlight\[photos\]'"):
        require_photos()


def test_a_missing_photograph_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(photos, "photos_folder", lambda: tmp_path)
    with pytest.raises(SourceError, match=r"has no astronaut\.png"):
        require_photos()
