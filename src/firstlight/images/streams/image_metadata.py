"""Images whose pixels are whole, whatever the profiles, texts and previews beside them are.

Pillow refuses a file for a PNG's text or colour profile that is damaged or unfolds to over a megabyte, and for some
damaged blocks of a JPEG. What pixels, transparency and orientation do not need can be left out, and the file tried
again.
"""

import io
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from firstlight.utils.trouble import trouble_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_START_OF_SCAN, _APP_1, _APP_15, _ADOBE, _COMMENT = 0xDA, 0xE1, 0xEF, 0xEE, 0xFE
_ORIENTATION = 274  # the EXIF tag, and how to undo each of its values
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270"}
_TURNS |= {7: "TRANSVERSE", 8: "ROTATE_90"}


def without_metadata(file: BinaryIO) -> BinaryIO | None:
    """The same PNG or JPEG without them; None where that is no change.

    Parameters
    ----------
    file : BinaryIO
        Open for reading; it can be searched.
    """
    file.seek(0)
    content = file.read()
    if content.startswith(_PNG):
        plain = _PNG + b"".join(_png_chunks(content))
    elif content.startswith(_JPEG):
        plain = _JPEG + b"".join(_jpeg_segments(content))
    else:
        return None
    return io.BytesIO(plain) if len(plain) < len(content) else None


def upright(image: "ImageFile") -> "Image":
    """Decode, and turn as the EXIF says, where that can be read."""
    from PIL.Image import Exif, Transpose

    if image.format == "TIFF":  # Pillow turns it by itself, and would read all directories in the file for that
        only = Exif()
        only[_ORIENTATION] = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1)
        image.getexif = lambda: only
    image.load()
    # ImageOps.exif_transpose would write all of the EXIF anew, which fails where anything in it is odd.
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception as error:  # whatever Pillow's parsers raise on a damaged one
        if trouble_of(error):
            raise
        turn = None
    return image.transpose(Transpose[turn]) if turn else image


def _png_chunks(content: bytes) -> Iterator[bytes]:
    start = len(_PNG)
    while start < len(content):
        stop = start + 12 + int.from_bytes(content[start : start + 4], "big")
        kind, checksum = content[start + 4 : start + 8], content[stop - 4 : stop]
        ancillary = kind[:1] > b"Z"
        damaged = int.from_bytes(checksum, "big") != zlib.crc32(content[start + 4 : stop - 4])
        if not ancillary or kind == b"tRNS" or (kind == b"eXIf" and not damaged):
            yield content[start:stop]
        start = stop


def _jpeg_segments(content: bytes) -> Iterator[bytes]:
    start = len(_JPEG)
    while start + 4 <= len(content) and content[start] == 0xFF and (kind := content[start + 1]) != _START_OF_SCAN:
        stop = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        needed = kind == _ADOBE or (
            kind == _APP_1 and content[start + 4 : start + 8] == b"Exif"
        )  # colours, orientation
        if needed or not (_APP_1 <= kind <= _APP_15 or kind == _COMMENT):
            yield content[start:stop]
        start = stop
    yield content[start:]
