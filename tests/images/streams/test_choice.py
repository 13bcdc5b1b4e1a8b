"""What one image of a data set is can be chosen, and whatever is left out is counted by kind."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.images.streams.files import noise, pillow, write
from tests.images.streams.tables import IMAGE

from firstlight import InputError, PatchMoments, SourceError, accumulate, image_stream, load_images, shards_of
from firstlight.cli import main
from firstlight.images import recognise

PHOTO, MASK = pillow(noise(9, 9, 3), "PNG"), pillow(np.zeros((9, 9), np.uint8), "PNG")
JPEG = pillow(noise(9, 9, 3), "JPEG")


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def folder(path: Path, files: dict[str, bytes]) -> Path:
    write(path, files)
    return path


def counts(source: Path, **options) -> tuple[int, dict[str, int]]:
    """Images read and what was left out, the same of a stream, whose summary tells it, and of shards."""
    stream = image_stream(source, progress=False, **options)
    read = sum(map(len, stream))
    told = stream.summary().partition("left out: ")[2]
    for kind, count in stream.left_out.items():
        assert f"{count:,} {kind}" in told
    assert bool(told) == bool(stream.left_out)
    done = accumulate(shards_of(source, images_per_shard=2, **options), 3, progress=False)
    assert (done.images, done.left_out) == (read, stream.left_out)
    return read, stream.left_out


@pytest.mark.parametrize("make", [folder, tar])
@pytest.mark.parametrize(
    ("files", "read", "left"),
    [
        ({"0.jpg": JPEG, "0.seg.png": MASK, "0.json": b"{}"}, 1, {"masks (.seg.png)": 1, ".json": 1}),
        ({"0.png": PHOTO, "0_mask.png": MASK, "1-Mask.PNG": MASK}, 1, {"masks (_mask.png)": 1, "masks (-mask.png)": 1}),
        ({"images/0.jpg": JPEG, "masks/0.png": MASK, "masks/a/1.png": MASK}, 1, {"masks (masks/*.png)": 2}),
        ({"0.png": PHOTO, "iron_mask.jpg": JPEG, "mask.png": PHOTO, "unmask.png": PHOTO}, 4, {}),
        ({"0.png": PHOTO, "1.img": PHOTO, "2.IMG": PHOTO, "README": b""}, 1, {".img": 2, "of other names": 1}),
        ({"0.png": PHOTO, "._0.png": b"\0\5\x16\7", ".git/1.png": PHOTO, "a/.x": b""}, 1, {}),
    ],
)
def test_what_lies_beside_images_is_left_out_and_counted(make, files, read, left, tmp_path) -> None:
    assert counts(make(tmp_path / "data.tar", files)) == (read, left)


@pytest.mark.parametrize("make", [folder, tar])
def test_images_are_chosen_by_their_names(make, tmp_path) -> None:
    source = make(tmp_path / "a.tar", {"x/0.jpg": JPEG, "x/0.seg.png": MASK, "x/0.IMG": PHOTO, "y/1.jpg": JPEG})
    assert counts(source, only="*.seg.png") == (1, {".jpg": 2, ".img": 1})
    assert counts(source, only=["*.img", "y/*"]) == (2, {".jpg": 1, ".png": 1})
    assert counts(source, only="*") == (4, {})


def test_files_of_another_suffix_are_named_where_there_are_no_others(tmp_path) -> None:
    source = tar(tmp_path / "a.tar", {"0.img": PHOTO, "1.img": PHOTO})
    advice = r"left out: 2 \.img: --only \(only=\) takes others, such as --only '\*\.img'$"
    with pytest.raises(InputError, match=f"a.tar holds no images; expected at least one; {advice}"):
        list(image_stream(source, progress=False))
    with pytest.raises(SourceError, match=f"no image could be read.*; {advice}"):
        accumulate(source, 3, progress=False)
    assert counts(source, only="*.img") == (2, {})


def test_a_folder_without_a_known_suffix_is_read_by_names(tmp_path) -> None:
    source = folder(tmp_path / "a", {"x/0.dat": PHOTO, "x/1.DAT": JPEG, "2": PHOTO, "x/3.txt": b"no image"})
    for read in (image_stream, shards_of, load_images):
        with pytest.raises(InputError, match=r"a holds no images; expected files that end in .*: --only .* takes"):
            read(source)
    assert counts(source, only="*.dat") == (2, {".txt": 1, "of other names": 1})
    assert counts(source, only=["2", "x/0*"]) == (2, {".dat": 1, ".txt": 1})
    out = tmp_path / "m.npz"
    assert main(["moments", str(source), "--only", "*.dat", "--kernel-size", "3", "--out", str(out), "-q"]) == 0
    assert PatchMoments.load(out).count == 2 * 49


def test_columns_are_chosen_by_name_and_others_counted(tmp_path) -> None:
    cells = [pa.array([{"bytes": content, "path": None}] * 3, IMAGE) for content in (PHOTO, MASK)]
    pq.write_table(pa.table({"image": cells[0], "mask": cells[1], "y": [0, 1, 2]}), tmp_path / "a.parquet")
    assert counts(tmp_path / "a.parquet") == (3, {"images of the column mask": 3})
    assert counts(tmp_path / "a.parquet", only="mask") == (3, {"images of the column image": 3})
    black = image_stream(tmp_path / "a.parquet", only="mask", progress=False)
    assert max(stack.max() for stack in black) == 0
    assert black.summary() == "3 images from a.parquet (mask); left out: 3 images of the column image"
    with pytest.raises(InputError, match=r"only is y; expected one column of images of a\.parquet: image, mask"):
        image_stream(tmp_path / "a.parquet", only="y", progress=False)


@pytest.mark.parametrize("form", ["TIFF", "GIF", "WEBP", "PNG"])
def test_further_pages_are_counted(form, tmp_path) -> None:
    pages = [Image.fromarray(noise(9, 9, 3) // (i + 1)) for i in range(4)]
    name = f"a.{form.lower()}"
    pages[0].save(tmp_path / name, form, save_all=True, append_images=pages[1:])
    assert counts(tmp_path / name) == (1, {"further pages": 3})
    pages[0].save(tmp_path / name, form)
    assert counts(tmp_path / name) == (1, {})


def test_only_is_for_files(tmp_path) -> None:
    with pytest.raises(InputError, match=r"only is .* but source is a ndarray, which is read whole: leave"):
        image_stream(noise(2, 3, 8, 8), only="*.png", progress=False)


def test_theory_and_sets_take_images_by_their_names(tmp_path, capsys) -> None:
    names = [f"{split}/{kind}/{number}.dat" for split in ("train", "test") for kind in "ab" for number in range(2)]
    files = {name: pillow(noise(9, 9, 3), "PNG") for name in names}
    source = folder(tmp_path / "a", {**files, "notes.txt": b"none"})
    assert main(["theory", "--data", str(source)]) == 2
    assert "a holds no images" in capsys.readouterr().err
    assert main(["theory", "--data", str(source), "--only", "*.dat", "--json", "-"]) == 0
    assert '"data": "a"' in capsys.readouterr().out
    assert len(load_images(recognise(source).choosing("*.dat"))) == 4
    assert len(load_images(recognise(source).choosing("*1.dat"))) == 2
