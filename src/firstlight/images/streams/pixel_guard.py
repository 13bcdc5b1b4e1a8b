"""Pillow's guard against decompression bombs, at another number of pixels than its own."""

import contextlib
import threading
from collections.abc import Iterator

_GUARD = threading.Lock()


@contextlib.contextmanager
def guard_of(max_pixels: int | None) -> Iterator[None]:
    """Pillow's guard at so many pixels, while a header is read: there is one for the whole process."""
    from PIL import Image

    if max_pixels is None:
        yield
        return
    with _GUARD:
        own, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = own
