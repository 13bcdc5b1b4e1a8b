"""Labelled images in folders, as users have them: what works, and what is one line that says what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import firstlight as fl
from firstlight.cli import main
from firstlight.images import class_folders, load_splits
from firstlight.images.photos import load_photos
from firstlight.training import train_all
from firstlight.training.outcome import DataPlaces

PHOTOS = {split: load_photos(split) for split in ("train", "test")}
CLASSES = ("astronaut", "cat", "coffee")


def fill(folder: Path, split: str, count: int, classes: tuple[str, ...] = CLASSES, mode: str = "RGB") -> None:
    """So many photographs of each class, as PNG files in a folder a class."""
    photos = PHOTOS[split]
    assert photos.labels is not None
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(photos.images[photos.labels == photos.classes.index(name)][:count]):
            picture = Image.fromarray(image.transpose(1, 2, 0)).convert(mode)
            picture.save(folder / name / f"{number:04}.png")


def splits(at: Path, count: int = 20, mode: str = "RGB", test: str = "test") -> Path:
    fill(at / "mine" / "train", "train", count, mode=mode)
    fill(at / "mine" / test, "test", max(1, count // 4), mode=mode)
    return at / "mine"


def pixels(images: fl.ImageSet) -> set[tuple[bytes, str]]:
    """Every image with the name of its class, whatever the order."""
    assert images.labels is not None
    return {(image.tobytes(), images.classes[label]) for image, label in zip(images.images, images.labels, strict=True)}


def expected(split: str, count: int) -> set[tuple[bytes, str]]:
    photos = PHOTOS[split]
    assert photos.labels is not None
    chosen = [(name, photos.images[photos.labels == photos.classes.index(name)][:count]) for name in CLASSES]
    return {(image.tobytes(), name) for name, images in chosen for image in images}


@pytest.mark.parametrize("test", ["test", "val", "Validation", "testing"])
def test_splits_and_classes_are_those_of_the_folders(test: str, tmp_path: Path) -> None:
    train_set, test_set = load_splits(splits(tmp_path, test=test))
    assert pixels(train_set) == expected("train", 20)
    assert pixels(test_set) == expected("test", 5)
    assert train_set.classes == test_set.classes == CLASSES
    assert (train_set.name, train_set.split, test_set.split) == ("mine", "train", "test")
    assert train_set.mean == test_set.mean == pytest.approx(train_set.images.mean((0, 2, 3)) / 255)
    assert train_set.std == test_set.std == pytest.approx(train_set.images.std((0, 2, 3)) / 255)


def test_other_folders_beside_the_splits_are_left_out(tmp_path: Path) -> None:
    folder = splits(tmp_path)
    fill(folder / "val", "test", 3)
    fill(folder / "extra", "train", 3)
    assert [len(part) for part in load_splits(folder)] == [60, 15]


def test_the_first_images_stand_for_all(tmp_path: Path) -> None:
    """Not those of the first class, by which files are listed; and the names of files do not matter."""
    folder = splits(tmp_path)
    train_set, _ = load_splits(folder)
    assert train_set.labels is not None
    assert set(train_set.labels[:15]) == {0, 1, 2}
    for path in sorted((folder / "train").rglob("*.png")):
        path.rename(path.with_name(f"{9999 - int(path.stem)}.PNG"))
    assert load_splits(folder)[0].fingerprint == train_set.fingerprint


def test_without_splits_the_pixels_draw_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "mine", "train", 200)
    train_set, test_set = load_splits(tmp_path / "mine")
    assert len(train_set) + len(test_set) == 600
    assert 70 < len(test_set) < 130  # one in six, give or take three standard deviations
    assert pixels(train_set) | pixels(test_set) == expected("train", 200)
    counts = f"{len(train_set)} images for training and {len(test_set)} for testing"
    assert capsys.readouterr().err.count(counts) == 1
    fill(tmp_path / "mine", "train", 250)  # more images change nothing about those that were there
    assert pixels(test_set) < pixels(load_splits(tmp_path / "mine")[1])


def test_gray_images_have_one_channel_and_alpha_is_dropped(tmp_path: Path) -> None:
    gray = load_splits(splits(tmp_path / "gray", mode="L"))
    assert [part.images.shape[1] for part in gray] == [1, 1]
    assert len(gray[0].mean) == 1
    (path,) = {
        path for path in (tmp_path / "gray").rglob("0000.png") if path.parent.name == "cat" and "train" in str(path)
    }
    with Image.open(path) as picture:
        assert np.asarray(picture).tobytes() in {image.tobytes() for image in gray[0].images}
    alpha = load_splits(splits(tmp_path / "alpha", mode="RGBA"))
    assert pixels(alpha[0]) == expected("train", 20)


def test_a_class_may_be_missing_in_the_test_split(tmp_path: Path) -> None:
    fill(tmp_path / "mine" / "train", "train", 20)
    fill(tmp_path / "mine" / "test", "test", 5, CLASSES[1:])
    assert load_splits(tmp_path / "mine")[1].classes == CLASSES


def test_a_folder_called_like_a_known_set_is_not_taken_for_it(tmp_path: Path) -> None:
    splits(tmp_path).rename(tmp_path / "photos")
    assert load_splits(tmp_path / "photos")[0].name == "photos/"
    assert DataPlaces.of({"photos/": tmp_path / "photos", "photos": "photos"}, None).sources == {
        "photos/": str(tmp_path / "photos"),
        "photos": "photos",
    }


def test_it_is_trained_on_here_and_in_other_processes(tmp_path: Path) -> None:
    folder = splits(tmp_path)
    sets = load_splits(folder)
    options = {"steps": 1, "batch_size": 16, "test_images": 15}
    specs = [fl.RunSpec.for_data("resnet20", *sets, seed=seed, **options) for seed in (0, 1)]
    for number, jobs in enumerate((1, 2)):
        outcomes = train_all(
            specs, {"mine": sets}.__getitem__, tmp_path / str(number), device="cpu", jobs=jobs, sources={"mine": folder}
        )
        assert [outcome.failure for outcome in outcomes] == ["", ""]


def stray(at: Path) -> None:
    fill(at / "mine" / "train", "train", 2)
    fill(at / "mine" / "test", "test", 2)
    (at / "mine" / "train" / "cat" / "0000.png").rename(at / "mine" / "train" / "0000.png")


def two_sizes(at: Path) -> None:
    Image.new("RGB", (36, 40)).save(splits(at) / "train" / "cat" / "wide.png")


def broken(at: Path) -> None:
    (splits(at) / "train" / "cat" / "0003.png").write_bytes(b"\x89PNG\r\n")


def only_in_test(at: Path) -> None:
    fill(splits(at) / "test", "test", 2, ("rocket",))


def nested(at: Path) -> None:
    fill(at / "mine" / "inner" / "train", "train", 2)


def flat(at: Path) -> None:
    fill(at, "train", 2, ("cat",))
    (at / "cat").rename(at / "mine")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folders": (
        flat,
        "0000.png lies in no folder of a class; expected FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE: move it",
    ),
    "no test": (
        lambda at: fill(at / "mine" / "train", "train", 3),
        "has a folder train but none of test images; expected FOLDER/train/CLASS/IMAGE and FOLDER/test/CLASS/IMAGE: ",
    ),
    "no train": (lambda at: fill(at / "mine" / "val", "test", 3), "has a folder val but none of train images"),
    "nested": (nested, "has its train and test images deeper, as inner/train/astronaut/0000.png; expected"),
    "in no class": (stray, "train/0000.png lies in no folder of a class"),
    "a class in the test split alone": (
        only_in_test,
        "has test images of 'rocket' but no train images; expected the same",
    ),
    "two sizes": (two_sizes, "wide.png has 40 x 36 pixels, but test/astronaut/0000.png 32 x 32; expected one size"),
    "broken": (broken, "cat/0003.png cannot be read (cannot identify image file); expected all images of"),
    "few": (lambda at: splits(at), "data 'mine' has 60 training images of 3 classes; expected at least 256"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_on_is_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, message = REFUSED[case]
    make(tmp_path)
    given = ["--data", str(tmp_path / "mine"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["reproduce", "label-correlation", *given]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("firstlight: error: ")
    assert message in error


def test_what_does_not_fit_into_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allocate = np.empty

    def full(shape: Any, **options: Any) -> np.ndarray:
        if shape == (15, 3, 32, 32):
            raise MemoryError
        return allocate(shape, **options)

    folder = splits(tmp_path, 4)
    monkeypatch.setattr(class_folders.np, "empty", full)
    with pytest.raises(fl.InputError, match=r"has 15 images of 32 x 32 pixels, 46,080 bytes; expected as many as fit"):
        load_splits(folder)


def test_labels_and_layout_are_not_for_folders(tmp_path: Path) -> None:
    with pytest.raises(fl.InputError, match="but the source is a folder of image files: leave them out"):
        fl.load_images(splits(tmp_path, 4), layout="NCHW")
