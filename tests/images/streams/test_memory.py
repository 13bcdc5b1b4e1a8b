from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image
from tests.images.streams.files import noise
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from firstlight.errors import InputError, SourceError
from firstlight.images import ImageSet, image_stream, load_images
from firstlight.images.streams.memory import match_channels

STACK = noise(10, 3, 6, 7)
FLOATS = (STACK / 255 - 0.5).astype(np.float32)


def read(source: Any, **options: Any) -> np.ndarray:
    stacks = list(image_stream(source, progress=False, **options))
    assert all(stack.flags.c_contiguous for stack in stacks)
    return np.concatenate(stacks)


class Photos(Dataset):
    """A map-style data set as people write them: PIL images from files, with labels."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        with Image.open(self.paths[index]) as image:
            return image.convert("RGB"), index


class Rows(Dataset):
    """A map-style data set of anything."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.from_numpy(STACK))


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    paths = [tmp_path / f"{index}.png" for index in range(10)]
    for path, image in zip(paths, STACK, strict=True):
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(path)
    return Photos(paths)


def collate(items: list[tuple[Image.Image, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*items, strict=True)
    return torch.stack([torch.from_numpy(np.array(image)) for image in images]), torch.tensor(labels)


def test_torch_datasets_and_loaders(photos: Photos) -> None:
    tensors = TensorDataset(torch.from_numpy(STACK), torch.arange(10))
    sources = [
        photos,
        Subset(photos, range(10)),
        ConcatDataset([Subset(photos, range(4)), Subset(photos, range(4, 10))]),
        DataLoader(photos, batch_size=4, collate_fn=collate),
        DataLoader(photos, batch_size=4, collate_fn=lambda items: [image for image, _ in items]),
        tensors,
        DataLoader(tensors, batch_size=3),
        DataLoader(tensors, batch_size=None),
        Endless(),
        DataLoader(Endless(), batch_size=4),
        torch.from_numpy(STACK),
    ]
    for source in sources:
        stream = image_stream(source, progress=False)
        for _ in range(2):  # all of them can be read again
            np.testing.assert_array_equal(np.concatenate(list(stream)), STACK)
            assert stream.count == 10


def test_loader_with_processes(photos: Photos) -> None:
    np.testing.assert_array_equal(read(DataLoader(photos, batch_size=4, collate_fn=collate, num_workers=1)), STACK)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda image: image,
        lambda image: (image, 3),
        lambda image: [image, "cat"],
        lambda image: {"label": 3, "image": image},
        lambda image: {"pixel_values": image},
        lambda image: ({"img": image}, 3),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda image: image,
        lambda image: image.transpose(1, 2, 0),
        lambda image: torch.from_numpy(image),
        lambda image: torch.from_numpy(image).permute(1, 2, 0).clone().requires_grad_(False),
        lambda image: Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))),
    ],
)
def test_items(wrap: Any, make: Any) -> None:
    items = [wrap(make(image)) for image in STACK]
    for source in (items, tuple(items), Rows(items), iter(items), (item for item in items)):
        np.testing.assert_array_equal(read(source), STACK)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_stay_as_they_are(kind: Any) -> None:
    floats = FLOATS.astype(kind)
    for source in (
        floats,
        list(floats),
        torch.from_numpy(floats),
        Rows(torch.from_numpy(floats)),
        [floats[:4], floats[4:]],
    ):
        found = read(source)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, floats)


def test_kinds_of_tensors() -> None:
    brain = torch.from_numpy(FLOATS).to(torch.bfloat16)
    np.testing.assert_array_equal(read(Rows(brain)), brain.float().numpy())
    np.testing.assert_array_equal(read([torch.nn.Parameter(torch.from_numpy(image)) for image in FLOATS]), FLOATS)


def test_gray() -> None:
    gray = noise(4, 6, 7)
    for source in (list(gray), gray[:, None], [Image.fromarray(image) for image in gray], [gray[0], gray[1:, None]]):
        np.testing.assert_array_equal(read(source, channels=1), gray[:, None])


@given(st.lists(st.lists(st.integers(0, 255), min_size=3, max_size=3), min_size=1, max_size=9))
def test_rgb_bytes_become_gray_as_pillow_makes_them(pixels: list[list[int]]) -> None:
    rgb = np.array(pixels, np.uint8)[None]
    found = match_channels(rgb.transpose(2, 0, 1)[None], 1, "x")
    np.testing.assert_array_equal(found[0, 0], np.asarray(Image.fromarray(rgb).convert("L")))


def test_named_sets_and_image_sets() -> None:
    photos = load_images("photos", "test")
    for source, options in (("photos", {"split": "test"}), (photos, {}), (photos.images, {})):
        np.testing.assert_array_equal(read(source, **options), photos.images)
    stream = image_stream(photos)
    assert (stream.name, stream.channels) == ("photos", 3)
    relabelled = ImageSet("x", "train", photos.images, None, (), photos.mean, photos.std)
    assert image_stream(relabelled).fingerprint == stream.fingerprint  # labels and names decide nothing


def test_files_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(STACK.transpose(0, 2, 3, 1)))
    np.savez(tmp_path / "c.npz", x_train=STACK, x_test=STACK[:2])
    prints = set()
    for name in ("a.npy", "b.npy", "c.npz"):
        stream = image_stream(tmp_path / name, progress=False)
        np.testing.assert_array_equal(np.concatenate(list(stream)), STACK)
        assert stream.name == name
        prints.add(stream.fingerprint)
    assert prints == {image_stream(STACK).fingerprint}
    np.testing.assert_array_equal(read(tmp_path / "c.npz", split="test"), STACK[:2])
    with pytest.raises(InputError, match=r"split is 'test', but .*a\.npy holds train"):
        image_stream(tmp_path / "a.npy", split="test")


def test_fingerprint_of_arrays() -> None:
    other = STACK.copy()
    other[9, 2, 5, 6] ^= 1
    prints = [
        image_stream(source, **options).fingerprint
        for source, options in [
            (STACK, {}),
            (other, {}),
            (STACK[:9], {}),
            (STACK.reshape(10, 3, 7, 6), {}),
            (STACK.astype(np.float32), {}),
            (STACK, {"channels": 1}),
            (STACK, {"crop": 5}),
            (STACK, {"resize": 5}),
        ]
    ]
    assert len(set(prints)) == len(prints)
    assert image_stream(STACK.astype(">f4")).fingerprint == image_stream(STACK.astype("<f4")).fingerprint
    assert image_stream([STACK]).fingerprint is None


def test_large_arrays_come_in_bounded_stacks_without_a_copy(tmp_path: Path) -> None:
    large = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(700, 3, 200, 200))
    stacks = list(image_stream(large, progress=False))
    assert sum(map(len, stacks)) == 700
    assert max(stack.nbytes for stack in stacks) <= 32 << 20
    assert all(np.shares_memory(stack, large) for stack in stacks)
    batches = list(image_stream([large], progress=False, layout="NCHW"))
    assert max(stack.nbytes for stack in batches) <= 32 << 20


def test_a_buffer_that_is_used_again_does_no_harm() -> None:
    class Reused(Rows):
        buffer = np.empty((3, 6, 7), np.uint8)

        def __getitem__(self, index: int) -> np.ndarray:
            self.buffer[:] = self.items[index]
            return self.buffer

    np.testing.assert_array_equal(read(Reused(STACK)), STACK)


def test_resize_and_crop() -> None:
    images = [Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))) for image in STACK]
    expected = np.stack([np.asarray(image.resize((5, 5), Image.Resampling.BICUBIC)) for image in images])
    expected = expected[:, 1:4, 1:4].transpose(0, 3, 1, 2)
    for source in (STACK, images, list(STACK), Rows(torch.from_numpy(STACK))):
        np.testing.assert_array_equal(read(source, resize=(5, 5), crop=3), expected)
    np.testing.assert_array_equal(read(list(FLOATS), crop=(4, 7)), FLOATS[:, :, 1:5])
    with pytest.raises(InputError, match="array: images are too small: 7 x 6 pixels, crop 8 x 8"):
        image_stream(STACK, crop=8)
    for source in (FLOATS, list(FLOATS)):
        with pytest.raises(InputError, match="resize is 4, for 8-bit images; these are"):
            list(image_stream(source, resize=4, progress=False))


def test_broken_items_are_left_out_of_indexed_data_sets(photos: Photos) -> None:
    photos.paths[3].write_bytes(b"")
    photos.paths[5].unlink()
    stream = image_stream(photos, progress=False)
    np.testing.assert_array_equal(np.concatenate(list(stream)), STACK[[0, 1, 2, 4, 6, 7, 8, 9]])
    assert [name for name, _ in stream.broken] == ["item 3", "item 5"]
    assert "; 2 broken images left out: item 3 (cannot identify" in stream.summary()
    with pytest.raises(SourceError, match="Photos: item 3 cannot be read"):
        list(image_stream(photos, strict=True, progress=False))


def test_errors_of_the_data_set_itself_are_not_hidden() -> None:
    class Wrong(Rows):
        def __getitem__(self, index: int) -> Any:
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        list(image_stream(Wrong(STACK), progress=False))


def test_iterators_can_be_read_once() -> None:
    stream = image_stream(iter(STACK), progress=False)
    assert sum(map(len, stream)) == 10
    with pytest.raises(InputError, match="has been read and cannot be read again"):
        next(iter(stream))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "list holds no images; expected at least one"),
        (["a.png"], "item 0 is or begins with a str; expected an array"),
        ([(3, 4)], "item 0 is or begins with a int"),
        ([{"photo": STACK[0], "y": 1}], "item 0 is or begins with a dict with photo, y; expected"),
        (
            [STACK[0], STACK[0].astype(float)],
            "item 1: float64 after images of uint8; expected the same type throughout",
        ),
        ([STACK[0].astype("i8")], "item 0: dtype int64 is not accepted"),
        ([STACK[0, :2]], "item 0: images of uint8 with 2 channels; expected 3: give images with as many"),
        ([STACK[0], STACK[0, 0]], "item 1: images of uint8 with 1 channel; expected 3: give images with as many"),
        ([noise(4, 4, 4)], "give --layout NCHW or --layout NHWC"),
        ([np.full((3, 8, 8), np.nan)], "item 0: image 0 has values that are NaN"),
        ([STACK[0, 0, 0]], "item 0: shape"),
    ],
)
def test_refused_items(items: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        list(image_stream(items, progress=False))
    assert "\n" not in str(caught.value)


def test_layout_settles_what_shapes_do_not() -> None:
    image = noise(4, 4, 4)
    np.testing.assert_array_equal(read([image], channels=4, layout="NHWC")[0], image.transpose(2, 0, 1))
    np.testing.assert_array_equal(read(image[None], channels=4, layout="NCHW")[0], image)
