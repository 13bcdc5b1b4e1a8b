"""Data sets cut into shards: nothing is lost, changes are seen, damage is counted."""

import gzip
import io
import os
import pickle
import re
import tarfile
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from tests.images.streams.tables import image_table, save_to_disk

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.images import Shard, image_stream, load_images, shards_of
from firstlight.images.streams.tars import TarImages


def noise(count: int, height: int = 6, width: int = 7) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 3, height, width), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(sink, "PNG")
    return sink.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_tar(path: Path, images: np.ndarray, mode: str = "w", start: int = 0) -> Path:
    """A shard as WebDataset has it: for each sample an image, a class and JSON."""
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for number, image in enumerate(images, start):
            add(archive, f"{number:06}.cls", b"3")
            add(archive, f"{number:06}.png", png(image))
            add(archive, f"{number:06}.json", b"{}")
    return path


def pixels(shards: Sequence[Shard]) -> np.ndarray:
    return np.concatenate([stack for shard in shards for stack in shard.stacks(strict=True)])


def write_folder(folder: Path, images: np.ndarray) -> Path:
    for number, image in enumerate(images):
        path = folder / f"class{number % 2}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return folder


@pytest.fixture
def sources(tmp_path) -> dict[str, Any]:
    """The same 11 images in every kind of data set."""
    images = noise(11)
    tars = tmp_path / "tars"
    tars.mkdir()
    write_tar(tars / "train-0.tar", images[:4])
    write_tar(tars / "train-1.tgz", images[4:9], "w:gz", 4)
    write_tar(tars / "train-2.tar.gz", images[9:], "w:gz", 9)
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    cells = [png(image) for image in images]
    pq.write_table(image_table(cells[:6]), parquet / "train-0.parquet")
    pq.write_table(image_table(cells[6:]), parquet / "train-1.parquet")
    np.save(tmp_path / "images.npy", images.transpose(0, 2, 3, 1))
    np.savez(tmp_path / "images.npz", images=images)
    return {
        "folder": write_folder(tmp_path / "folder", images),
        "file": write_folder(tmp_path / "one", images[:1]) / "class0" / "000.png",
        "tars": tars,
        "tar": write_tar(tmp_path / "all.tar", images),
        "parquet folder": parquet,
        "parquet": parquet / "train-0.parquet",
        "saved": save_to_disk(image_table(cells), tmp_path / "saved"),
        "npy": tmp_path / "images.npy",
        "npz": tmp_path / "images.npz",
        "array": images,
        "set": load_images(images),
    }


@pytest.mark.parametrize(
    ("kind", "names", "counts"),
    [
        ("folder", ["folder[0:4]", "folder[4:8]", "folder[8:11]"], [4, 4, 3]),
        ("file", ["000.png"], [1]),
        ("tars", ["train-0.tar", "train-1.tgz", "train-2.tar.gz"], [None, None, None]),
        ("tar", ["all.tar"], [None]),
        ("parquet folder", ["train-0.parquet", "train-1.parquet"], [6, 5]),
        ("parquet", ["train-0.parquet"], [6]),
        ("saved", ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"], [6, 5]),
        ("npy", ["images.npy[0:4]", "images.npy[4:8]", "images.npy[8:11]"], [4, 4, 3]),
        ("npz", ["images.npz[0:4]", "images.npz[4:8]", "images.npz[8:11]"], [4, 4, 3]),
        ("array", ["array[0:4]", "array[4:8]", "array[8:11]"], [4, 4, 3]),
        ("set", ["array[0:4]", "array[4:8]", "array[8:11]"], [4, 4, 3]),
    ],
)
def test_shards_hold_the_images_that_the_stream_reads(sources, kind, names, counts, monkeypatch):
    options: dict[str, Any] = {"resize": 5, "crop": 4}
    shards = shards_of(sources[kind], images_per_shard=4, **options)
    assert [shard.name for shard in shards] == names
    assert [shard.count for shard in shards] == counts
    assert all(shard.bytes > 0 for shard in shards)
    assert len({shard.identity for shard in shards}) == len(shards)
    if kind not in ("tars", "tar"):
        np.testing.assert_array_equal(
            pixels(shards), np.concatenate(list(image_stream(sources[kind], progress=False, **options)))
        )
    # Also of copies, as they come to another process, in which the working folder is another one.
    copies = pickle.loads(pickle.dumps(shards))
    monkeypatch.chdir("/")
    expected = np.concatenate(list(image_stream(noise(11), progress=False, **options)))
    found = pixels(copies)
    if kind == "folder":  # class0 first
        expected = expected[[*range(0, 11, 2), *range(1, 11, 2)]]
    np.testing.assert_array_equal(found, expected[: len(found)])
    assert len(found) == {"file": 1, "parquet": 6}.get(kind, 11)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 20), per_shard=st.integers(1, 25))
def test_slices_cover_an_array_once(count, per_shard):
    images = noise(count, 2, 3)
    shards = shards_of(images, images_per_shard=per_shard, layout="NCHW")
    np.testing.assert_array_equal(pixels(shards), images)
    assert max(shard.count or 0 for shard in shards) <= per_shard


def test_slices_in_memory_that_travel_are_small():
    shards = shards_of(np.zeros((40, 3, 512, 512), np.uint8))
    assert [shard.count for shard in shards] == [10, 10, 10, 10]
    assert max(len(pickle.dumps(shard)) for shard in shards) < 8 << 20
    assert len(pickle.dumps(shards_of(np.zeros((1, 3, 2048, 2048), np.uint8)))) < 13 << 20


def test_a_mapped_file_is_not_read_by_cutting_it(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2000, 32, 32, 3), np.uint8))
    tracemalloc.start()
    shards = shards_of(tmp_path / "images.npy", images_per_shard=100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
    assert len(pickle.dumps(shards)) < 20_000


def test_the_identity_depends_on_content_and_options_and_not_on_the_place(sources, tmp_path):
    folder = sources["folder"]
    first = [shard.identity for shard in shards_of(folder, images_per_shard=4)]
    assert [shard.identity for shard in shards_of(folder, images_per_shard=4)] == first
    moved = folder.rename(tmp_path / "moved")
    assert [shard.identity for shard in shards_of(moved, images_per_shard=4)] == first
    others: list[dict[str, Any]] = [{"resize": 8}, {"crop": 3}, {"channels": 1}]
    for options in others:
        assert not {shard.identity for shard in shards_of(moved, images_per_shard=4, **options)} & set(first)
    os.utime(moved / "class0" / "000.png", ns=(1, 1))
    touched = [shard.identity for shard in shards_of(moved, images_per_shard=4)]
    assert touched[0] != first[0]
    assert touched[1:] == first[1:]
    array = noise(11)
    same = [shard.identity for shard in shards_of(array)]
    assert [shard.identity for shard in shards_of(np.asfortranarray(array))] == same
    array[3, 1, 2, 3] ^= 1
    assert [shard.identity for shard in shards_of(array)] != same


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet", "saved", "npy"])
@pytest.mark.parametrize("change", ["size", "time", "gone"])
@pytest.mark.parametrize("strict", [False, True])
def test_a_file_that_changed_is_refused_by_name(sources, kind, change, strict):
    shard = shards_of(sources[kind])[0]
    path = Path(shard.files[0].path)
    status = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes()[:-1])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        path.unlink()
    with pytest.raises(SourceError) as caught:
        list(shard.stacks(strict))
    assert str(caught.value).startswith(f"shard {shard.name}: {path} has changed since the data set was listed; ")
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_while_it_is_read_is_refused(sources):
    shard = shards_of(sources["folder"])[0]
    reading = shard.read()
    images = reading._results

    def changing():
        yield from images()
        os.utime(shard.files[3].path, ns=(1, 1))

    reading._results = changing  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(SourceError, match=re.escape(f"{shard.files[3].path} has changed")):
        list(reading)


def test_damage_is_counted_and_stops_a_strict_reading(sources, tmp_path):
    (sources["folder"] / "class1" / "003.png").write_bytes(b"none")
    (sources["folder"] / "class1" / "zz.png").symlink_to(tmp_path / "nowhere")
    (shard,) = shards_of(sources["folder"])
    reading = shard.read()
    assert sum(map(len, reading)) == reading.count == 10
    assert reading.broken_count == 2
    assert [name for name, _ in reading.broken] == ["class1/003.png", "class1/zz.png"]
    assert reading.broken[1][1] == "a link to nothing"
    with pytest.raises(SourceError, match=r"^shard folder\[0:12\]: class1/003.png cannot be read \("):
        list(shard.stacks(strict=True))


def test_a_damaged_table_counts_once(sources):
    path = sources["parquet folder"] / "train-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    shards = shards_of(sources["parquet folder"])
    assert [shard.count for shard in shards] == [6, None]
    reading = shards[1].read()
    assert list(reading) == []
    assert (reading.broken_count, reading.broken[0][0]) == (1, "train-1.parquet")
    with pytest.raises(SourceError, match=r"^shard train-1.parquet cannot be read \("):
        list(shards[1].stacks(strict=True))


def test_a_table_without_the_column_counts_once(sources):
    pq.write_table(pa.table({"label": [1, 2]}), sources["parquet folder"] / "train-1.parquet")
    reading = shards_of(sources["parquet folder"])[1].read()
    assert list(reading) == []
    assert reading.broken_count == 1
    assert "no column of encoded images" in reading.broken[0][1]


def test_broken_images_are_all_counted_and_named_up_to_a_bound(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(130):
            add(archive, f"{number}.jpg", b"none")
    reading = shards_of(tmp_path / "a.tar")[0].read()
    assert list(reading) == []
    assert (reading.count, reading.broken_count, len(reading.broken)) == (0, 130, 130)
    assert reading.broken[7][0] == "a.tar: 7.jpg"
    monkeypatch.setattr("firstlight.images.shards.shard.MOST_NAMED", 100)
    reading = shards_of(tmp_path / "a.tar")[0].read()
    assert list(reading) == []
    assert (reading.broken_count, len(reading.broken)) == (130, 100)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_file_that_is_cut_off_anywhere_is_damaged(tmp_path, mode):
    images = noise(5)
    path = write_tar(tmp_path / ("a.tar" if mode == "w" else "a.tar.gz"), images, mode)
    content = path.read_bytes()
    # A file of whole members, without the blocks of zeros at the end, is as good.
    end = len(content.rstrip(b"\0")) // 512 * 512 + 512 if mode == "w" else len(content)
    for length in {*range(0, end, 97), *range(512, end, 512)}:
        path.write_bytes(content[:length])
        reading = shards_of(path)[0].read()
        found = [image for stack in reading for image in stack]
        np.testing.assert_array_equal(np.array(found).reshape(-1, *images.shape[1:]), images[: len(found)])
        whole_members = mode == "w" and length % 512 == 0
        assert reading.broken_count == 1 or (whole_members and len(found) <= 5)
    path.write_bytes(content)
    assert len(pixels(shards_of(path))) == 5


def test_hostile_tar_files_end_in_one_line_and_little_memory(tmp_path):
    rng = np.random.default_rng(0)
    plain = write_tar(tmp_path / "a.tar", noise(3)).read_bytes()
    path = tmp_path / "b.tar"
    for trial in range(300):
        damaged = bytearray(plain)
        for place in rng.integers(0, len(plain), 1 + trial % 4):
            damaged[place] ^= 1 << int(rng.integers(8))
        if trial % 3 == 0:  # headers with sums that are right
            for start in range(0, len(damaged) - 512, 512):
                header = damaged[start : start + 512]
                if header[257:262] == b"ustar":
                    header[148:156] = b" " * 8
                    damaged[start + 148 : start + 156] = b"%06o\0 " % sum(header)
        path.write_bytes(damaged)
        reading = shards_of(path)[0].read()
        assert sum(map(len, reading)) == reading.count <= 3
        assert all("\n" not in reason for _, reason in reading.broken)


def header(kind: bytes, size: int, name: str = "x.png") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(tarfile.XHDTYPE, 1 << 33), "a header asks for 8,589,934,592 bytes at once"),
        (header(tarfile.GNUTYPE_LONGNAME, 1 << 33), "a header asks for 8,589,934,592 bytes at once"),
        (header(tarfile.REGTYPE, 1 << 33), "it leads to byte"),
        (header(tarfile.REGTYPE, 300 << 20), "314,572,800 bytes, more than 268,435,456"),
        (header(tarfile.REGTYPE, 20 << 20) + bytes(20 << 20) + header(tarfile.REGTYPE, 1 << 29), "it leads to byte"),
    ],
)
def test_declared_lengths_do_not_become_memory(tmp_path, content, reason):
    zeros = zlib.compressobj(wbits=31)  # a bomb: 300 MB of zeros follow the header
    packed = zeros.compress(content)
    block = bytes(1 << 20)
    packed += b"".join(zeros.compress(block) for _ in range(300)) + zeros.flush()
    (tmp_path / "a.tar.gz").write_bytes(packed)
    tracemalloc.start()
    reading = shards_of(tmp_path / "a.tar.gz")[0].read()
    assert list(reading) == []
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert any(reason in found for _, found in reading.broken), reading.broken
    assert most < 80 << 20


def test_links_and_folders_in_a_tar_file_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"{kind!r}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        add(archive, "../../out.png", png(noise(1)[0]))
        add(archive, "line\nbreak.jpg", b"none")
    assert [item.name for item in TarImages(tmp_path / "a.tar").items()] == ["../../out.png", "line\\nbreak.jpg"]
    assert not (tmp_path.parent.parent / "out.png").exists()
    reading = shards_of(tmp_path / "a.tar")[0].read()
    assert (sum(map(len, reading)), reading.broken[0][0]) == (1, "a.tar: line\\nbreak.jpg")


def test_a_sparse_member_is_broken(tmp_path):
    text = gzip.compress(header(tarfile.GNUTYPE_SPARSE, 0) + bytes(1024))
    (tmp_path / "a.tgz").write_bytes(text)
    reading = shards_of(tmp_path / "a.tgz")[0].read()
    assert list(reading) == []
    assert reading.broken == [("a.tgz: x.png", "a sparse file, which no image is")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: shards_of(folder / "none"), "does not exist"),
        (lambda folder: shards_of(folder), "holds no images"),
        (lambda folder: shards_of([1, 2]), "source is a list, which cannot be cut into shards"),
        (lambda folder: shards_of(noise(2), images_per_shard=0), "images_per_shard is 0"),
        (lambda folder: shards_of(noise(2), channels=2), "with 3 channels; expected 2"),
        (lambda folder: shards_of(noise(2), crop=100), "too small"),
        (lambda folder: shards_of(noise(2), split="train"), "has no splits"),
        (
            lambda folder: shards_of(write_tar(folder / "a.tar", noise(1)), split="x"),
            "a tar file, which has no splits",
        ),
        (lambda folder: shards_of(write_tar(folder / "a.tar", noise(1)), channels=4), "channels is 4"),
        (lambda folder: shards_of(write_tar(folder / "a.tar", noise(1)).parent, split="x"), "no tar file in"),
    ],
)
def test_what_cannot_be_cut_is_refused(tmp_path, make, message):
    with pytest.raises(FirstlightError, match=re.escape(message)) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_kind_a_folder(sources):
    (sources["tars"] / "a.png").write_bytes(png(noise(1)[0]))
    with pytest.raises(InputError, match=r"a folder of image files, but train-0.tar lies there as well; expected one"):
        shards_of(sources["tars"])


def test_splits_of_tar_files(sources):
    write_tar(sources["tars"] / "val-0.tar", noise(1))
    assert [shard.name for shard in shards_of(sources["tars"], split="val")] == ["val-0.tar"]
    assert len(shards_of(sources["tars"], split="train")) == 3
