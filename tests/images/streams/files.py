"""Image files as real programs write them, and those that Pillow cannot write, byte by byte."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    """Reproducible noise over the whole range of the type."""
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def pillow(pixels: np.ndarray, form: str, mode: str | None = None, **options: Any) -> bytes:
    """A file that Pillow writes of an array (H, W) or (H, W, C)."""
    size = (pixels.shape[1], pixels.shape[0])
    image = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, size, pixels.tobytes())
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    """A file that tifffile writes."""
    sink = io.BytesIO()
    tifffile.imwrite(sink, pixels, **options)
    return sink.getvalue()


def png(pixels: np.ndarray, colour: int, extra: bytes = b"", filtered: bool = True) -> bytes:
    """A PNG file of (H, W) or (H, W, C), 8 or 16 bits, whose rows use the five filters in turn."""
    depth = 8 * pixels.dtype.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(len(pixels), -1).view(np.uint8).astype(int)
    step = rows.shape[1] // pixels.shape[1]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, 0)
    lines = b"".join(_filtered(rows, y, step, y % 5 if filtered else 0) for y in range(len(rows)))
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def exif(orientation: int) -> bytes:
    """EXIF that says how the camera was held."""
    return b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)


def bomb() -> bytes:
    """A PNG file of a few hundred bytes that declares 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100000)))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder, which is made."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def chw(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) as (C, H, W)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def dates(folder: Path, seconds: int) -> None:
    """Set the date of everything below a folder."""
    for root, _, names in os.walk(folder):
        for name in names:
            os.utime(os.path.join(root, name), (seconds, seconds))


def _filtered(rows: np.ndarray, y: int, step: int, kind: int) -> bytes:
    left = np.concatenate([np.zeros(step, int), rows[y][:-step]])
    up = rows[y - 1] if y else np.zeros_like(rows[y])
    corner = np.concatenate([np.zeros(step, int), up[:-step]])
    guess = left + up - corner
    distances = [abs(guess - left), abs(guess - up), abs(guess - corner)]
    paeth = np.choose(np.argmin(distances, axis=0), [left, up, corner])
    predicted = [np.zeros_like(left), left, up, (left + up) // 2, paeth][kind]
    return bytes([kind]) + ((rows[y] - predicted) % 256).astype(np.uint8).tobytes()
