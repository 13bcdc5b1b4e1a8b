"""The file of moments is the same bytes, whatever engine, workers, order, interruptions, time and place."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight import cli
from firstlight.utils.npz import write_npz

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(40):
        path = tmp_path / "here" / "photos" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    (tmp_path / "here" / "photos" / "broken.png").write_bytes(b"no image")
    (tmp_path / "here" / "photos" / "notes.txt").write_bytes(b"notes")
    return tmp_path / "here" / "photos"


def digest(photos: Path, *options: str, out: str = "m.npz", code: int = 0) -> str:
    target = photos.parent / out
    target.unlink(missing_ok=True)
    command = ["moments", str(photos), "--kernel-size", "3", "--out", str(target), *options]
    assert cli.main(command) == code
    return hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""


@pytest.mark.parametrize("settings", [(), ("--max-distance", "2"), ("--stride", "2", "--channels", "1")])
def test_local_bootstrap_dask_resumed_and_elsewhere_are_the_same_file(photos: Path, monkeypatch, settings):
    expected = digest(photos, *settings)
    assert expected == digest(photos, *settings, "--workers", "1", "--images-per-shard", "3")
    assert expected == digest(photos, *settings, "--workers", "2", "--images-per-shard", "7", out="n.npz")
    assert expected == digest(photos, *settings, "--stderr", "--blocks", "8")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("firstlight.patches.out_of_core.accumulate.STATE_SECONDS", 0)
        patch.setattr("firstlight.patches.out_of_core.accumulate.ImageProgress.update", interrupt)
        assert digest(photos, *settings, "--images-per-shard", "3", code=130) == ""
    assert (photos.parent / "m.npz.part").exists()
    assert expected == digest(photos, *settings, "--images-per-shard", "3")

    copy = shutil.copytree(photos, photos.parents[1] / "there" / "photos", copy_function=shutil.copyfile)
    for path in copy.iterdir():
        os.utime(path, (1.0, 1.0))
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert expected == digest(copy, *settings)


def test_so_are_those_of_a_dask_cluster(photos: Path):
    pytest.importorskip("distributed")
    assert digest(photos) == digest(photos, "--engine", "dask", "--workers", "2", "--images-per-shard", "5")


def test_other_pixels_are_another_file(photos: Path):
    before = digest(photos)
    Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photos / "0.png")
    assert digest(photos) != before


def test_an_archive_depends_on_nothing_but_its_arrays(tmp_path: Path):
    array = np.arange(200, dtype="<i8").reshape(20, 10)
    write_npz(tmp_path / "a.npz", {"x": array, "y": array[0]}, {"format": 1})
    write_npz(tmp_path / "b.npz", {"x": np.asfortranarray(array), "y": array[:1].ravel()}, {"format": 1})
    found = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.npz", "b.npz")}
    assert found == {"4c59afa6220141dcea7d2b345807b28afbab89aed880c3f812a65867e9cc3075"}
    np.testing.assert_array_equal(np.load(tmp_path / "b.npz")["x"], array)
