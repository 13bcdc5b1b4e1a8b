"""Decoders that crash or hang: theirs is one image that is broken, and nothing else."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.images.streams.files import noise, pillow, tiff, write

from firstlight.engines import open_engine
from firstlight.errors import MachineError
from firstlight.images import image_stream, shards_of
from firstlight.images.streams import apart
from firstlight.images.streams.apart import decode_apart, is_decoded_apart
from firstlight.images.streams.choice import further_pages
from firstlight.images.streams.decode import decode
from firstlight.images.streams.resize import Geometry, Undecodable
from firstlight.patches.moments import PatchMoments
from firstlight.patches.out_of_core.accumulate import accumulate
from firstlight.utils import trouble

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere all is decoded where it is read")

UNCHANGED = Geometry(None, None)
PIXELS = noise(11, 7, 3)
# What a decoder does that finds a word at the end of a file.
PROGRAM = """
import os, signal, time
from firstlight.images.streams import decoder_child
from firstlight.images.streams.decode import decode

def decoder(file, channels, geometry):
    word = file.read()[-8:].strip()
    file.seek(0)
    print("a decoder that says something", flush=True)
    match word:
        case b"abort":
            os.abort()
        case b"hang":
            time.sleep(99)
        case b"exit":
            os._exit(1)
        case b"full":
            raise MemoryError
        case b"killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"ended":
            os.kill(os.getpid(), signal.SIGTERM)
        case b"nonsense":
            os.write(3, b"[" * 99 + b"\\n")
            time.sleep(99)
    return decode(file, channels, geometry)

decoder_child._PIXELS_PER_SECOND = 1 << 40
decoder_child._IDLE_SECONDS = @
decoder_child.serve(decoder, 2)
"""


def saying(word: str) -> bytes:
    return pillow(PIXELS, "TIFF") + word.rjust(8).encode()


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    apart._end_all()
    monkeypatch.setattr(apart, "_PROGRAM", PROGRAM.replace("@", "60"))
    monkeypatch.setattr(apart, "_PATIENCE", 1.0)
    monkeypatch.setattr(trouble, "_WAITS", (0.0, 0.0, 0.0))
    yield
    apart._end_all()


FILES = {
    "tiff": pillow(PIXELS, "TIFF", compression="tiff_lzw"),
    "tiff 16": tiff(noise(11, 7, 3, dtype="uint16"), photometric="rgb"),
    "tiff pages": tiff(noise(3, 11, 7), photometric="minisblack"),
    "avif": pillow(PIXELS, "AVIF"),
    "jpeg 2000": pillow(PIXELS, "JPEG2000"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("geometry", [UNCHANGED, Geometry((20, 30), (5, 6)), Geometry(4, None)])
def test_the_pixels_are_the_same(kind: str, channels: int, geometry: Geometry) -> None:
    content = FILES[kind]
    assert is_decoded_apart(content[:8])
    images, pages = decode_apart(io.BytesIO(content), channels, geometry)
    assert np.array_equal(images, decode(io.BytesIO(content), channels, geometry))
    assert pages == further_pages(io.BytesIO(content))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM"])
def test_the_everyday_formats_are_decoded_here(form: str) -> None:
    assert not is_decoded_apart(pillow(PIXELS, form)[:8])


@pytest.mark.parametrize(
    ("content", "geometry"), [(b"", UNCHANGED), (b"none", UNCHANGED), (FILES["tiff"], Geometry(None, (12, 3)))]
)
def test_a_broken_image_is_called_as_ever(content: bytes, geometry: Geometry) -> None:
    with pytest.raises(Undecodable) as here:
        decode(io.BytesIO(content), 3, geometry)
    with pytest.raises(Undecodable) as there:
        decode_apart(io.BytesIO(content), 3, geometry)
    assert str(there.value) == str(here.value)


def test_how_many_pixels_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Undecodable, match="declares more than 76 pixels"):
        decode_apart(io.BytesIO(FILES["tiff"]), 3, Geometry(None, None, 76))
    assert decode_apart(io.BytesIO(FILES["tiff"]), 3, Geometry(None, None, 77))[0].shape == (3, 11, 7)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 76)
    with pytest.raises(Undecodable, match="declares more than 76 pixels"):
        decode_apart(io.BytesIO(FILES["tiff"]), 3, UNCHANGED)


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("abort", "its decoder crashed (SIGABRT)"),
        ("exit", "its decoder crashed (exit code 1)"),
        ("hang", "its decoder did not come to an end"),
        ("nonsense", "its decoder answers what is no picture"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_decoder_does_costs_its_own_image(tmp_path: Path, word: str, reason: str, workers: int) -> None:
    write(tmp_path, {"1.tif": saying(""), "2.tif": saying(word), "3.tif": saying(""), "4.png": pillow(PIXELS, "PNG")})
    stream = image_stream(tmp_path, workers=workers, progress=False)
    assert [image.tolist() for stack in stream for image in stack] == [PIXELS.transpose(2, 0, 1).tolist()] * 3
    assert stream.broken == [("2.tif", reason)]


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize(
    ("word", "reason"),
    [("full", "out of memory"), ("killed", "out of memory"), ("ended", "its decoder was ended by SIGTERM")],
)
def test_what_ends_it_from_outside_is_trouble(tmp_path: Path, word: str, reason: str) -> None:
    write(tmp_path, {"1.tif": saying(""), "2.tif": saying(word)})
    with pytest.raises(MachineError, match=rf"^2\.tif cannot be read on this machine \({reason}\)"):
        list(image_stream(tmp_path, progress=False))


@pytest.mark.usefixtures("program")
def test_a_crash_without_memory_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    short = "from firstlight.images.streams import shortage; shortage._BYTES = 1 << 62\n"
    monkeypatch.setattr(apart, "_PROGRAM", short + apart._PROGRAM)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        decode_apart(io.BytesIO(saying("abort")), 3, UNCHANGED)


def test_a_process_that_does_not_start_is_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apart._end_all()
    monkeypatch.setattr(apart, "_PROGRAM", "raise ImportError")
    monkeypatch.setattr(trouble, "_WAITS", (0.0, 0.0, 0.0))
    write(tmp_path, {"1.tif": FILES["tiff"]})
    with pytest.raises(
        MachineError, match=r"^1\.tif cannot .*the process of its decoder does not start, exit code 1\): start again$"
    ):
        list(image_stream(tmp_path, progress=False))


@pytest.mark.usefixtures("program")
def test_one_that_nobody_asks_ends_and_another_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PROGRAM", PROGRAM.replace("@", "0.1"))
    decode_apart(io.BytesIO(saying("")), 3, UNCHANGED)
    (first,) = apart._WAITING[os.getpid()]
    assert first.process.wait(20) == apart.IDLE
    assert decode_apart(io.BytesIO(saying("")), 3, UNCHANGED)[0].shape == (3, 11, 7)
    assert first not in apart._WAITING[os.getpid()]


ASKING = """
import io, os, sys, threading
from firstlight.images.streams import apart
from firstlight.images.streams.resize import Geometry
apart._PROGRAM, content = sys.argv[1], io.BytesIO(bytes.fromhex(sys.argv[2]))
Child = apart._Child
class Told(Child):
    def __init__(self):
        super().__init__()
        print(self.process.pid, flush=True)
apart._Child = Told
apart.decode_apart(content, 3, Geometry(None, None))
threading.Event().wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("word", ["", "hang"])
def test_it_ends_with_whoever_asks(word: str) -> None:
    arguments = [sys.executable, "-c", ASKING, PROGRAM.replace("@", "60"), saying(word).hex()]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc", parent.stdout.readline().strip())
        time.sleep(0.5)
        assert child.exists()
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while child.exists() and "State:\tZ" not in (child / "status").read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert not child.exists() or "State:\tZ" in (child / "status").read_text()


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_in_threads_and_in_workers_of_dask(tmp_path: Path, kind: str) -> None:
    if kind == "dask":
        pytest.importorskip("distributed")
    write(tmp_path, {"1.tif": FILES["tiff"], "2.jp2": FILES["jpeg 2000"], "3.tif": b"II*\0none"})
    with open_engine(kind, workers=1 if kind == "dask" else 2) as engine:
        found = accumulate(shards_of(tmp_path, images_per_shard=1), 3, engine=engine, progress=False)
    both = np.stack([decode(io.BytesIO(FILES[kind]), 3, UNCHANGED) for kind in ("tiff", "jpeg 2000")])
    assert (found.moments, found.broken_count) == (PatchMoments(3).update(both), 1)
