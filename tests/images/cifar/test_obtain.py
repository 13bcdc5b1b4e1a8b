import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.images.conftest import Web
from tests.images.originals import binary_batch, parquet, python2_batch

from firstlight.errors import SourceError
from firstlight.images.cache import temporary_cache
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.images.cifar.obtain import fetch_cifar, is_stored, load_cifar
from firstlight.utils.console import note_once

FILES = {f"{split}-{part}.npy" for split in ("train", "test") for part in ("images", "labels")}


def assert_loads(definition: CifarDefinition, splits: dict[str, Pixels], data_dir: Path | None = None) -> None:
    for split, pixels in splits.items():
        found = load_cifar(definition, split, data_dir)
        assert np.array_equal(found.images, pixels.images)
        assert np.array_equal(found.labels, pixels.labels)


def test_fetched_once_then_from_the_cache(
    small: CifarDefinition, splits: dict[str, Pixels], cache: Path, web: Web
) -> None:
    assert not is_stored(small)
    assert_loads(small, splits)
    assert web.asked == ["/train.parquet", "/test.parquet"]
    assert is_stored(small)
    assert fetch_cifar(small) == cache / "cifar10"
    assert_loads(small, splits)
    assert len(web.asked) == 2
    assert isinstance(load_cifar(small, "train").images, np.memmap)
    assert {path.name for path in (cache / "cifar10").iterdir()} == {*FILES, "provenance.json", ".lock"}
    provenance = json.loads((cache / "cifar10" / "provenance.json").read_text())
    assert provenance["source"] == "Hugging Face hub"
    assert provenance["sha256"]["test"]["labels"] == small.digests["test"].labels


@pytest.mark.parametrize("data_dir", ["file/x", "file"])
def test_a_cache_that_cannot_be_written_costs_one_warning_and_no_answer(
    small: CifarDefinition,
    splits: dict[str, Pixels],
    web: Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data_dir: str,
) -> None:
    (tmp_path / "file").write_text("")
    temporary_cache.cache_clear()
    note_once.cache_clear()
    monkeypatch.delenv("FIRSTLIGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / data_dir))
    assert_loads(small, splits)
    assert len(web.asked) == 2
    told = capsys.readouterr().err
    assert told.count("CIFAR-10 is not kept: the cache folder") == 1
    assert len(told.splitlines()) == 5  # and that each split is fetched, and was
    assert "name another with data_dir=" in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(SourceError, match="cannot be written"):
        fetch_cifar(small)  # which is asked to keep it


def test_fetch_alone_gets_both_splits(small: CifarDefinition, cache: Path) -> None:
    assert fetch_cifar(small) == cache / "cifar10"
    assert is_stored(small)


@pytest.mark.parametrize("fault", ["missing", "cut", "stall", "crawl", "pixels", "labels", "damaged"])
def test_a_source_that_fails_gives_way_to_the_next(
    small: CifarDefinition,
    splits: dict[str, Pixels],
    cache: Path,
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    images, labels = splits["test"]
    genuine = parquet(splits["test"])
    web.replies["/test.parquet"], reason = {
        "missing": (None, "404"),
        "cut": (web.cut_off(genuine), "the server broke off"),
        "stall": (web.stall, "silent for 1 s"),
        "crawl": (web.crawl, "not finished after 1 s"),
        "pixels": (parquet(Pixels(255 - images, labels)), "these are not the CIFAR-10 images"),
        "labels": (parquet(Pixels(images, labels[::-1])), "these are not the CIFAR-10 labels"),
        "damaged": (genuine[:-50], "Parquet file cannot be read"),
    }[fault]
    if fault == "missing":
        del web.replies["/test.parquet"]
    monkeypatch.setenv("FIRSTLIGHT_FETCH_LIMIT", "1" if fault in ("stall", "crawl") else "60")
    assert_loads(small, splits)
    assert web.asked == ["/train.parquet", "/test.parquet", "/archive.tar.gz"]
    assert json.loads((cache / "cifar10" / "provenance.json").read_text())["source"] == "original host"
    error = capsys.readouterr().err
    assert "CIFAR-10 cannot be had from the Hugging Face hub: " in error
    assert reason in error
    assert not list((cache / "cifar10").glob(".part-*"))


def test_when_every_source_fails_one_error_tells_all(small: CifarDefinition, cache: Path, web: Web) -> None:
    web.replies.clear()
    with pytest.raises(SourceError) as caught:
        load_cifar(small, "train")
    message = str(caught.value)
    assert "Hugging Face hub: the server answered 404" in message
    assert "original host: the server answered 404" in message
    assert "--data photos" in message
    assert "\n" not in message
    assert {path.name for path in (cache / "cifar10").iterdir()} <= {".lock"}


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "pickle", "provenance", "other provenance"])
def test_a_damaged_cache_is_named_and_fetched_anew(
    small: CifarDefinition,
    splits: dict[str, Pixels],
    cache: Path,
    web: Web,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    fetch_cifar(small)
    path = cache / "cifar10" / ("provenance.json" if "provenance" in damage else "train-images.npy")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[5000] ^= 1
    path.write_bytes(
        {
            "flip": content,
            "cut": content[:-1000],
            "empty": b"",
            "pickle": pickle.dumps([1]),
            "provenance": b"{",
            "other provenance": content.replace(small.digests["train"].images.encode(), b"0" * 64),
        }[damage]
    )
    web.asked.clear()
    capsys.readouterr()
    assert_loads(small, splits)
    assert f"CIFAR-10 in {cache / 'cifar10'} is not used: " in capsys.readouterr().err
    assert web.asked == ["/train.parquet", "/test.parquet"]
    assert_loads(small, splits)
    assert capsys.readouterr().err == ""


def test_without_published_digests_the_recorded_ones_protect(
    small: CifarDefinition, splits: dict[str, Pixels], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    balanced = replace(small, digests={})
    fetch_cifar(balanced)
    path = cache / "cifar10" / "train-images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert_loads(balanced, splits)
    assert "do not have the SHA-256 that provenance.json records" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["python", "binary", "own"])
@pytest.mark.parametrize("nested", [True, False])
def test_a_folder_of_the_users_is_taken_as_it_is(
    small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path, web: Web, form: str, nested: bool
) -> None:
    inner = {"python": small.python_folder, "binary": small.binary_folder, "own": "cifar10"}[form]
    folder = tmp_path / inner if nested else tmp_path
    folder.mkdir(exist_ok=True)
    for split, pixels in splits.items():
        if form == "own":
            np.save(folder / f"{split}-images.npy", pixels.images)
            np.save(folder / f"{split}-labels.npy", pixels.labels)
            continue
        names = (small.python_files if form == "python" else small.binary_files)[split]
        for index, name in enumerate(names):
            rows = np.array_split(np.arange(len(pixels.labels)), len(names))[index]
            part = Pixels(pixels.images[rows], pixels.labels[rows])
            (folder / name).write_bytes((python2_batch if form == "python" else binary_batch)(part))
    before = sorted(tmp_path.rglob("*"))
    assert_loads(small, splits, tmp_path)
    assert fetch_cifar(small, tmp_path) == folder
    assert web.asked == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_planted_pickle_is_refused_and_the_data_fetched(
    small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Planted:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "mark"),)

    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Planted()}, protocol=2))
    assert_loads(small, {"test": splits["test"]}, tmp_path)
    assert "mkdir, which no CIFAR batch needs" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()


LOAD = """
import os, pickle, sys, time
from firstlight.images.cifar.obtain import load_cifar
definition = pickle.load(open(sys.argv[1], "rb"))
before_hanging = int(sys.argv[2])
sync = os.fsync
def hang(descriptor):
    global before_hanging
    before_hanging -= 1
    if before_hanging == -1:
        print("hanging", flush=True)
        time.sleep(60)
    sync(descriptor)
os.fsync = hang
print(load_cifar(definition, "train").labels.sum())
"""


def start_loading(definition: CifarDefinition, folder: Path, before_hanging: int = 99) -> subprocess.Popen[str]:
    path = folder / "definition"
    path.write_bytes(pickle.dumps(definition))
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(path), str(before_hanging)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_download_once(
    small: CifarDefinition, splits: dict[str, Pixels], cache: Path, web: Web, tmp_path: Path
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    genuine = parquet(splits["train"])

    def reply(handler) -> None:
        asked.set()
        go_on.wait(30)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(genuine)))
        handler.end_headers()
        handler.wfile.write(genuine)

    web.replies["/train.parquet"] = reply
    with start_loading(small, tmp_path) as first:
        assert asked.wait(30)
        with start_loading(small, tmp_path) as second:
            assert second.stderr is not None
            assert "waiting for another process" in second.stderr.readline()
            go_on.set()
            total = int(splits["train"].labels.sum())
            assert (first.communicate()[0], second.communicate()[0]) == (f"{total}\n", f"{total}\n")
    assert (first.returncode, second.returncode) == (0, 0)
    assert web.asked == ["/train.parquet", "/test.parquet"]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("written", [0, 2, 4])
def test_killed_while_writing(
    small: CifarDefinition, splits: dict[str, Pixels], cache: Path, web: Web, tmp_path: Path, written: int
) -> None:
    with start_loading(small, tmp_path, written) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    folder = cache / "cifar10"
    assert len(list(folder.glob(".part-*"))) == 1
    assert len(list(folder.glob("*.npy"))) == written
    assert is_stored(small) is (written == 4)
    web.asked.clear()
    assert_loads(small, splits)
    assert len(web.asked) == (0 if written == 4 else 2)
    if written < 4:
        assert not list(folder.glob(".part-*"))
