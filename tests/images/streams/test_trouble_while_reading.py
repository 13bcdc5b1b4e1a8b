"""An image that this machine cannot read is not a broken one."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from PIL import Image
from tests.images.streams.files import noise, pillow, write

from firstlight.errors import MachineError, SourceError
from firstlight.images import image_stream, shards_of
from firstlight.images.streams import encoded
from firstlight.images.streams.image_files import files_below
from firstlight.utils import trouble

GOOD = pillow(noise(9, 7, 3), "PNG")
FILES = {"a.png": GOOD, "b.png": b"no image", "c.png": GOOD[:-40], "d.png": GOOD}
ERRORS = [OSError(number, os.strerror(number)) for number in (errno.EMFILE, errno.EIO, errno.EACCES)]
ERRORS += [MemoryError(), OSError("out of memory when reading image file")]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "_WAITS", (0.0, 0.0, 0.0))


class Failing:
    """In place of a function: fails so many times, then does what that does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, error: Exception, times: int) -> None:
        self.real, self.error, self.left = getattr(place, name), error, times
        monkeypatch.setattr(place, name, self)

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else lambda *given, **named: self(instance, *given, **named)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return self.real(*given, **named)


PLACES = [(encoded, "open_file"), (PIL.Image, "open"), (PIL.PngImagePlugin.PngImageFile, "load")]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize(("place", "name"), PLACES)
def test_trouble_ends_a_stream_or_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, error: Exception, workers: int
) -> None:
    write(tmp_path, FILES)
    stream = image_stream(tmp_path, workers=workers, progress=False)
    Failing(monkeypatch, place, name, error, 1)
    list(stream)
    assert (stream.count, [name for name, _ in stream.broken]) == (2, ["b.png", "c.png"])
    Failing(monkeypatch, place, name, error, 99)
    with pytest.raises(MachineError, match=r"^a\.png cannot be read on this machine \("):
        list(stream)


@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[3]], ids=str)
def test_a_fingerprint_has_no_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    write(tmp_path, FILES)
    whole = image_stream(tmp_path, progress=False).fingerprint
    Failing(monkeypatch, encoded, "open_file", error, 1)
    assert image_stream(tmp_path, progress=False).fingerprint == whole
    Failing(monkeypatch, encoded, "open_file", error, 99)
    with pytest.raises(MachineError, match=r"^a\.png cannot"):
        _ = image_stream(tmp_path, progress=False).fingerprint


@pytest.mark.parametrize("name", ["scandir", "stat"])
def test_a_folder_that_cannot_be_listed_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write(tmp_path, {f"{folder}/1.png": GOOD for folder in "ab"})
    Failing(monkeypatch, os, name, ERRORS[2], 1)
    assert list(files_below(tmp_path, lambda _: True)) == ["a/1.png", "b/1.png"]
    Failing(monkeypatch, os, name, ERRORS[2], 99)
    with pytest.raises(MachineError, match=r"cannot be read on this machine \(Permission denied\): let this user"):
        list(files_below(tmp_path, lambda _: True))


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    read = iter(image_stream(tmp_path, workers=1, progress=False)._images.results())
    next(read)
    (tmp_path / "d.png").unlink()
    with pytest.raises(SourceError, match=r"^d\.png is not there any more; expected data that stay as they are"):
        list(read)


@pytest.mark.parametrize("suffix", ["tar", "parquet", "npy"])
def test_trouble_with_a_file_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    import tarfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"many.{suffix}"
    if suffix == "tar":
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("1.png")
            info.size = len(GOOD)
            archive.addfile(info, io.BytesIO(GOOD))
        place, name = tarfile.TarFile, "next"
    elif suffix == "parquet":
        pq.write_table(pa.table({"image": [GOOD]}), path)
        place, name = pq.ParquetFile, "iter_batches"
    else:
        np.save(path, np.zeros((2, 3, 8, 8), np.uint8))
        place, name = np.lib.format, "open_memmap"
    (shard,) = shards_of(path)
    Failing(monkeypatch, place, name, ERRORS[1], 99)
    with pytest.raises(MachineError, match=rf"many\.{suffix}.* cannot be read on this machine \(Input/output error\)"):
        list(shard.stacks())


SWEEP = """
import resource
from pathlib import Path
from firstlight.errors import MachineError
from firstlight.images import image_stream
from firstlight.utils import trouble
trouble._WAITS = (0, 0, 0)
def read(name):
    stream = image_stream(Path(name), workers=1, progress=False)
    return sum(int(stack.sum()) for stack in stream), stream.broken
read("small"), read("large")
room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
found = set()
for more in range(0, 140, 2):
    resource.setrlimit(resource.RLIMIT_AS, (room + (more << 20), resource.RLIM_INFINITY))
    try:
        answer = read("large")
    except MachineError:
        answer = "machine"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    found.add(str(answer))
print(sorted(found))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(("form", "options"), [("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("WEBP", {})])
def test_under_any_memory_limit_the_same_pixels_or_none(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for name, pixels in (("small", large[:32, :32]), ("large", large)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "1.img", form, **options)
        (tmp_path / name / "1.img").rename(tmp_path / name / f"1.{form.lower()}")
    done = subprocess.run([sys.executable, "-c", SWEEP], capture_output=True, text=True, cwd=tmp_path, check=True)
    answers = eval(done.stdout)
    assert len(answers) == 2
    assert "machine" in answers
    assert sum(answer.endswith(", [])") for answer in answers) == 1
