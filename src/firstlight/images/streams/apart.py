"""Decoding in a process apart, for formats whose decoders may crash or hang: they must not take the command with them.

AVIF, HEIC, JPEG 2000 and TIFF are decoded so, and what is of no format by its first bytes. JPEG, PNG, WebP, BMP, PPM
and GIF, which come by the million and small, are decoded where they are read: of WebP pictures of 96 x 96 pixels a
process apart would decode a third fewer a second.
"""

import atexit
import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from typing import Any, BinaryIO, cast

import numpy as np

from firstlight.images.streams.heic import is_heic
from firstlight.images.streams.resize import MOST_PIXELS, Geometry, Undecodable
from firstlight.utils.text import printable

_HERE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"GIF8", *(f"P{kind}".encode() for kind in "123456fyF"))
# Beside those of `heic`: AVIF's brands, TIFF in either order of bytes, JPEG 2000 with and without its box.
_BRANDS = (b"ftypavif", b"ftypavis")
_APART = (
    b"II\x2a\0",
    b"II\0\x2a",
    b"MM\x2a\0",
    b"MM\0\x2a",
    b"II\x2b\0",
    b"MM\0\x2b",
    b"\0\0\0\x0cjP  ",
    b"\xffO\xffQ",
)
_PROGRAM = "from firstlight.images.streams.decoder_child import serve; serve()"
READY, IDLE = b"ready\n", 75  # what a child says first, and the exit code of one that nobody has asked for long
_PIPE_BYTES = 1 << 20
_PATIENCE = 10.0  # seconds, until a process that has closed its answers has ended
_MOST_LINE = 1 << 16
_CRASHES = tuple(f"SIG{name}" for name in ["SEGV", "ABRT", "BUS", "FPE", "ILL", "SYS", "TRAP"])
# Children that wait for work, by the process that they work for: what has forked has none of its parent's.
_WAITING: defaultdict[int, "list[_Child]"] = defaultdict(list)


def is_decoded_apart(start: bytes) -> bool:
    """Whether an image that begins so is decoded in another process."""
    return os.name == "posix" and not start.startswith(_HERE)


def is_image_apart(start: bytes) -> bool:
    """Whether the first twelve bytes are those of an image that is decoded so."""
    return is_heic(start) or start[4:12] in _BRANDS or start.startswith(_APART)


def decode_apart(file: BinaryIO, channels: int, geometry: Geometry) -> tuple[np.ndarray, int]:
    """Decode an image file in a child process, which is kept for the next one.

    Parameters
    ----------
    file : BinaryIO
        Open for reading; it can be searched.
    channels : {1, 3}
    geometry : Geometry

    Returns
    -------
    images : ndarray, shape (channels, H, W), uint8
    pages : int
        How many further ones there are.

    Raises
    ------
    Undecodable
        It is broken, or its decoder has crashed, or did not come to an end.
    MemoryError, OSError
        This machine is in trouble.
    """
    import PIL.Image
    import PIL.ImageFile

    guard = PIL.Image.MAX_IMAGE_PIXELS
    request = {
        "size": file.seek(0, os.SEEK_END),
        "channels": channels,
        "resize": geometry.resize,
        "crop": geometry.crop,
        "max_pixels": geometry.max_pixels,
        "page": geometry.page,
        "guard": guard,
        "truncated": PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        "crashed": "",
    }
    most = channels * max(geometry.max_pixels or 0, guard or 0, MOST_PIXELS)
    try:
        answer = _asked(request, file, most)
    except _CrashedError as error:  # perhaps without memory
        try:
            answer = _asked({**request, "crashed": str(error)}, file, most)
        except _CrashedError:
            raise Undecodable(str(error)) from None
    if "broken" in answer:
        raise Undecodable(printable(answer["broken"], 300))
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    return answer["pixels"], answer["pages"]


def _asked(request: dict[str, Any], file: BinaryIO, most: int) -> dict[str, Any]:
    """The answer of a child that waits, or of a new one."""
    while True:
        waiting = _WAITING[os.getpid()]
        try:
            child = waiting.pop()
        except IndexError:
            child = _Child()
        try:
            answer = child.ask(request, file, most)
        except BaseException:
            child.end()
            raise
        if answer is not None:
            waiting.append(child)
            return answer
        child.end()


class _CrashedError(Exception):
    """A decoder took its process with it."""


class _Child:
    """A process that decodes."""

    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)  # that it imports what this process has
        pipe = subprocess.PIPE
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._requests, self._answers = cast(BinaryIO, self.process.stdin), cast(io.BufferedReader, self.process.stdout)
        self._begun = False
        with suppress(ImportError, AttributeError, OSError):  # of Linux, where users may have only so much of it
            import fcntl

            fcntl.fcntl(self._answers.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def ask(self, request: dict[str, Any], file: BinaryIO, most: int) -> dict[str, Any] | None:
        """Its answer; None where it had ended, since it was idle."""
        with suppress(BrokenPipeError):  # told by what it says
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._send(file, request["size"])
        line = self._answers.readline(_MOST_LINE)
        if line == READY and not self._begun:
            self._begun, line = True, self._answers.readline(_MOST_LINE)
        try:
            match json.loads(line):
                case {"shape": [int(count), int(height), int(width)], "pages": int(pages)} if (
                    count == request["channels"] and min(height, width) > 0 and count * height * width <= most
                ):
                    pixels = np.empty((count, height, width), np.uint8)
                    if self._answers.readinto(pixels.reshape(-1).data) == pixels.size:
                        return {"pixels": pixels, "pages": pages}
                case {"broken": str(_)} | {"errno": int(_)} as answer:
                    return answer
        except (ValueError, RecursionError):  # half a line, or none
            pass
        return self._ended()

    def _send(self, file: BinaryIO, size: int) -> None:
        file.seek(0)
        while size:
            if not (content := file.read(min(size, _PIPE_BYTES))):
                raise OSError(errno.EIO, "it became shorter while it was read")
            self._requests.write(content)
            size -= len(content)
        self._requests.flush()

    def _ended(self) -> None:
        """Say why there is no answer."""
        try:
            code = self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise _CrashedError("its decoder answers what is no picture") from None
        if code == IDLE:
            return
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if not self._begun:
            raise OSError(errno.ECHILD, f"the process of its decoder does not start, {name}")
        if name == "SIGALRM":
            raise Undecodable("its decoder did not come to an end")
        if name == "SIGKILL":  # as the system does where memory runs out
            raise MemoryError
        if code < 0 and name not in _CRASHES:
            raise OSError(errno.EINTR, f"its decoder was ended by {name}")
        raise _CrashedError(f"its decoder crashed ({name})")

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self._requests, self._answers):
            with suppress(OSError):  # what it was to read
                pipe.close()


@atexit.register
def _end_all() -> None:
    for child in _WAITING.pop(os.getpid(), []):
        child.end()
