import io
import struct
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from tests.images.streams.files import bomb, chunk, chw, exif, noise, pillow, png, tiff

from firstlight.images.streams.decode import decode, decoders, planes
from firstlight.images.streams.resize import Geometry, Undecodable

UNCHANGED = Geometry.of(None, None)
RGB, GRAY = noise(11, 7, 3), noise(11, 7)
ALPHA = noise(11, 7, 4)
DEEP, DEEP_GRAY, DEEP_ALPHA = (
    noise(11, 7, 3, dtype="uint16"),
    noise(11, 7, dtype="uint16"),
    noise(11, 7, 4, dtype="uint16"),
)
MANY = np.tile(DEEP, (3, 4, 1))
SEPARATE = {"photometric": "rgb", "planarconfig": "separate"}
ALPHA_LAST, WHITE, BLACK = (
    {"extrasamples": ["unassalpha"]},
    {"photometric": "minisblack"},
    {"photometric": "miniswhite"},
)


def read(content: bytes, channels: int = 3) -> np.ndarray:
    return decode(io.BytesIO(content), channels, UNCHANGED)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def rounded(values: np.ndarray, top: int = 65535) -> np.ndarray:
    return np.round(values * (255 / top)).astype(np.uint8)


def gray(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601, in the integers that Pillow uses."""
    red, green, blue = rgb[..., :3].astype(int).transpose(2, 0, 1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).astype(np.uint8)


def from_cmyk(ink: np.ndarray) -> np.ndarray:
    """What Pillow makes of inks: (255 - c) (255 - k) / 255, rounded."""
    return np.round((255.0 - ink[..., :3]) * (255.0 - ink[..., 3:]) / 255).astype(np.uint8)


COLOUR = {
    "png": (png(RGB, 2), RGB),
    "png rgba": (png(ALPHA, 6), ALPHA[..., :3]),
    "png 16 bits": (png(DEEP, 2), rounded(DEEP)),
    "png 16 bits rgba": (png(DEEP_ALPHA, 6), rounded(DEEP_ALPHA[..., :3])),
    "webp": (pillow(RGB, "WEBP", lossless=True), RGB),
    "bmp": (pillow(RGB, "BMP"), RGB),
    "ppm": (pillow(RGB, "PPM"), RGB),
    "ppm text": (b"P3 1 2 255\n1 2 3 4 5 6", np.array([[[1, 2, 3]], [[4, 5, 6]]], np.uint8)),
    "ppm 16 bits": (b"P6 7 11 65535\n" + DEEP.astype(">u2").tobytes(), rounded(DEEP)),
    "tiff": (tiff(RGB, photometric="rgb"), RGB),
    "tiff rgba": (tiff(ALPHA, photometric="rgb", **ALPHA_LAST), ALPHA[..., :3]),
    "tiff planes": (tiff(chw(RGB), **SEPARATE), RGB),
    "tiff deflated": (tiff(RGB, photometric="rgb", compression="zlib"), RGB),
    "tiff tiles": (tiff(np.tile(RGB, (3, 4, 1)), photometric="rgb", tile=(16, 16)), np.tile(RGB, (3, 4, 1))),
    "tiff 16 bits": (tiff(DEEP, photometric="rgb"), rounded(DEEP)),
    "tiff 16 bits big-endian": (tiff(DEEP, photometric="rgb", byteorder=">"), rounded(DEEP)),
    "tiff 16 bits deflated": (tiff(DEEP, photometric="rgb", compression="zlib"), rounded(DEEP)),
    "tiff 16 bits deflated big-endian": (tiff(DEEP, compression="zlib", byteorder=">"), rounded(DEEP)),
    "tiff 16 bits strips": (tiff(DEEP, photometric="rgb", rowsperstrip=2), rounded(DEEP)),
    "tiff 16 bits tiles": (tiff(MANY, photometric="rgb", tile=(16, 16)), rounded(MANY)),
    "tiff 16 bits rgba": (tiff(DEEP_ALPHA, photometric="rgb", **ALPHA_LAST), rounded(DEEP_ALPHA[..., :3])),
    "tiff 16 bits planes": (tiff(chw(DEEP), **SEPARATE), rounded(DEEP)),
    "tiff 16 bits planes big-endian": (tiff(chw(DEEP), byteorder=">", **SEPARATE), rounded(DEEP)),
    "tiff 16 bits planes deflated": (tiff(chw(DEEP), compression="zlib", **SEPARATE), (DEEP >> 8).astype(np.uint8)),
    "tiff cmyk": (tiff(ALPHA, photometric="separated"), from_cmyk(ALPHA)),
    "tiff 16 bits cmyk": (tiff(DEEP_ALPHA, photometric="separated"), from_cmyk(rounded(DEEP_ALPHA))),
}  # fmt: skip
WITHOUT_COLOUR = {
    "png": (png(GRAY, 0), GRAY),
    "png alpha": (png(ALPHA[..., :2], 4), ALPHA[..., 0]),
    "png 16 bits": (png(DEEP_GRAY, 0), rounded(DEEP_GRAY)),
    "png 16 bits alpha": (png(DEEP[..., :2], 4), rounded(DEEP[..., 0])),
    "pgm": (pillow(GRAY, "PPM"), GRAY),
    "pgm 16 bits": (b"P5 7 11 65535\n" + DEEP_GRAY.astype(">u2").tobytes(), rounded(DEEP_GRAY)),
    "pgm 12 bits": (b"P5 7 11 4095\n" + (DEEP_GRAY >> 4).astype(">u2").tobytes(), rounded(DEEP_GRAY >> 4, 4095)),
    "tiff": (tiff(GRAY), GRAY),
    "tiff white is zero": (tiff(GRAY, **BLACK), 255 - GRAY),
    "tiff alpha": (tiff(ALPHA[..., :2], planarconfig="contig", **WHITE, **ALPHA_LAST), ALPHA[..., 0]),
    "tiff 16 bits": (tiff(DEEP_GRAY), rounded(DEEP_GRAY)),
    "tiff 16 bits big-endian": (tiff(DEEP_GRAY, byteorder=">"), rounded(DEEP_GRAY)),
    "tiff 16 bits deflated": (tiff(DEEP_GRAY, compression="zlib"), rounded(DEEP_GRAY)),
    "tiff 16 bits deflated big-endian": (tiff(DEEP_GRAY, compression="zlib", byteorder=">"), rounded(DEEP_GRAY)),
    "tiff 16 bits white is zero": (tiff(DEEP_GRAY, **BLACK), rounded(65535 - DEEP_GRAY)),
    "tiff 16 bits white is zero deflated": (tiff(DEEP_GRAY, compression="zlib", **BLACK), rounded(65535 - DEEP_GRAY)),
}  # fmt: skip


@pytest.mark.parametrize("kind", COLOUR)
def test_colour(kind: str) -> None:
    content, pixels = COLOUR[kind]
    found = read(content)
    assert (found.dtype, found.flags.c_contiguous) == (np.uint8, True)
    np.testing.assert_array_equal(found, chw(pixels))
    np.testing.assert_array_equal(read(content, 1), gray(pixels)[None])


@pytest.mark.parametrize("kind", WITHOUT_COLOUR)
def test_gray(kind: str) -> None:
    content, pixels = WITHOUT_COLOUR[kind]
    np.testing.assert_array_equal(read(content, 1), pixels[None])
    np.testing.assert_array_equal(read(content), np.stack([pixels] * 3))


def test_jpeg_2000_and_avif() -> None:
    np.testing.assert_array_equal(read(pillow(RGB, "JPEG2000")), chw(RGB))
    np.testing.assert_array_equal(read(pillow(GRAY, "JPEG2000", no_jp2=True), 1)[0], GRAY)
    np.testing.assert_array_equal(read(pillow(DEEP_GRAY, "JPEG2000"), 1)[0], rounded(DEEP_GRAY))
    smooth = np.mgrid[:32, :48].sum(0).astype(np.uint8)
    found = read(pillow(smooth, "AVIF", quality=100, exif=exif(6)), 1)[0].astype(int)
    assert found.shape == (48, 32)
    assert np.abs(found - np.rot90(smooth, -1)).max() <= 3


def test_every_16_bit_level_is_rounded() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    deep = np.stack([levels, levels[::-1], levels.T], axis=-1)
    for content in (png(deep, 2, filtered=False), tiff(deep, photometric="rgb")):
        np.testing.assert_array_equal(read(content), chw(rounded(deep)))
    for content in (
        png(levels, 0, filtered=False),
        tiff(levels),
        b"P5 256 256 65535\n" + levels.astype(">u2").tobytes(),
    ):
        np.testing.assert_array_equal(read(content, 1)[0], rounded(levels))


def bare_tiff(width: int, height: int, bits: int, strip: bytes) -> bytes:
    """A grey TIFF with a single strip, which may be too short."""
    tags = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 6),
        (279, len(strip)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II\x2a\x00" + struct.pack("<I", 8 + len(strip)) + strip + directory


def test_12_bit_tiff() -> None:
    values = noise(6, 8, dtype="uint16") >> 4
    packed = bytearray()
    for first, second in values.reshape(-1, 2).tolist():  # two samples in three bytes
        packed += bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    content = bare_tiff(8, 6, 12, bytes(packed))
    np.testing.assert_array_equal(read(content, 1)[0], rounded(values, 4095))


def test_missing_strips_are_not_taken_for_black() -> None:
    assert read(bare_tiff(8, 6, 8, bytes(48))).shape == (3, 6, 8)
    for height in (7, 8_000_000):
        with pytest.raises(Undecodable, match="strips or tiles are missing"):
            read(bare_tiff(8, height, 8, bytes(48)))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM"])
def test_1_bit(form: str) -> None:
    bits = GRAY > 99
    np.testing.assert_array_equal(read(saved(Image.fromarray(bits), form), 1)[0], bits * np.uint8(255))


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("PNG", {"transparency": bytes(range(100, 164))})],
)
def test_palette(form: str, options: dict[str, Any]) -> None:
    palette, index = noise(64, 3), GRAY % 64
    index.flat[:64] = np.arange(64)  # GIF drops colours that do not occur
    image = Image.frombytes("P", (7, 11), index.tobytes())
    image.putpalette(palette.tobytes())
    content = saved(image, form, **options)
    np.testing.assert_array_equal(read(content), chw(palette[index]))
    np.testing.assert_array_equal(read(content, 1)[0], gray(palette[index]))


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("CMYK", 3)])
def test_jpeg_is_close_to_what_was_written(mode: str, channels: int) -> None:
    rows, columns = np.mgrid[:64, :48]
    smooth = np.stack([3 * rows, 4 * columns, rows + columns], axis=-1).astype(np.uint8)
    image = Image.fromarray(smooth).convert(mode)
    found = read(saved(image, "JPEG", quality=95, subsampling=0), channels).astype(int)
    assert np.abs(found - (chw(smooth) if channels == 3 else gray(smooth)[None])).max() <= 6


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_picture_of_an_animation(form: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    content = saved(
        first, form, save_all=True, append_images=[second], **({"lossless": True} if form == "WEBP" else {})
    )
    np.testing.assert_array_equal(read(content)[:, 0, 0], [255, 0, 0])


UPRIGHT = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(orientation: int) -> None:
    turn = UPRIGHT[orientation]
    tag = [(274, "H", 1, orientation, True)]
    camera = exif(orientation)
    for content, pixels in (
        (png(RGB, 2, chunk(b"eXIf", camera)), RGB),
        (png(DEEP, 2, chunk(b"eXIf", camera)), rounded(DEEP)),
        (png(DEEP[..., :2], 4, chunk(b"eXIf", camera)), np.stack([rounded(DEEP[..., 0])] * 3, axis=-1)),
        (png(DEEP_GRAY, 0, chunk(b"eXIf", camera)), np.stack([rounded(DEEP_GRAY)] * 3, axis=-1)),
        (pillow(RGB, "WEBP", lossless=True, exif=camera), RGB),
        (tiff(RGB, photometric="rgb", extratags=tag), RGB),
        (tiff(RGB, photometric="rgb", extratags=tag, compression="zlib"), RGB),
        (tiff(DEEP, photometric="rgb", extratags=tag), rounded(DEEP)),
        (tiff(DEEP, photometric="rgb", extratags=tag, compression="zlib"), rounded(DEEP)),
        (tiff(chw(DEEP), extratags=tag, **SEPARATE), rounded(DEEP)),
        (tiff(DEEP_GRAY, extratags=tag), np.stack([rounded(DEEP_GRAY)] * 3, axis=-1)),
    ):
        np.testing.assert_array_equal(read(content), chw(turn(pixels)))
    corners = np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((16, 24), np.uint8))
    found = read(pillow(corners, "JPEG", quality=100, exif=b"Exif\0\0" + camera), 1)[0]
    assert found.shape == turn(corners).shape
    assert np.abs(found.astype(int) - turn(corners)).max() <= 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(DEEP_GRAY.astype("f4")), "floating-point pixels"),
        (tiff(DEEP_GRAY.astype("f8")), "a TIFF of a kind that Pillow does not read"),
        (tiff(DEEP.astype("f4"), photometric="rgb"), "a TIFF of a kind that Pillow does not read"),
        (tiff(DEEP_GRAY.astype("i4")), "signed or 32-bit pixels"),
        (tiff(DEEP_GRAY.astype("u4")), "signed or 32-bit pixels"),
        (tiff(DEEP_GRAY.astype("i2")), "signed or 32-bit pixels"),
        (tiff(GRAY.astype("i1")), "signed or 32-bit pixels"),
        (tiff(RGB, photometric="cielab"), "CIELAB colours"),
        (b"Pf\n7 11\n-1.0\n" + bytes(308), "floating-point pixels"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which Pillow reads with a plugin: pip install pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "pip install pillow-heif"),
        (b"\0\0\0\x0cftypavif", "."),
        (pillow(RGB, "AVIF")[:-60], "."),
        (pillow(RGB, "JPEG2000")[:-60], "."),
        (b"", "the file is empty"),
        (b"these are not the images you are looking for", "cannot identify image file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", "cannot identify image file"),
        (bomb(), "declares more than 89,478,485 pixels: a decompression bomb"),
        (png(RGB, 2)[:150], "truncated"),
        (pillow(RGB, "JPEG")[:-60], "truncated"),
        (pillow(RGB, "BMP")[:-60], "truncated"),
        (tiff(RGB, photometric="rgb")[:-60], "truncated"),
        (pillow(noise(64, 64, 3), "WEBP", lossless=True)[:2000], "."),
        (pillow(GRAY, "GIF")[:-60], "."),
        (pillow(RGB, "PPM")[:-60], "."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason) as caught:
        read(content)
    assert str(caught.value).isprintable()


def test_postscript_is_not_run_even_when_pillow_could() -> None:
    with Image.open(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n\n")) as image:
        assert image.format == "EPS"  # unrestricted, Pillow would hand this to Ghostscript


SEEDS = [content for kinds in (COLOUR, WITHOUT_COLOUR) for content, _ in kinds.values()]
SEEDS += [pillow(RGB, "JPEG", exif=b"Exif\0\0" + exif(6)), pillow(GRAY, "GIF"), pillow(RGB, "WEBP")]
SEEDS += [pillow(RGB, "AVIF"), pillow(RGB, "JPEG2000"), pillow(GRAY, "JPEG2000", no_jp2=True)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_files_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for _ in range(data.draw(st.integers(1, 8)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    start = time.monotonic()
    try:
        assert read(bytes(damaged)).dtype == np.uint8
    except Undecodable as error:
        assert str(error).isprintable()  # noqa: PT017 - either outcome is fine
    assert time.monotonic() - start < 10


def test_images_that_pillow_holds() -> None:
    np.testing.assert_array_equal(planes(Image.fromarray(RGB), 3, UNCHANGED), chw(RGB))
    np.testing.assert_array_equal(planes(Image.fromarray(DEEP_GRAY), 1, UNCHANGED)[0], rounded(DEEP_GRAY))


@pytest.mark.parametrize("by", [["RGBA", "RGBa"], ["LA", "La"], ["LA", "PA"], ["RGBX"], ["P"], ["1"]])
def test_modes_that_are_opaque_when_alpha_is_full(by: list[str]) -> None:
    image = Image.fromarray(np.where(np.arange(7) % 2, 255, 0).astype(np.uint8)[None].repeat(11, axis=0)).convert("RGB")
    pixels = chw(np.asarray(image))
    for mode in by:
        image = image.convert(mode)
    np.testing.assert_array_equal(planes(image, 3, UNCHANGED), pixels)
    np.testing.assert_array_equal(planes(image, 1, UNCHANGED), pixels[:1])


@pytest.mark.parametrize(("by", "reason"), [("F", "floating"), ("I", "signed"), ("HSV", "HSV")])
def test_modes_without_an_8_bit_meaning(by: str, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        planes(Image.fromarray(RGB).convert("RGB" if by == "HSV" else "L").convert(by), 3, UNCHANGED)


def test_guard_against_bombs_is_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(RGB, 2)
    for most, warns in ((77, False), (76, True), (30, True)):  # 7 x 11 pixels
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if warns:
                with pytest.raises(Undecodable, match=f"declares more than {most} pixels"):
                    read(content)
            else:
                read(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    read(content)


def test_more_pixels_are_read_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(RGB, 2)  # 7 x 11 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(Undecodable, match=r"declares more than 30 pixels.*--max-pixels \(max_pixels=\)"):
        read(content)
    assert decode(io.BytesIO(content), 3, Geometry.of(None, None, 77)).shape == (3, 11, 7)
    assert Image.MAX_IMAGE_PIXELS == 30
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Undecodable, match="declares more than 76 pixels"):
        decode(io.BytesIO(content), 3, Geometry.of(None, None, 76))
    assert decoders(76) != decoders()  # so that sums in the cache are of the same images
