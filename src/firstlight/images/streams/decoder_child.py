"""The process in which images of formats whose decoders may crash or hang are decoded; see `apart`.

It reads a line of JSON and as many bytes as that says, and answers with a line of JSON and the bytes of the pixels. It
ends with whoever asks, or when nobody has asked for a minute; and by an alarm, which no decoder can hold up.
"""

import errno
import io
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from firstlight.images.streams.apart import IDLE, READY
from firstlight.images.streams.choice import further_pages
from firstlight.images.streams.decode import declared_pixels, decode
from firstlight.images.streams.resize import Geometry, Undecodable
from firstlight.images.streams.shortage import check_memory
from firstlight.utils.trouble import trouble_of

_IDLE_SECONDS = 60.0
# Many times what a slow machine needs.
_SECONDS, _PIXELS_PER_SECOND = 60, 500_000

Decode = Callable[[BinaryIO, int, Geometry], np.ndarray]


def serve(decoder: Decode = decode, seconds: int = _SECONDS) -> None:
    """Answer requests until there are none."""
    import PIL.Image
    import PIL.ImageFile

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides what it means
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a decoder prints is no answer
    answers.write(READY)
    while True:
        if not select.select([requests], [], [], _IDLE_SECONDS)[0]:
            sys.exit(IDLE)
        if not (line := requests.readline()):
            return
        request = json.loads(line)
        content = requests.read(request["size"])
        PIL.Image.MAX_IMAGE_PIXELS = request["guard"]
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = request["truncated"]
        signal.alarm(seconds + (request["max_pixels"] or request["guard"] or 0) // _PIXELS_PER_SECOND)
        pixels, answer = _answer(request, content, decoder)
        signal.alarm(0)
        _write(answers, json.dumps(answer).encode() + b"\n")
        _write(answers, pixels)


def _answer(request: dict[str, Any], content: bytes, decoder: Decode) -> tuple[Any, dict[str, Any]]:
    """Pixels, and what else there is to say of them; of an image that its decoder crashed on, whether it had room."""
    geometry = Geometry(_sides(request["resize"]), _sides(request["crop"]), request["max_pixels"], page=request["page"])
    try:
        with io.BytesIO(content) as file:
            if request["crashed"]:
                check_memory(declared_pixels(file, geometry.max_pixels))
                return b"", {"broken": request["crashed"]}
            pages = further_pages(file)
            pixels = decoder(file, request["channels"], geometry)
    except Undecodable as error:
        return b"", {"broken": str(error)}
    except Exception as error:
        if not isinstance(error, OSError) and not trouble_of(error):
            raise
        return b"", {"errno": getattr(error, "errno", None) or errno.ENOMEM}
    return pixels.data, {"shape": pixels.shape, "pages": pages}


def _sides(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _write(answers: io.RawIOBase, content: Any) -> None:
    left = memoryview(content).cast("B")
    while left:
        left = left[answers.write(left) :]
