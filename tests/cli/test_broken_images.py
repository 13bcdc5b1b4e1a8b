"""`firstlight moments --broken`: what was left out, as a table, wherever it lay, and of runs that were stopped."""

import contextlib
import csv
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from firstlight.cli import main
from firstlight.images import shards_of
from firstlight.patches.out_of_core.accumulate import accumulate
from firstlight.patches.out_of_core.total import Total

HEADER = ["name", "kind", "reason"]


def png(index: int, side: int = 12) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(index).integers(0, 256, (side, side, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def contents(count: int, broken: int) -> list[bytes]:
    """The first is too small, the next ones are no images."""
    return [png(0, 2), *(b"none" for _ in range(broken - 1)), *(png(index) for index in range(broken, count))]


def write_folder(place: Path, images: list[bytes]) -> Path:
    place.mkdir()
    for number, content in enumerate(images):
        (place / f"{number:03}.png").write_bytes(content)
    return place


def write_tar(place: Path, images: list[bytes]) -> Path:
    with tarfile.open(place, "w") as archive:
        for number, content in enumerate(images):
            member = tarfile.TarInfo(f"{number:03}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return place


def write_table(place: Path, images: list[bytes]) -> Path:
    pq.write_table(pa.table({"image": pa.array(images, pa.binary())}), place)
    return place


def moments(data: Path, out: Path, *more: str | Path) -> int:
    return main(["moments", str(data), "--kernel-size", "3", "--out", str(out), "-q", *map(str, more)])


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


@pytest.mark.parametrize(
    ("write", "name", "called"),
    [
        (write_folder, "data", "{:03}.png"),
        (write_tar, "data.tar", "data.tar: {:03}.png"),
        (write_table, "data.parquet", "data.parquet: row {}"),
    ],
)
def test_the_table_names_every_image_that_was_left_out(write, name, called, tmp_path):
    data = write(tmp_path / name, contents(140, 130))
    assert moments(data, tmp_path / "m.npz", "--broken", tmp_path / "broken.csv") == 0
    header, *found = rows(tmp_path / "broken.csv")
    assert header == HEADER
    assert [row[0] for row in found] == [called.format(number) for number in range(130)]
    assert found[0][1:] == ["too small", "too small: 2 x 2 pixels, 3 x 3 needed"]
    assert {tuple(row[1:]) for row in found[1:]} == {("unreadable", "cannot identify image file")}


def test_without_a_broken_image_it_is_a_header(tmp_path, capsys):
    data = write_folder(tmp_path / "data", [png(0), png(1)])
    (data / "notes.txt").write_text("of another kind")
    assert moments(data, tmp_path / "m.npz", "--broken", tmp_path / "broken.csv") == 0
    assert rows(tmp_path / "broken.csv") == [HEADER]
    capsys.readouterr()
    assert moments(data, tmp_path / "m.npz", "--broken", "-") == 0
    assert capsys.readouterr().out == "name,kind,reason\n"


def test_a_file_that_is_damaged_stands_there_with_what_was_read_before(tmp_path):
    data = write_tar(tmp_path / "data.tar", contents(9, 2))
    os.truncate(data, 8 * 512 + 100)
    assert moments(data, tmp_path / "m.npz", "--broken", tmp_path / "broken.csv") == 2  # not an image of it is left
    write_tar(tmp_path / "other.tar", contents(9, 2))
    folder = tmp_path / "both"
    folder.mkdir()
    for name in ("data.tar", "other.tar"):
        (tmp_path / name).rename(folder / name)
    assert moments(folder, tmp_path / "m.npz", "--broken", tmp_path / "broken.csv") == 0
    kinds = [(row[0], row[1]) for row in rows(tmp_path / "broken.csv")[1:]]
    assert kinds[0] == ("data.tar", "damaged file")
    assert kinds[1:] == [("other.tar: 000.png", "too small"), ("other.tar: 001.png", "unreadable")]


def test_a_run_that_goes_on_names_what_was_left_out_before(tmp_path, monkeypatch):
    data = write_folder(tmp_path / "data", contents(140, 130))
    shards, state = shards_of(data, images_per_shard=10), tmp_path / "m.npz.part"
    whole = accumulate(shards, 3, progress=False)
    monkeypatch.setattr("firstlight.patches.out_of_core.accumulate.STATE_SECONDS", 0)
    save = Total.save

    def stop_before_the_end(self: Total, path: Path) -> None:
        save(self, path)
        if self.images and not self.done.all():
            raise KeyboardInterrupt

    monkeypatch.setattr(Total, "save", stop_before_the_end)
    found = None
    while found is None:
        with contextlib.suppress(KeyboardInterrupt):
            found = accumulate(shards, 3, state=state, progress=False)
    assert found.named == whole.named
    assert found.broken_table().equals(whole.broken_table())


def test_two_things_are_not_printed_at_once(tmp_path, capsys):
    data = write_folder(tmp_path / "data", [png(0)])
    assert moments(data, tmp_path / "m.npz", "--broken", "-", "--json", "-") == 2
    assert "--broken and --json are both -" in capsys.readouterr().err
    assert not (tmp_path / "m.npz").exists()
