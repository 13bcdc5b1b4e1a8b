import gc
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.images.streams.files import bomb, chunk, dates, exif, noise, pillow, png, write

from firstlight.errors import InputError, SourceError
from firstlight.images import ImageStream, image_stream
from firstlight.images.streams.decode import SUFFIXES
from firstlight.images.streams.stacks import STACK_BYTES
from firstlight.patches import PatchMoments

PIXELS = [noise(8 + index % 3, 9, 3) + np.uint8(index) for index in range(12)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(
        tmp_path / "birds", {f"{index % 2}/{index:02}.png": png(pixels, 2) for index, pixels in enumerate(PIXELS)}
    )


@pytest.fixture
def damaged(folder: Path) -> Path:
    write(folder, {"0/00.png": b"garbage", "1/bomb.png": bomb(), "1/cut.jpg": pillow(PIXELS[0], "JPEG")[:200]})
    return folder


def test_moments_of_a_folder_are_those_of_the_arrays(folder: Path) -> None:
    for workers in (1, 3):
        moments, expected = PatchMoments(3, 3), PatchMoments(3, 3)
        stream = image_stream(folder, progress=False, workers=workers)
        for stack in stream:
            assert (stack.dtype, stack.flags.c_contiguous) == (np.uint8, True)
            moments.update(stack)
        for pixels in PIXELS:
            expected.update(pixels.transpose(2, 0, 1)[None])
        assert moments == expected
        assert stream.count == 12


def test_stacks_and_their_order_do_not_depend_on_threads_dates_or_place(folder: Path, tmp_path: Path) -> None:
    stream = image_stream(folder, progress=False, workers=1)
    stacks, fingerprint = list(stream), stream.fingerprint
    assert [len(stack) for stack in stacks] == [4, 4, 4]
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "other name")
    dates(moved, 1_000_000_000)
    for place in (folder, moved):
        for workers in (2, 5, None):
            again = image_stream(place, progress=False, workers=workers)
            for _ in range(2):
                for one, other in zip(again, stacks, strict=True):
                    np.testing.assert_array_equal(one, other)
            assert again.fingerprint == fingerprint


def test_fingerprint_follows_what_decides_the_pixels(folder: Path) -> None:
    def fingerprint(**options: Any) -> str | None:
        return image_stream(folder, progress=False, **options).fingerprint

    before = fingerprint()
    assert before == fingerprint(workers=1, strict=True)
    assert len(before or "") == 64
    prints = [before, *(fingerprint(**o) for o in ({"resize": 5}, {"crop": 5}, {"crop": (5, 6)}, {"channels": 1}))]
    (folder / "notes.txt").write_text("not an image")
    assert fingerprint() == before
    (folder / "0" / "00.png").rename(folder / "0" / "zz.png")
    prints.append(fingerprint())
    content = (folder / "0" / "zz.png").read_bytes()
    (folder / "0" / "zz.png").write_bytes(content + b"\0")
    prints.append(fingerprint())
    (folder / "0" / "zz.png").unlink()
    prints.append(fingerprint())
    assert len(set(prints)) == len(prints)


def test_fingerprint_decodes_nothing_and_takes_what_cannot_be_read(damaged: Path) -> None:
    os.mkfifo(damaged / "pipe.png")
    assert image_stream(damaged, progress=False).fingerprint != image_stream(damaged / "0", progress=False).fingerprint


def test_broken_files_are_counted_and_named(damaged: Path) -> None:
    stream = image_stream(damaged, progress=False)
    assert sum(map(len, stream)) == stream.count == 11
    names = [name for name, _ in stream.broken]
    assert names == ["0/00.png", "1/bomb.png", "1/cut.jpg"]
    assert stream.broken_count == 3
    assert stream.summary().startswith(
        "11 images from birds; 3 broken files left out: 0/00.png (cannot identify image file), 1/bomb.png (declares"
    )
    assert "\n" not in stream.summary()


def test_strict_stops_at_the_first(damaged: Path) -> None:
    stream = image_stream(damaged, strict=True, progress=False)
    with pytest.raises(SourceError, match=r"^birds: 0/00\.png cannot be read \(cannot identify image file\)"):
        list(stream)
    assert [t for t in threading.enumerate() if "firstlight" in t.name] == []


def test_when_all_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x", {f"{index:03}.png": b"garbage" for index in range(150)})
    stream = image_stream(tmp_path / "x", progress=False)
    with pytest.raises(
        SourceError, match=r"x holds no image that can be read; 150 broken files left out: 000.*and 145 more"
    ):
        list(stream)
    assert (stream.broken_count, len(stream.broken)) == (150, 150)
    table = stream.broken_table()
    assert list(table) == ["name", "kind", "reason"]
    assert (len(table), *table.loc[7]) == (150, "007.png", "unreadable", stream.broken[7][1])
    monkeypatch.setattr("firstlight.images.streams.stream.MOST_NAMED", 100)
    with pytest.raises(SourceError, match="150 broken files left out"):
        list(stream)
    assert (stream.broken_count, len(stream.broken)) == (150, 100)


def test_single_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.png": png(PIXELS[0], 2), "b.png": b"garbage"})
    stream = image_stream(tmp_path / "a.png", progress=False)
    np.testing.assert_array_equal(next(iter(stream))[0], PIXELS[0].transpose(2, 0, 1))
    assert stream.name == "a.png"
    with pytest.raises(SourceError, match=r"b\.png holds no image that can be read; 1 broken file left out"):
        list(image_stream(tmp_path / "b.png", progress=False))


def test_options_apply_to_files(folder: Path) -> None:
    write(folder, {"turned.png": png(PIXELS[0], 2, chunk(b"eXIf", exif(6))), "small.png": png(PIXELS[0][:4], 2)})
    stream = image_stream(folder, resize=(7, 6), crop=(5, 4), channels=1, progress=False)
    [stack] = stream
    assert stack.shape == (14, 1, 5, 4)
    turned = Image.fromarray(np.rot90(PIXELS[0], -1).copy()).convert("L").resize((6, 7), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(stack[-1, 0], np.asarray(turned)[1:6, 1:5])
    stream = image_stream(folder, crop=8, progress=False)
    assert sum(map(len, stream)) == 13
    assert stream.broken == [("small.png", "too small: 9 x 4 pixels, crop 8 x 8")]


def test_progress_lines(damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    list(image_stream(damaged))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("firstlight: read 11 images from birds; 3 broken files left out: ")
    assert err.endswith(" (0 s)\n")
    assert err.count("\n") == 1
    monkeypatch.setattr("firstlight.utils.progress.LINE_SECONDS", 0.0)
    list(image_stream(damaged))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 15
    assert lines[4].startswith("firstlight: reading birds: 5 of 14 images, ")
    assert lines[4].endswith(" s left")
    list(image_stream(damaged, progress=False))
    assert capsys.readouterr().err == ""


def test_images_are_counted_on_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("firstlight.utils.progress.LOOK_SECONDS", 0.0)
    stream = image_stream(folder)
    for _ in stream:
        time.sleep(0.15)
    shown = sys.stderr.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert "reading birds" in shown
    assert "12 of 12 images" in shown
    assert " a second" in shown
    assert " s left" in shown
    assert re.search(r"firstlight: read 12 images from birds \(\d s\)\n$", shown)


def test_memory_does_not_grow_with_the_data_set(tmp_path: Path) -> None:
    content = pillow(np.zeros((256, 256, 3), np.uint8), "PNG")  # 197 kB of pixels

    def peak(count: int) -> int:
        data = write(tmp_path / str(count), {f"{index:04}.png": content for index in range(count)})
        stream = image_stream(data, progress=False)
        gc.collect()
        tracemalloc.start()
        for _ in stream:
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert stream.count == count
        return highest

    peak(2)
    few, many = peak(400), peak(1200)  # 79 MB and 236 MB of pixels
    assert many < few + 1_000_000
    assert many < 4 * STACK_BYTES


def test_leaving_early_ends_the_threads(folder: Path) -> None:
    for _ in range(2):
        for stack in image_stream(folder, progress=False, workers=3):
            assert len(stack) == 4
            break
        gc.collect()
        assert [t for t in threading.enumerate() if "firstlight" in t.name] == []


CHILD = """
import sys
from firstlight.images import image_stream
try:
    for stack in image_stream(sys.argv[1], workers=2):
        pass
except KeyboardInterrupt:
    import threading
    print("stopped", [t.name for t in threading.enumerate() if "firstlight" in t.name])
"""


def test_interrupt_stops_promptly(tmp_path: Path) -> None:
    content = pillow(noise(700, 700, 3), "PNG")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "0000.png").write_bytes(content)
    for index in range(1, 4000):
        os.link(tmp_path / "x" / "0000.png", tmp_path / "x" / f"{index:04}.png")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(1.5)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    start = time.monotonic()
    out, err = child.communicate(timeout=20)
    assert time.monotonic() - start < 3
    assert (out, err) == ("stopped []\n", "")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (None, {}, "source is a NoneType; expected a folder of images"),
        (3, {}, "source is a int"),
        ({"a": 1}, {}, "source is a dict"),
        (b"x", {}, "source is a bytes"),
        ("fotos", {}, "no data set is called 'fotos'; did you mean 'photos'"),
        ("none/such.png", {}, r"none/such\.png does not exist; expected a folder of images"),
        (".", {"channels": 2}, "channels is 2; expected 1 .grey. or 3 .RGB. for encoded images"),
        (".", {"channels": 0}, "channels is 0; expected a whole number of at least 1"),
        (".", {"workers": 0}, "workers is 0; expected a whole number"),
        (".", {"workers": 1.5}, "workers is 1.5; expected a whole number"),
        (".", {"resize": "big"}, "resize is 'big'"),
        (
            ".",
            {"split": "train"},
            "split is 'train', but .* is a folder of image files, which has no splits",
        ),
        ([], {"split": "train"}, "split is 'train', but source is a list, which has no splits"),
        ("0/00.png", {"split": "train"}, "split is 'train', but .* is an image file, which has no splits"),
        ("notes.txt", {}, "is not a file that images are read from; expected a folder of images"),
        ("empty", {}, r"empty holds no images; expected files that end in \.apng, \.avif"),
        (np.zeros(8, np.uint8), {}, r"array: shape \(1, 8\) has 2 axes|array: shape"),
        (np.zeros((2, 1, 8, 8), np.uint8), {"channels": 3}, "array: images of uint8 with 1 channel; expected 3: give"),
    ],
)
def test_refusals_come_before_any_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: Any, options: dict[str, Any], message: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("text")
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message) as caught:
        image_stream(source, **options)
    assert "\n" not in str(caught.value)


def test_a_name_of_a_folder_in_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    stream = image_stream("birds")
    assert isinstance(stream, ImageStream)
    assert (stream.name, stream.channels, repr(stream)) == ("birds", 3, "ImageStream('birds', 3 channels)")
    assert ".jpg" in SUFFIXES
