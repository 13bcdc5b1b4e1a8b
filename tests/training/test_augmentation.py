"""Flips and crops of training images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from tests.training.sets import TRAIN, make_spec

from firstlight.training import RunSpec
from firstlight.training.augmentation import PADDING, draw, moved, moves
from firstlight.training.batches import DeviceImages, channels_first

CPU = torch.device("cpu")
INDEX = torch.arange(20)
SPEC = make_spec(augmentation="flip+crop", batch_size=len(INDEX))
IMAGES, LABELS = DeviceImages(TRAIN, CPU).batch(INDEX)


def seen(spec: RunSpec, step: int, images: torch.Tensor = IMAGES) -> torch.Tensor:
    return moved(images, *map(torch.from_numpy, moves(spec, step)))


def pictures(height: int, width: int, count: int = 1) -> np.ndarray:
    """Pixels that are all different, and none zero."""
    return 1 + np.arange(count * height * width * 2, dtype=np.float32).reshape(count, height, width, 2)


def plainly(image: np.ndarray, flip: bool, shift: np.ndarray) -> np.ndarray:
    """One image (H, W, C), flipped, padded and cropped as one would by hand."""
    height, width, _ = image.shape
    padded = np.pad(image[:, ::-1] if flip else image, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    row, column = PADDING + shift
    return padded[row : row + height, column : column + width]


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), *[st.integers(-PADDING, PADDING)] * 2)
def test_an_image_is_flipped_padded_and_cropped(height, width, flip, down, right):
    image, shift = pictures(height, width), np.array([down, right])
    found = moved(torch.from_numpy(image), torch.tensor([flip]), torch.from_numpy(shift)[None])
    np.testing.assert_array_equal(found[0].numpy(), plainly(image[0], flip, shift))


def test_every_image_of_a_batch_is_moved_on_its_own():
    flips, shifts = draw(SPEC, 0, 20)
    images = pictures(8, 5, 20)
    found = moved(torch.from_numpy(images), torch.from_numpy(flips), torch.from_numpy(shifts)).numpy()
    for one, image, flip, shift in zip(found, images, flips, shifts, strict=True):
        np.testing.assert_array_equal(one, plainly(image, flip, shift))


def test_half_of_the_images_are_flipped_and_all_81_crops_occur_equally_often():
    flips, shifts = draw(SPEC, 0, 81_000)
    assert abs(flips.mean() - 0.5) < 0.01
    found, counts = np.unique(shifts, axis=0, return_counts=True)
    assert found.tolist() == [[row, column] for row in range(-4, 5) for column in range(-4, 5)]
    assert np.abs(counts - 1000).max() < 200
    assert abs(np.corrcoef(flips, shifts[:, 0])[0, 1]) < 0.02


def test_what_is_seen_follows_from_seed_and_step_alone():
    torch.manual_seed(99)
    assert torch.equal(seen(SPEC, 7), seen(SPEC, 7))
    assert not torch.equal(seen(SPEC, 7), seen(SPEC, 8))
    assert not torch.equal(seen(SPEC, 7), seen(replace(SPEC, seed=4), 7))


def test_flips_and_crops_are_the_same_alone_and_together():
    images = torch.from_numpy(pictures(8, 8, 20))
    flips, shifts = map(torch.from_numpy, draw(SPEC, 3, 20))
    flip, crop, both = (seen(replace(SPEC, augmentation=name), 3, images) for name in ("flip", "crop", "flip+crop"))
    assert torch.equal(flip, moved(images, flips, torch.zeros_like(shifts)))
    assert torch.equal(flip[flips], images[flips].flip(2))
    assert torch.equal(flip[~flips], images[~flips])
    assert torch.equal(crop, moved(images, torch.zeros_like(flips), shifts))
    assert torch.equal(both, moved(flip, torch.zeros_like(flips), shifts))


def test_a_batch_is_normalised_and_channels_last():
    plain = TRAIN.images[INDEX].astype(np.float32) / 255
    images = channels_first(IMAGES)
    np.testing.assert_allclose(images.numpy(), (plain - 0.5) / 0.25, atol=1e-6)
    assert TRAIN.labels is not None
    np.testing.assert_array_equal(LABELS.numpy(), TRAIN.labels[INDEX])
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_padding_has_the_mean_colour_and_batches_stay_channels_last():
    step = next(step for step in range(20) if draw(SPEC, step, 20)[1][0, 0] > 0)  # its last rows are padding
    images = channels_first(seen(SPEC, step))
    assert (images[0, :, -1] == 0).all()
    assert (IMAGES[0, -1] != 0).any()
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
def test_a_gpu_augments_to_the_same_bits(gpu):
    images, _ = DeviceImages(TRAIN, gpu).batch(INDEX.to(gpu))
    flips, shifts = (torch.from_numpy(values).to(gpu) for values in moves(SPEC, 7))
    assert torch.equal(moved(images, flips, shifts).cpu(), seen(SPEC, 7))
