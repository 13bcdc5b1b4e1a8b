"""What lies beside whole pixels, damaged or too long, costs no image; an orientation that can be read is applied."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, UnidentifiedImageError
from tests.images.streams.files import chunk, chw, exif, noise, pillow, png, tiff

from firstlight.images.streams.decode import decode
from firstlight.images.streams.image_metadata import without_metadata
from firstlight.images.streams.resize import Geometry, Undecodable

RGB = noise(11, 7, 3)
DEEP = noise(11, 7, 3, dtype="uint16")
JPEG = pillow(RGB, "JPEG", quality=95)
LONG = zlib.compress(bytes(3 << 20))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Pillow warns of what is damaged; the command line does not pass that on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def read(content: bytes) -> np.ndarray:
    return decode(io.BytesIO(content), 3, Geometry.of(None, None))


def entry(tag: int, kind: int, value: bytes, count: int = 1) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")


def directory(*entries: bytes) -> bytes:
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)


TURNED = entry(0x112, 3, b"\6\0")


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    parts = (bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    return JPEG[:2] + b"".join(parts) + JPEG[2:]


@pytest.mark.parametrize(
    "block",
    [
        directory(TURNED, entry(0x10F, 11, struct.pack("<f", 1.5))),
        directory(TURNED, entry(0x128, 2, b"abc", 4)),
        directory(TURNED, entry(0x11A, 7, b"abcd", 4)),
        directory(TURNED, entry(0x8769, 2, b"abc", 4)),
        directory(TURNED, entry(0x8769, 4, b"\xff\xff\xff\xff")),
        directory(TURNED, entry(0x8825, 7, b"abcd", 4)),
        directory(TURNED, entry(0x132, 2, b"\xff\xff\0\0", 1 << 20)),
        directory(TURNED)[:-4],
        directory(TURNED, bytes(12))[:-9],
        directory(entry(0x112, 4, b"\6")),
    ],
)
def test_odd_entries_of_an_exif_block_leave_the_orientation(block: bytes) -> None:
    np.testing.assert_array_equal(read(jpeg((0xE1, b"Exif\0\0" + block))), np.rot90(read(JPEG), -1, (1, 2)))
    np.testing.assert_array_equal(read(png(RGB, 2, chunk(b"eXIf", block))), chw(np.rot90(RGB, -1)))
    deep = np.round(np.rot90(DEEP, -1) / 257).astype(np.uint8)
    np.testing.assert_array_equal(read(png(DEEP, 2, chunk(b"eXIf", block))), chw(deep))
    np.testing.assert_array_equal(read(pillow(RGB, "WEBP", lossless=True, exif=block)), chw(np.rot90(RGB, -1)))


@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\0\x08", b"II*\0\xff\xff\xff\xff", b"nonsense", directory(TURNED)[:12]]
)
def test_of_an_exif_block_without_an_orientation_the_pixels_stay(block: bytes) -> None:
    np.testing.assert_array_equal(read(jpeg((0xE1, b"Exif\0\0" + block))), read(JPEG))
    np.testing.assert_array_equal(read(png(RGB, 2, chunk(b"eXIf", block))), chw(RGB))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_is_passed_over(value: int) -> None:
    np.testing.assert_array_equal(read(png(RGB, 2, chunk(b"eXIf", exif(value)))), chw(RGB))


EXTRAS = {
    "long profile": chunk(b"iCCP", b"p\0\0" + LONG),
    "long text": chunk(b"zTXt", b"prompt\0\0" + LONG),
    "long international text": chunk(b"iTXt", b"workflow\0\1\0\0\0" + LONG),
    "many texts": chunk(b"tEXt", b"k\0" + bytes(1 << 20)) * 70,
    "text of another method": chunk(b"zTXt", b"k\0\7abc"),
    "wrong checksum": chunk(b"tEXt", b"k\0v")[:-1] + b"?",
    "short resolution": chunk(b"pHYs", b"\0"),
    "short animation": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.parametrize("at_end", [False, True])
def test_chunks_that_no_pixel_needs_cost_no_png(name: str, at_end: bool) -> None:
    plain = png(RGB, 2)
    content = plain[:-12] + EXTRAS[name] + plain[-12:] if at_end else png(RGB, 2, EXTRAS[name])
    np.testing.assert_array_equal(read(content), chw(RGB))
    turned = content[:33] + chunk(b"eXIf", exif(6)) + content[33:]
    np.testing.assert_array_equal(read(turned), chw(np.rot90(RGB, -1)))


def test_a_wrong_checksum_of_the_exif_costs_no_png() -> None:
    np.testing.assert_array_equal(read(png(RGB, 2, chunk(b"eXIf", exif(6))[:-1] + b"?")), chw(RGB))


def test_transparency_of_a_palette_is_kept() -> None:
    index = Image.frombytes("P", (7, 11), (noise(11, 7) % 64).tobytes())
    index.putpalette(noise(64, 3).tobytes())
    sink = io.BytesIO()
    index.save(sink, "PNG", transparency=bytes(range(64)))
    content = sink.getvalue()
    np.testing.assert_array_equal(read(content[:33] + EXTRAS["long profile"] + content[33:]), read(content))


def test_damaged_blocks_of_a_jpeg() -> None:
    photoshop = b"Photoshop 3.0\0" + b"8BIM\3\xed"
    content = jpeg((0xED, photoshop), (0xE1, b"Exif\0\0" + directory(TURNED)), (0xFE, b"comment"))
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(content))
    np.testing.assert_array_equal(read(content), np.rot90(read(JPEG), -1, (1, 2)))


@pytest.mark.parametrize(
    "tag", [(0x8769, "I", 1, 1 << 30, True), (0x8825, "I", 1, 3, True), (700, "B", 4, b"<x/>", True)]
)
def test_damaged_directories_of_a_tiff(tag: Any) -> None:
    tags = [tag, (274, "H", 1, 6, True)]
    np.testing.assert_array_equal(read(tiff(RGB, photometric="rgb", extratags=tags)), chw(np.rot90(RGB, -1)))


def test_pixels_that_are_damaged_are_told_as_before() -> None:
    content = png(RGB, 2, EXTRAS["long text"])
    with pytest.raises(Undecodable, match="too large for PngImagePlugin"):
        read(content[:-60])
    with pytest.raises(Undecodable, match="truncated"):
        read(png(RGB, 2, chunk(b"tEXt", b"k\0v"))[:-60])


def test_what_has_nothing_beside_its_pixels_is_not_tried_again() -> None:
    for content in (b"", b"\x89PNG\r\n\x1a\n", png(RGB, 2), b"\xff\xd8", b"\xff\xd8\xff", pillow(RGB, "GIF")):
        assert without_metadata(io.BytesIO(content)) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_beside_the_pixels_leave_these(block: bytes, in_exif: bool) -> None:
    beside = (0xE1, b"Exif\0\0" + block) if in_exif else (0xED, b"Photoshop 3.0\0" + block)
    assert sorted(read(jpeg(beside)).shape) == [3, 7, 11]
    assert sorted(read(png(RGB, 2, chunk(b"eXIf" if in_exif else b"iCCP", block))).shape) == [3, 7, 11]
