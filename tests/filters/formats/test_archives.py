"""Archives that nobody vouches for: bounded directories and members, for every reader of a zip."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from firstlight.errors import FirstlightError, SourceError
from firstlight.filters import load_filters
from firstlight.filters.formats.archives import LARGEST_DIRECTORY, LARGEST_JSON, open_archive, read_member
from firstlight.filters.formats.exported.reader import read_exported
from firstlight.filters.formats.keras.model import read_in_process
from firstlight.filters.formats.numpy.reader import read_numpy
from firstlight.filters.formats.torch.reader import read_torch

READERS = [lambda path, source: load_filters(path), read_exported, read_in_process, read_numpy, read_torch]
CONTENT = bytes(range(256)) * 40


def packed(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def directory(content: bytes, size: int | None = None) -> bytes:
    """An archive of nothing but a directory, which may declare to be larger than it is."""
    size = len(content) if size is None else size
    return b"PK\3\4" + content + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 4, 0)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_span_of_a_member_is_what_was_written(tmp_path: Path, method: int, one: int, other: int):
    start, stop = sorted((one, other))
    with open_archive(packed(tmp_path / "a.zip", method, member=CONTENT)) as archive:
        assert read_member(archive, "member") == CONTENT
        assert read_member(archive, "member", (start, stop)) == CONTENT[start:stop]


def refused(path: Path, name: str = "member", span: tuple[int, int] | None = None) -> str:
    with open_archive(path) as archive, pytest.raises(SourceError) as caught:
        read_member(archive, name, span)
    return str(caught.value)


def test_members_that_are_not_what_was_asked_for(tmp_path: Path):
    path = packed(tmp_path / "a.zip", member=bytes(LARGEST_JSON + 1), small=CONTENT)
    assert refused(path, "other") == "has no member 'other'; expected one: the file is incomplete"
    assert "member declares 16,777,217 bytes; expected at most 16,777,216" in refused(path)
    assert "small holds 10,240 bytes; expected at least 10,241" in refused(path, "small", (10_240, 10_241))
    for method, number in ((zipfile.ZIP_BZIP2, 12), (zipfile.ZIP_LZMA, 14)):
        assert f"compressed by method {number}" in refused(packed(tmp_path / "a.zip", method, member=CONTENT))


def test_a_member_that_unfolds_to_more_than_it_declares_is_cut(tmp_path: Path):
    data = bytearray(packed(tmp_path / "a.zip", member=bytes(1 << 26)).read_bytes())
    for mark, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = data.index(mark) + place
        data[start : start + 4] = (5).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with open_archive(tmp_path / "a.zip") as archive, pytest.raises(zipfile.BadZipFile, match="CRC-32"):
        read_member(archive, "member")


ENTRY = b"PK\1\2" + bytes(42)
DIRECTORIES = [
    directory(ENTRY * 400_000),  # of 18 MB, which Python would hold as a hundred times as much
    directory(ENTRY, 0x7FFFFFFF),
    directory(ENTRY[:28] + b"\2\0" + ENTRY[30:8] + bytes(30)),
    directory(ENTRY[:8] + b"\0\x08" + ENTRY[10:28] + b"\2\0" + ENTRY[30:] + b"\xff\xfe"),  # a name that is no UTF-8
    directory(ENTRY[:6] + b"\xff\0" + ENTRY[8:]),  # made for a version that is still to come
    directory(bytes(46)),
    directory(b"", 1),
    b"PK\3\4",
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("number", range(len(DIRECTORIES)))
def test_every_reader_refuses_a_bad_directory_in_one_line(tmp_path: Path, read: Callable[..., Any], number: int):
    path = tmp_path / "net.zip"
    path.write_bytes(DIRECTORIES[number])
    with pytest.raises(FirstlightError) as caught:
        read(path, "net.zip")
    assert "net.zip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_too_long_is_told_before_it_is_read(tmp_path: Path):
    path = tmp_path / "a.zip"
    path.write_bytes(DIRECTORIES[0])
    assert len(ENTRY) * 400_000 > LARGEST_DIRECTORY
    with pytest.raises(zipfile.BadZipFile, match="directory of members takes 18,400,000 bytes; expected at most 16,"):
        open_archive(path).__enter__()
    path.write_bytes(directory(ENTRY * 300_000))
    with open_archive(path) as archive:
        assert len(archive.infolist()) == 300_000


@given(st.binary(max_size=200), st.integers(0, 3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_directory_is_opened_or_is_a_bad_zip_file(tmp_path: Path, noise: bytes, kept: int):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("name", b"content")
    data = bytearray(file.getvalue())
    start = data.index(b"PK\1\2") + 4 * kept
    data[start : start + len(noise)] = noise[: len(data) - 22 - start]
    (tmp_path / "a.zip").write_bytes(data)
    message = ""
    try:
        with open_archive(tmp_path / "a.zip") as opened:
            opened.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        message = str(error)
    assert "\n" not in message
