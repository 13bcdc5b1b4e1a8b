"""The original files of CIFAR as a user has them: archives and folders, by `--data` and by `--data-dir`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.images.conftest import Web
from tests.images.originals import binary_batch, python2_batch, tarball

from firstlight.cli import main
from firstlight.errors import SourceError
from firstlight.images import load_splits, recognise
from firstlight.images.cifar import CIFAR, CIFAR100, CifarDefinition, Pixels
from firstlight.images.cifar.obtain import fetch_cifar, load_cifar
from firstlight.images.cifar.tarballs import archive_names

FORMS = ("python", "binary")


@pytest.fixture
def cifar100(
    splits: dict[str, Pixels], small: CifarDefinition, monkeypatch: pytest.MonkeyPatch
) -> dict[str, CifarDefinition]:
    """CIFAR-100's definition with the counts and classes of the small set, instead of the real one."""
    made = replace(CIFAR100, counts=small.counts, classes=small.classes, hub_urls=small.hub_urls, digests=small.digests)
    monkeypatch.setitem(CIFAR, "cifar100", made)
    return {"cifar100": made}


def batches(splits: dict[str, Pixels], form: str) -> dict[str, bytes]:
    """The two files of CIFAR-100, by their path in its archive."""
    if form == "binary":
        return {f"cifar-100-binary/{split}.bin": binary_batch(pixels, 2) for split, pixels in splits.items()}
    return {f"cifar-100-python/{split}": python2_batch(pixels, b"fine_labels") for split, pixels in splits.items()}


def write(folder: Path, splits: dict[str, Pixels], form: str, packed: bool) -> Path:
    """An archive, or the folder that it becomes when it is unpacked."""
    files = batches(splits, form)
    if packed:
        path = folder / f"cifar-100-{form}.tar.gz"
        path.write_bytes(tarball({"cifar-100/readme": b"", **files}))
        return path
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / f"cifar-100-{form}"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_they_are_the_named_set(cifar100, splits, tmp_path: Path, web: Web, form: str, packed: bool) -> None:
    path = write(tmp_path, splits, form, packed)
    for given, data_dir in ((path, None), (str(path), None), ("cifar100", path), ("cifar100", tmp_path)):
        for found, pixels in zip(load_splits(given, data_dir), splits.values(), strict=True):
            assert found.name == "cifar100"
            assert (found.mean, found.std, found.classes) == (CIFAR100.mean, CIFAR100.std, cifar100["cifar100"].classes)
            assert np.array_equal(found.images, pixels.images.transpose(0, 3, 1, 2))
            assert found.labels is not None
            assert np.array_equal(found.labels, pixels.labels)
    assert fetch_cifar(cifar100["cifar100"], path) == path
    assert web.asked == []
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_dir()) == ([] if packed else [path.name])


def test_the_names_are_those_of_the_original_host() -> None:
    assert archive_names(CIFAR100) == ("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz")
    assert archive_names(CIFAR["cifar10"]) == ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")


@pytest.mark.parametrize("fault", ["cut", "no test batch", "half a batch", "other labels"])
@pytest.mark.parametrize("by", ["data", "data-dir"])
def test_a_damaged_archive_is_named_and_nothing_is_fetched(
    cifar100, splits, tmp_path: Path, web: Web, capsys: pytest.CaptureFixture[str], fault: str, by: str
) -> None:
    path = write(tmp_path, splits, "python", packed=True)
    files = batches(splits, "python")
    name = "cifar-100-python/test"
    content, said = {
        "cut": (path.read_bytes()[:-1000], "the archive is damaged"),
        "no test batch": (tarball({key: files[key] for key in files if key != name}), f"has no plain file {name}"),
        "half a batch": (tarball({**files, name: files[name][:1000]}), f"{name}: not a readable Python batch"),
        "other labels": (
            tarball({**files, name: files[name.replace("test", "train")]}),
            "test images and labels have shapes (200, 32, 32, 3)",
        ),
    }[fault]
    path.write_bytes(content)
    given = ["--data", str(path)] if by == "data" else ["--data", "cifar100", "--data-dir", str(path)]
    assert main(["reproduce", "label-correlation", *given, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"firstlight: error: {path}: ")
    assert said in error
    assert web.asked == []


def test_a_folder_without_its_test_batch(cifar100, splits, tmp_path: Path) -> None:
    folder = write(tmp_path, splits, "python", packed=False)
    (folder / "test").unlink()
    with pytest.raises(SourceError, match="has no test batches; expected all of CIFAR-100: copy the others there"):
        load_splits(folder)


def test_a_data_dir_that_is_another_file_is_refused(cifar100, tmp_path: Path, web: Web) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"expected one of the original archives, cifar-100-python\.tar\.gz or"):
        load_cifar(cifar100["cifar100"], "train", tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert web.asked == []


def test_an_archive_is_recognised_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python.tar.gz").touch()
    assert recognise(tmp_path / "cifar-100-python.tar.gz").kind == "an archive of CIFAR-100"
