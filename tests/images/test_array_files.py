import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firstlight.errors import InputError
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
