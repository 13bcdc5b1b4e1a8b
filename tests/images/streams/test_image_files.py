import inspect
import os
import sys
from pathlib import Path

import pytest
from tests.images.streams.files import noise, pillow, write

from firstlight.errors import InputError, SourceError
from firstlight.images import image_stream
from firstlight.images.streams.encoded import Encoded
from firstlight.images.streams.image_files import ImageFiles, files_below
from firstlight.images.streams.resize import Undecodable


def names(folder: Path) -> list[str]:
    return [item.name for item in ImageFiles(folder).items() if item.name]


def test_order_suffixes_and_hidden_files(tmp_path: Path) -> None:
    wanted = ["B.PNG", "a.jpeg", "b/2.JPG", "b/10.tiff", "b/c/d/x.WebP", "b/z.gif", "b.bmp", "z.Ppm"]
    other = [".x.png", ".git/y.png", "b/.thumbs/z.png", "a.txt", "png", "b/.png", "c.npy", "d.eps", "e.parquet"]
    write(tmp_path, dict.fromkeys([*wanted, *other], b""))
    source = ImageFiles(tmp_path)
    # By the names in each folder: "b" before "b.bmp", and "10" before "2".
    assert names(tmp_path) == ["B.PNG", "a.jpeg", "b/10.tiff", "b/2.JPG", "b/c/d/x.WebP", "b/z.gif", "b.bmp", "z.Ppm"]
    assert source.total() == len(wanted)
    assert source.name == tmp_path.name


def test_links_are_followed_but_loops_are_not(tmp_path: Path) -> None:
    write(tmp_path, {"data/a/1.png": b"1", "data/b/2.png": b"2", "elsewhere/3.png": b"3"})
    data = tmp_path / "data"
    (data / "a" / "up").symlink_to(data)
    (data / "b" / "self").symlink_to(data / "b" / "self")
    (data / "c").symlink_to(tmp_path / "elsewhere")
    (data / "d").symlink_to(data / "a")  # a second way to the same folder
    (data / "e.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    assert names(data) == ["a/1.png", "b/2.png", "c/3.png", "e.png"]


def test_nested_folders_need_no_recursion(tmp_path: Path) -> None:
    file = tmp_path.joinpath(*["d"] * 150, "x.png")
    file.parent.mkdir(parents=True)
    file.touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = names(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["d/" * 150 + "x.png"]


def test_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"/none is not there any more; expected data that stay as they are"):
        list(files_below(tmp_path / "none", lambda _: True))


def test_what_is_no_regular_file_does_not_block(tmp_path: Path) -> None:
    write(tmp_path, {"folder.png/x.png": b""})
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    reasons = {}
    for item in ImageFiles(tmp_path).items():
        try:
            item.open().close()
        except Undecodable as error:
            reasons[item.name] = str(error)
    assert reasons == {
        "loop.jpg": "Too many levels of symbolic links",
        "lost.jpg": "a link to nothing",
        "null.jpg": "it is a device",
        "pipe.jpg": "it is a named pipe",
    }


@pytest.mark.parametrize(("content", "size"), [(b"12345", 5), ("a reason", 8), (Path("/none/at all"), 0)])
def test_size(content: object, size: int) -> None:
    assert Encoded("x", content).size() == size


def test_names_are_one_line(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", "é.png".encode(), b"two\nlines.png", b"\x1b[31m.png"):
        (tmp_path / os.fsdecode(name)).touch()
    assert set(names(tmp_path)) == {"caf\\udce9.png", "é.png", "two\\nlines.png", "\\u001b[31m.png"}


@pytest.mark.parametrize("name", ["photo", "photo.dat", "photo.jpg"])
@pytest.mark.parametrize("form", ["PNG", "AVIF", "JPEG2000"])
def test_a_file_is_known_by_its_content(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_bytes(pillow(noise(11, 7, 3), form))
    assert [stack.shape for stack in image_stream(str(tmp_path / name), progress=False)] == [(1, 3, 11, 7)]


def test_a_heic_file_is_told_with_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(SourceError, match="pip install pillow-heif"):
        list(image_stream(str(tmp_path / "photo"), progress=False))


def test_what_is_no_image_by_its_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.dat").write_text("these are not the images you are looking for")
    with pytest.raises(InputError, match="is not a file that images are read from"):
        image_stream(str(tmp_path / "notes.dat"), progress=False)
