import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import firstlight as fl
from firstlight.errors import InputError
from firstlight.images import image_stream, load_images, shards_of
from firstlight.images.array_files import read_array_file

IMAGES = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)
LABELS = np.array([1, 0])


class Bomb:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def save_npz(path: Path, arrays: dict[str, np.ndarray], compressed: bool = False) -> None:
    save: Callable[..., None] = np.savez_compressed if compressed else np.savez
    save(path, **arrays)


def test_npy_is_memory_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    parts = read_array_file(tmp_path / "a.npy")
    assert list(parts) == ["train"]
    assert isinstance(parts["train"].images, np.memmap)
    assert not parts["train"].images.flags.writeable
    assert np.array_equal(parts["train"].images, IMAGES)
    assert parts["train"].labels is None


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("images", "labels"), ["train"]),
        (("train_images", "train_labels", "test_images", "test_labels"), ["train", "test"]),
        (("x_train", "y_train", "x_test", "y_test"), ["train", "test"]),
        (("x_train", "y_train"), ["train"]),
        (("whatever", "other"), ["train"]),
    ],
)
def test_npz_namings(tmp_path: Path, names: tuple[str, ...], splits: list[str], compressed: bool) -> None:
    path = tmp_path / "a.npz"
    arrays = {name: (LABELS if index % 2 else IMAGES + index) for index, name in enumerate(names)}
    save_npz(path, arrays, compressed)
    parts = read_array_file(path)
    assert list(parts) == splits
    assert np.array_equal(parts["train"].images, IMAGES)
    if names[0] == "whatever":
        assert parts["train"].labels is None
    else:
        assert np.array_equal(parts["train"].labels, LABELS)
    if "test" in splits:
        assert np.array_equal(parts["test"].images, IMAGES + 2)
        assert np.array_equal(parts["test"].labels, LABELS)


RGB, GRAY = (np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8) for shape in ((9, 8, 8, 3), (9, 28, 6)))
COLUMN, SEVERAL = np.arange(9)[:, None] % 4, np.ones((9, 14), np.uint8)


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (("x_train", "y_train", "x_test", "y_test"), RGB),
        (("X_train", "Y_train", "X_test", "Y_test"), RGB),
        (("x_train", "y_train", "x_test", "y_test"), GRAY),
        (("train_images", "train_labels", "test_images", "test_labels"), GRAY),
        (("images", "labels"), GRAY[:2]),
    ],
)
def test_files_of_keras_and_medmnist(tmp_path: Path, names: tuple[str, ...], images: np.ndarray) -> None:
    labels = COLUMN[: len(images)]
    save_npz(
        tmp_path / "a.npz", {name: labels if "l" in name[1:] or "y_" in name.lower() else images for name in names}
    )
    found = load_images(tmp_path / "a.npz")
    assert found.labels is not None
    assert found.labels.tolist() == labels[:, 0].tolist()
    wanted = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
    np.testing.assert_array_equal(found.images, wanted)
    np.testing.assert_array_equal(load_images(tmp_path / "a.npz", layout="NHWC").images, wanted)
    stream = image_stream(tmp_path / "a.npz", channels=wanted.shape[1], progress=False)
    np.testing.assert_array_equal(np.concatenate(list(stream)), wanted)


@pytest.mark.parametrize("layout", [None, "NCHW", "NHWC"])
def test_gray_images_of_a_npy_file_in_one_array_a_stream_and_shards(tmp_path: Path, layout: str | None) -> None:
    np.save(tmp_path / "a.npy", GRAY)
    options: dict = {"channels": 1, "layout": layout}
    shards = shards_of(tmp_path / "a.npy", images_per_shard=4, **options)
    for found in (
        load_images(tmp_path / "a.npy", layout=layout).images,
        np.concatenate(list(image_stream(tmp_path / "a.npy", progress=False, **options))),
        np.concatenate([stack for shard in shards for stack in shard.stacks()]),
    ):
        np.testing.assert_array_equal(found, GRAY[:, None])


@pytest.mark.parametrize("shape", [(3, 28, 28), (28, 28, 3)])
def test_what_may_be_a_single_image_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.ones(shape, np.uint8))
    with pytest.raises(InputError, match="has 3 axes"):
        load_images(tmp_path / "a.npy")


def test_labels_that_are_no_class_numbers_cost_nothing_where_none_are_needed(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", {"train_images": RGB, "train_labels": SEVERAL})
    with pytest.raises(InputError, match=r"labels have shape \(9, 14\)"):
        load_images(tmp_path / "a.npz")
    assert load_images(tmp_path / "a.npz", labels=False).labels is None
    assert fl.autocorrelation(np.ones((2, 3, 3, 3)), tmp_path / "a.npz", max_distance=1) is not None


def test_npz_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES)
    assert read_array_file(tmp_path / "a.npz")["train"].labels is None


@pytest.mark.parametrize("arrays", [{}, {"a": LABELS}, {"a": IMAGES, "b": IMAGES}])
def test_npz_without_one_set_of_images(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    with pytest.raises(InputError, match=f"holds {', '.join(arrays) or 'nothing'}; expected images and labels"):
        read_array_file(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kept", [0, 1, 60, 0.5, 0.99])
def test_files_cut_off(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a{suffix}"
    np.save(path, IMAGES) if suffix == ".npy" else np.savez_compressed(path, images=IMAGES)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else kept * len(content))])
    refused(path, "cannot be read as a")


def test_npz_with_damaged_content(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=IMAGES)
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    refused(path, "cannot be read as a .npz file")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_other_content(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("these are not the images you are looking for")
    refused(path, "cannot be read as a")


@pytest.mark.parametrize("form", ["plain.npy", "plain.npz", "object.npy", "object.npz"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, form: str) -> None:
    path, mark = tmp_path / form, tmp_path / "mark"
    bombs = np.array([Bomb(mark)], dtype=object)
    if form.startswith("plain"):
        path.write_bytes(pickle.dumps(Bomb(mark), protocol=4))
    elif path.suffix == ".npy":
        np.save(path, bombs, allow_pickle=True)
    else:
        np.savez(path, images=bombs)
    refused(path, "holds pickled Python objects")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb does go off where it is let


def test_missing_file_folder_and_other_suffix(tmp_path: Path) -> None:
    refused(tmp_path / "none.npy", "does not exist; expected a .npy or .npz file")
    (tmp_path / "folder.npy").mkdir()
    refused(tmp_path / "folder.npy", "is a folder")
    refused(tmp_path / "photo.jpg", "is not a file that images are read from; expected .npy or .npz")


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_array_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
