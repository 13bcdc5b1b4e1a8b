"""Every image of a batch counts, in whatever form a loader gives it; what may be a batch or a sample is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from firstlight import image_stream
from firstlight.errors import InputError

COUNT = 6
PIXELS = [np.random.default_rng(i).integers(0, 256, (3, 8 + i, 9), dtype=np.uint8) for i in range(COUNT)]
MASK = np.zeros((8, 9), np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels)


def picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


class Samples(Dataset):
    def __init__(self, sample: Callable[[int], Any]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        if index >= COUNT:
            raise IndexError
        return self.sample(index)


def zipped(batch: list[Any]) -> tuple[Any, ...]:
    return tuple(zip(*batch, strict=True))


def count(source: Any, **options: Any) -> int:
    return sum(len(stack) for stack in image_stream(source, progress=False, **options))


SAMPLES = {
    "boxes": lambda make, i: (make(PIXELS[i]), {"boxes": torch.zeros(1, 4)}),
    "label": lambda make, i: (make(PIXELS[i]), i),
    "tensor of boxes": lambda make, i: (make(PIXELS[i]), torch.zeros(i, 4)),
    "mask": lambda make, i: (make(PIXELS[i]), Image.fromarray(MASK) if make is picture else tensor(MASK)),
}
COLLATES = {
    "zipped": zipped,
    "lists": lambda batch: [list(column) for column in zip(*batch, strict=True)],
    "samples": lambda batch: batch,
    "images": lambda batch: [image for image, _ in batch],
    "tuple of images": lambda batch: tuple(image for image, _ in batch),
    "dictionary": lambda batch: {"images": [image for image, _ in batch], "y": [other for _, other in batch]},
    "dictionaries": lambda batch: [{"image": image, "y": other} for image, other in batch],
    "images and a stack": lambda batch: ([image for image, _ in batch], torch.zeros(len(batch))),
    "images and all boxes": lambda batch: ([image for image, _ in batch], torch.zeros(17, 6)),
}


@pytest.mark.parametrize("make", [tensor, picture])
@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("collate", COLLATES)
@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 6])
def test_every_image_of_a_loader_counts(make: Any, sample: str, collate: str, batch_size: int) -> None:
    samples = Samples(lambda i: SAMPLES[sample](make, i))
    loader = DataLoader(samples, batch_size, collate_fn=COLLATES[collate])
    assert count(loader) == COUNT


def test_one_sample_is_one_image() -> None:
    for make in (tensor, picture):
        for sample in SAMPLES.values():
            samples = Samples(lambda i, make=make, sample=sample: sample(make, i))
            for source in (samples, DataLoader(samples, batch_size=None), list(samples)):  # pyright: ignore[reportArgumentType]
                assert count(source) == COUNT
            assert count(DataLoader(samples, 1, collate_fn=lambda batch: batch[0])) == COUNT


def test_stacked_batches_beside_other_stacks_are_the_images() -> None:
    images = [tensor(PIXELS[0])] * COUNT
    targets = {
        "as large": lambda i: (images[i], images[i]),
        "masks": lambda i: (images[i], tensor(MASK)),
        "views": lambda i: ([images[i], images[i]], i),
    }
    for sample in targets.values():
        assert count(DataLoader(Samples(sample), batch_size=4)) == COUNT


def test_gray_images_without_an_axis_for_channels_are_stacked_as_many() -> None:
    for size in (1, 3, 4):  # 3 of them are no image in colour
        for sample in (lambda i: tensor(MASK), lambda i: (tensor(MASK), i), lambda i: {"image": tensor(MASK)}):
            assert count(DataLoader(Samples(sample), size), channels=1) == COUNT


def test_batches_of_any_iterable() -> None:
    images = [tensor(pixels) for pixels in PIXELS]
    for batches in ([images[:2], images[2:]], [tuple(images[:3]), tuple(images[3:])], [{"img": tuple(images)}]):
        assert count(iter(batches)) == COUNT
    mixed = [picture(PIXELS[0]), picture(PIXELS[1]), Image.fromarray(MASK)]
    assert count([mixed, mixed]) == COUNT


@pytest.mark.parametrize(
    "item",
    [
        (tensor(PIXELS[0]), tensor(PIXELS[1])),
        (picture(PIXELS[0]), picture(PIXELS[1])),
        [picture(PIXELS[0]), Image.fromarray(MASK)],
        [tensor(PIXELS[0]), tensor(PIXELS[0]), tensor(MASK)],
        ((tensor(PIXELS[0]), tensor(PIXELS[1])), (tensor(PIXELS[2]), tensor(PIXELS[3]))),
        (torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 8, 8)),
        (tensor(PIXELS[0]), tensor(PIXELS[1]), 1),
        [tensor(PIXELS[0]), None, tensor(PIXELS[1])],
    ],
)
def test_what_may_be_a_batch_or_a_sample_is_refused(item: Any) -> None:
    with pytest.raises(InputError, match=r"^item 0 is a .* several images: a batch, or .*: give ") as caught:
        count([item])
    assert "\n" not in str(caught.value)


def test_crops_of_every_sample_count() -> None:
    samples = Samples(lambda i: torch.zeros(10, 3, 8, 8, dtype=torch.uint8))
    assert count(DataLoader(samples, batch_size=3, collate_fn=lambda batch: batch)) == 10 * COUNT
