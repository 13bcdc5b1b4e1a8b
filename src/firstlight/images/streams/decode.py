"""From an encoded image to 8-bit channels: what Pillow reads, and what it would read wrongly or less exactly.

Pillow decodes; colour profiles and gamma are not applied, alpha is dropped (as by ``convert("RGB")``), and animations
give their first picture. 16 bits become 8 by ``round(x / 257)``, for which Pillow needs help, mode by mode:

====================================  ==========================================  ================================
16-bit image                          what Pillow makes of it                     what is done here
====================================  ==========================================  ================================
grey PNG, TIFF ("I;16", "I;16B")      16 bits; ``convert("L")`` would clip        rounded
grey TIFF, white is zero              16 bits, not inverted                       inverted, rounded
grey TIFF of 12 bits                  0..4095 as "I;16"                           ``round(x * 255 / 4095)``
grey PGM ("I")                        16 bits, scaled to 65535                    rounded
RGB, RGBA, CMYK PNG and TIFF          8 bits, the high byte: ``x // 256``         high and low bytes read, rounded
grey PNG with alpha                   8 bits, the high byte                       high and low bytes read, rounded
RGB TIFF, uncompressed planes         wrong: bytes of one plane taken for pixels  read as 16-bit planes, rounded
RGB TIFF, compressed planes           8 bits, the high byte                       nothing: at most one level off
RGB PPM                               ``round(x * 255 / maxval)``                 nothing: that is exact
TIFF, alpha multiplied in             8 bits, divided by alpha                    nothing
====================================  ==========================================  ================================

Floats, signed and 32-bit integers and CIELAB colours have no agreed 8-bit meaning and are refused.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from firstlight.images.streams.apart import is_image_apart
from firstlight.images.streams.heic import HEIC_ADVICE, is_heic, with_heic
from firstlight.images.streams.image_metadata import upright, without_metadata
from firstlight.images.streams.pixel_guard import guard_of
from firstlight.images.streams.resize import Geometry, Undecodable
from firstlight.images.streams.shortage import check_memory, webp_pixels
from firstlight.utils.text import first_line
from firstlight.utils.trouble import refuse_trouble, trouble_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_NAMES = "jpg jpeg jpe jfif png apng webp tif tiff bmp dib gif ppm pgm pbm pnm avif avifs jp2 j2k j2c jpc jpf jpx "
_NAMES += "heic heif hif"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
# What Pillow may take a file for, whatever its name: never PostScript, which it would hand to Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "AVIF", "JPEG2000")
_TIFF_STARTS = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_PHOTOMETRIC, _BITS, _PLANAR, _SAMPLE_FORMAT = 262, 258, 284, 339  # TIFF tags
_SIGNED = 2
_GRAY = ("1", "L", "LA", "La")
_NO_MEANING = {
    "F": "floating-point pixels, whose range is not known: convert them to 8 bits, or pass them as a .npy file",
    "I": "signed or 32-bit pixels, whose range is not known: convert them to 8 bits",
    "LAB": "CIELAB colours: convert them to RGB",
    "HSV": "HSV colours: convert them to RGB",
}
# The byte of a 16-bit number that Pillow drops is the one that it takes for the other byte order.
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_DEEP = tuple(f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBX", "CMYK") for order in "BLN")


def decode(file: BinaryIO, channels: int, geometry: Geometry) -> np.ndarray:
    """Decode an image file.

    What `trouble_of` the machine keeps from it is raised as it comes.

    Parameters
    ----------
    file : BinaryIO
        Open for reading, at its start; it can be searched.
    channels : {1, 3}
        Grey (ITU-R 601, as Pillow's "L") or RGB.
    geometry : Geometry
        Resizing and cropping, after EXIF orientation and conversion to 8 bits.

    Returns
    -------
    ndarray, shape (channels, H, W), uint8, contiguous

    Raises
    ------
    Undecodable
        With the reason in a few words.
    """
    try:
        return _decoded(file, channels, geometry)
    except Undecodable:
        # Perhaps it is not the pixels that are damaged.
        plain = None if geometry.page else without_metadata(file)
        if plain is not None:
            with contextlib.suppress(Undecodable):
                return _decoded(plain, channels, geometry)
        check_memory(declared_pixels(file, geometry.max_pixels))
        raise


def declared_pixels(file: BinaryIO, max_pixels: int | None) -> int:
    """How many a file declares; 0 where these are more than it may, or its header cannot be read."""
    file.seek(0)
    if (declared := webp_pixels(file.read(30))) is not None:
        from PIL import Image

        return declared if declared <= (max_pixels or Image.MAX_IMAGE_PIXELS or declared) else 0
    try:
        image = _open(file, max_pixels)
    except Exception as error:
        if trouble_of(error):
            raise
        return 0
    return image.width * image.height


def _decoded(file: BinaryIO, channels: int, geometry: Geometry) -> np.ndarray:
    from PIL import UnidentifiedImageError

    try:
        with _reasons():
            return planes(_eight_bits(file, geometry.max_pixels, geometry.page), channels, geometry)
    except UnidentifiedImageError:
        file.seek(0)
        raise Undecodable(_unidentified(file.read(12))) from None


def is_image(path: Path) -> bool:
    """Whether a file begins as an image does, whatever it is called."""
    try:
        with path.open("rb") as file:
            return is_image_apart(file.read(12)) or bool(_open(file, None))
    except OSError as error:  # Pillow's own kind of it: no image
        refuse_trouble(error, str(path))
        return False
    except Exception:  # damaged, or without a meaning in 8 bits: told when it is decoded
        return True


def planes(image: "Image", channels: int, geometry: Geometry) -> np.ndarray:
    """The channels of an image that Pillow has decoded: (channels, H, W) uint8, contiguous.

    Raises
    ------
    Undecodable
        It is of a kind without an 8-bit meaning, or too small for the crop.
    """
    with _reasons():
        if image.mode.startswith("I;16"):
            image = _from_array(_levels(65535)[np.asarray(image)])
        _refuse_mode(image.mode)
        pixels = np.asarray(geometry.apply(_colours(image, channels)))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decoders(max_pixels: int | None = None) -> str:
    """What decodes, with versions: pixels of the same file may differ between them by a level."""
    import PIL.Image
    from PIL import features

    libraries = ("libjpeg_turbo", "jpg", "zlib", "webp", "libtiff")
    versions = [f"{name} {features.version(name)}" for name in libraries]
    return ", ".join(
        [f"pillow {PIL.__version__}", *versions, f"at most {max_pixels or PIL.Image.MAX_IMAGE_PIXELS} pixels"]
    )


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    from PIL import UnidentifiedImageError

    try:
        yield
    except (Undecodable, UnidentifiedImageError):
        raise
    except Exception as error:  # damaged files make Pillow's parsers raise anything: struct.error, TypeError, ...
        if trouble_of(error):
            raise
        raise Undecodable(first_line(error)) from None


def _unidentified(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if is_heic(start):
        return HEIC_ADVICE
    if start[:4] in _TIFF_STARTS:
        return "a TIFF of a kind that Pillow does not read, such as 64-bit or several channels of floats"
    return "cannot identify image file"


def _eight_bits(file: BinaryIO, max_pixels: int | None, page: int) -> "Image":
    """Decode to an image of 8 bits a channel, upright, in any of Pillow's modes for them."""
    image = _open(file, max_pixels, page)
    tags: Any = getattr(image, "tag_v2", {})
    modes = [found for tile in image.tile if (found := _byte_modes(_raw_mode(tile.args), tags))]
    if modes and len(modes) == len(image.tile):
        gray_alpha = _raw_mode(image.tile[0].args) == "LA;16B"
        high = np.asarray(_load(image, [of_tile[0] for of_tile in modes]))
        mode, image = image.mode, None  # let go of it: large images fill the memory
        low = np.asarray(_load(_open(file, max_pixels, page), [of_tile[1] for of_tile in modes]))
        if gray_alpha:
            mode, high, low = "L", high[..., 0], low[..., 1]
        levels, rounded = _levels(65535), np.empty_like(low)
        for row in range(len(low)):
            rounded[row] = levels[np.left_shift(high[row], 8, dtype=np.uint16) | low[row]]
        return _from_array(rounded, mode)
    top = 4095 if tags.get(_BITS) == (12,) else 65535
    inverted = tags.get(_PHOTOMETRIC) == 0
    wide = image.mode == "I" or image.mode.startswith("I;16")
    upright = _load(image, None)
    if not wide:
        return upright
    levels = _levels(top)
    return _from_array((levels[::-1] if inverted else levels)[np.asarray(upright)])


def _open(file: BinaryIO, max_pixels: int | None, page: int = 0) -> "ImageFile":
    """Read the header, and refuse what has no meaning, or more pixels than is safe."""
    from PIL import Image

    file.seek(0)
    most = max_pixels or Image.MAX_IMAGE_PIXELS
    too_large = (
        f"declares more than {most or 0:,} pixels: a decompression bomb; if it is none, allow them with --max-pixels "
        "(max_pixels=)"
    )
    try:
        with guard_of(max_pixels):
            image = Image.open(file, formats=with_heic(_FORMATS))
            image.seek(page)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Undecodable(too_large) from None
    if most is not None and image.width * image.height > most:
        raise Undecodable(too_large)  # where Pillow only warns
    if image.mode != "I" or image.format not in ("PNG", "PPM"):
        _refuse_mode(image.mode)
    if _SIGNED in getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, ()):
        raise Undecodable(_NO_MEANING["I"])
    if image.format == "TIFF" and sum(map(_area, image.tile)) < image.width * image.height:
        raise Undecodable("strips or tiles are missing")  # Pillow would leave them black
    return image


def _area(tile: Any) -> int:
    left, top, right, bottom = tile.extents
    return (right - left) * (bottom - top)


def _load(image: "ImageFile", raw_modes: list[str] | None) -> "Image":
    """Decode, with other raw modes than Pillow has chosen for its tiles if given, and turn upright."""
    if raw_modes is not None:
        image.tile = [
            tile._replace(args=(mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode)
            for tile, mode in zip(image.tile, raw_modes, strict=True)
        ]
    return upright(image)


def _raw_mode(args: Any) -> Any:
    return args[0] if isinstance(args, tuple) and args else args


def _byte_modes(raw_mode: Any, tags: Any) -> tuple[str, str] | None:
    """The raw modes by which Pillow unpacks the high and the low bytes of 16-bit channels; None where it need not."""
    compressed_planes = tags and tags.get(_PLANAR) == 2 and raw_mode not in tuple("RGBA")
    if raw_mode in _DEEP and not compressed_planes:
        return raw_mode, raw_mode[:-1] + _OTHER_ORDER[raw_mode[-1]]
    if raw_mode == "LA;16B":  # the four bytes of a pixel: high and low of grey, high and low of alpha
        return "RGBA", "RGBA"
    if raw_mode in tuple("RGBA") and set(tags.get(_BITS, ())) == {16}:  # one plane of a TIFF
        order = "L" if tags.prefix == b"II" else "B"
        return f"{raw_mode};16{order}", f"{raw_mode};16{_OTHER_ORDER[order]}"
    return None


def _refuse_mode(mode: str) -> None:
    if mode in _NO_MEANING:
        raise Undecodable(_NO_MEANING[mode])


def _levels(top: int) -> np.ndarray:
    """``round(x * 255 / top)`` for every x in 0..top, in integers; no ties occur with the tops in use."""
    return ((np.arange(top + 1) * 510 + top) // (2 * top)).astype(np.uint8)


def _from_array(pixels: np.ndarray, mode: str = "L") -> "Image":
    from PIL.Image import frombytes

    return frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())


def _colours(image: "Image", channels: int) -> "Image":
    """Convert an 8-bit image to grey or RGB as Pillow does, by steps that it takes without a warning."""
    if channels == 1 and image.mode in _GRAY:
        return image.convert("LA").convert("L") if image.mode == "La" else image.convert("L")
    if image.mode in ("P", "PA", "RGBa", "La"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode != "RGB":
        image = image.convert("RGB")
    return image if channels == 3 else image.convert("L")
