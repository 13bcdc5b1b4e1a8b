import re

import numpy as np
import pytest

from firstlight.errors import SourceError
from firstlight.images.cifar import CIFAR, CIFAR10, CIFAR100, CifarDefinition, Pixels


def test_definitions() -> None:
    assert list(CIFAR) == ["cifar10", "cifar100"]
    assert len(CIFAR10.classes) == 10
    assert CIFAR10.classes[1] == "automobile"
    assert len(set(CIFAR100.classes)) == 100
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes)
    for definition in CIFAR.values():
        for split in ("train", "test"):
            assert f"/{definition.name}/" in definition.hub_urls[split]
            assert f"/{split}-00000" in definition.hub_urls[split]
    assert all(len(digest) == 64 for pair in CIFAR10.digests.values() for digest in pair)


def test_genuine_pixels_pass(small: CifarDefinition, splits: dict[str, Pixels]) -> None:
    for split, pixels in splits.items():
        assert small.check(split, pixels) == small.digests[split]


@pytest.mark.parametrize("part", ["images", "labels"])
def test_one_bit_is_noticed(small: CifarDefinition, splits: dict[str, Pixels], part: str) -> None:
    changed = getattr(splits["train"], part).copy()
    changed.flat[-1] ^= 1
    with pytest.raises(SourceError, match=f"train {part} have SHA-256 .* these are not the CIFAR-10 {part}"):
        small.check("train", splits["train"]._replace(**{part: changed}))


def test_shape_and_dtype(small: CifarDefinition, splits: dict[str, Pixels]) -> None:
    images, labels = splits["test"]
    with pytest.raises(SourceError, match=re.escape("shapes (49, 32, 32, 3) and (50,)")):
        small.check("test", Pixels(images[1:], labels))
    with pytest.raises(SourceError, match="are uint8 and int64; expected uint8"):
        small.check("test", Pixels(images, labels.astype(np.int64)))


def test_cifar100_is_checked_by_balance() -> None:
    images = np.zeros((10_000, 32, 32, 3), np.uint8)
    labels = (np.arange(10_000) % 100).astype(np.uint8)
    CIFAR100.check("test", Pixels(images, labels))
    for wrong in (0, 100):
        changed = labels.copy()
        changed[5] = wrong
        with pytest.raises(SourceError, match="test labels are not 100 of each of 100 classes"):
            CIFAR100.check("test", Pixels(images, changed))
