import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import firstlight.images
from firstlight.errors import InputError, SourceError
from firstlight.images import ImageSet, data_sets, fetch, load_images
from firstlight.images.cifar import CIFAR, CIFAR10, CifarDefinition, Pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture(scope="module")
def cifar10() -> ImageSet:
    """The real thing, from the default cache or fetched into it."""
    try:
        return load_images("cifar10")
    except SourceError as error:
        pytest.skip(str(error))


def test_cifar10_is_the_published_one(cifar10: ImageSet) -> None:
    test = load_images("cifar10", "test")
    for images, labels in ((cifar10.images, cifar10.labels), (test.images, test.labels)):
        assert labels is not None
        pixels = Pixels(images.transpose(0, 2, 3, 1), labels.astype(np.uint8))
        split = "train" if len(labels) == 50_000 else "test"
        assert CIFAR10.check(split, pixels) == CIFAR10.digests[split]
        assert np.bincount(labels).tolist() == [len(labels) // 10] * 10
    assert cifar10.labels is not None
    assert cifar10.labels.dtype == np.int64
    assert [cifar10.classes[label] for label in cifar10.labels[:5]] == [
        "frog",
        "truck",
        "truck",
        "deer",
        "automobile",
    ]
    assert repr(test) == "ImageSet('cifar10', test: 10000 images of 3x32x32, uint8, 10 classes)"
    assert isinstance(cifar10.images.base, np.memmap)


def test_cifar10_has_the_customary_normalisation(cifar10: ImageSet) -> None:
    from firstlight.images.imageset import channel_statistics

    mean, std = channel_statistics(cifar10.images)
    np.testing.assert_allclose(cifar10.mean, mean, atol=1e-4)
    np.testing.assert_allclose(cifar10.std, std, atol=1e-4)


def test_named_cifar_through_the_public_door(
    small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CIFAR, "cifar10", small)
    assert fetch("cifar10", data_dir=tmp_path) == tmp_path / "cifar10"
    test = load_images("cifar10", "test", data_dir=tmp_path)
    assert np.array_equal(test.images, splits["test"].images.transpose(0, 3, 1, 2))
    assert (test.mean, test.std, test.classes) == (CIFAR10.mean, CIFAR10.std, CIFAR10.classes)
    present = {info.name: info.present for info in data_sets(tmp_path)}
    assert present == {"cifar10": True, "cifar100": False, "photos": True}


def test_photos() -> None:
    assert load_images("photos", "test").name == "photos"
    assert (fetch("photos") / "coffee.png").is_file()


@pytest.mark.parametrize("as_path", [str, Path])
def test_files(tmp_path: Path, as_path: type) -> None:
    path = tmp_path / "mine.npy"
    np.save(path, IMAGES)
    found = load_images(as_path(path), labels=LABELS)
    assert found.name == "mine.npy"
    assert np.array_equal(found.images, IMAGES)
    assert found.classes == ("0", "1", "2")
    with pytest.raises(InputError, match=r"mine\.npy holds no test images"):
        load_images(as_path(path), "test")
    np.save(tmp_path / "labels.npy", LABELS)
    assert load_images(path, labels=as_path(tmp_path / "labels.npy")).fingerprint == found.fingerprint
    with pytest.raises(InputError, match=r"labels file .*none\.npy does not exist"):
        load_images(path, labels=as_path(tmp_path / "none.npy"))


def test_arrays() -> None:
    found = load_images(IMAGES, labels=LABELS.tolist())
    assert found.name == "array"
    assert np.shares_memory(found.images, IMAGES)
    assert load_images(found) is found
    assert load_images(IMAGES.transpose(0, 2, 3, 1), layout="NHWC", labels=LABELS).fingerprint == found.fingerprint
    with pytest.raises(InputError, match="array holds no test images"):
        load_images(IMAGES, "test")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cifar-10", "did you mean 'cifar10'"), ("CIFAR100", "did you mean 'cifar100'"), ("mnist", "")],
)
def test_unknown_names(name: str, hint: str) -> None:
    for load in (load_images, fetch):
        with pytest.raises(InputError, match="no data set is called") as caught:
            load(name)
        assert f"no data set is called '{name}'" in str(caught.value)
        assert "cifar10, cifar100, photos, and a path to a .npy or .npz file" in str(caught.value)
        assert hint in str(caught.value)
        assert ("did you mean" in str(caught.value)) == bool(hint)


def test_what_is_no_source() -> None:
    with pytest.raises(InputError, match=r"source is a list, .*; expected a name, a .npy or .npz file, a folder"):
        load_images([1, 2])
    with pytest.raises(InputError, match="split is 'val'; expected 'train' or 'test'"):
        load_images("photos", "val")
    with pytest.raises(InputError, match="labels= and layout= are for arrays and files, but the source is photos"):
        load_images("photos", labels=LABELS)
    with pytest.raises(InputError, match="but the source is an ImageSet"):
        load_images(load_images(IMAGES), layout="NCHW")


def test_data_sets_names_what_can_be_loaded(cache: Path) -> None:
    infos = data_sets()
    assert [info.name for info in infos] == ["cifar10", "cifar100", "photos"]
    assert infos[0].location == cache / "cifar10"
    assert not infos[0].present
    assert infos[0].size == "50,000 train and 10,000 test images of 3x32x32, 184 MB"
    assert not cache.exists()


def test_import_is_light() -> None:
    assert set(firstlight.images.__all__) >= {"ImageSet", "load_images", "data_sets", "fetch", "cache_dir"}
    heavy = {"torch", "pyarrow", "PIL", "pooch", "requests", "skimage", "numba", "pandas", "rich", "filelock"}
    code = f"import sys, firstlight.images; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
