"""What shows computed numbers, compared as far as every machine computes the same: texts, and pictures in SVG.

The last digit that is shown may differ by one, where a number lies between two, and coordinates by less than is seen.
Words, whole numbers and shapes may not.
"""

import base64
import io
import re
from collections.abc import Callable
from itertools import zip_longest

import numpy as np
from PIL import Image

SEEN = 0.02  # of a point; coordinates that differ by less look the same
LEVELS = 2  # of 255, of a pixel
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_PIXELS = re.compile(r"data:image/png;base64,([^\"]*)")
# Of a shape, by which others refer to it: matplotlib makes it from all digits of the shape's coordinates.
_NAME = re.compile(r"(?<=[\"#])(m|p|image)[0-9a-f]{10}\b")

Difference = tuple[str | None, str | None]


def text_differences(made: str, shown: str) -> list[Difference]:
    """The lines that differ by more than the rounding of numbers, as they are made now and as they are shown."""
    return _differences(made, shown, lambda ours, theirs: max(_last_digit(ours), _last_digit(theirs)))


def picture_differences(made: str, shown: str) -> list[Difference]:
    """The lines of two SVG files that draw something else, as they are made now and as they are shown."""
    pairs = zip_longest(*(_PIXELS.findall(picture) for picture in (made, shown)), fillvalue="")
    if not all(_same_pixels(ours, theirs) for ours, theirs in pairs):
        return [("pixels", "other pixels")]
    return _differences(_comparable(made), _comparable(shown), lambda *_: SEEN)


def _differences(made: str, shown: str, tolerance: Callable[[str, str], float]) -> list[Difference]:
    lines = zip_longest(made.splitlines(), shown.splitlines())
    return [(ours, theirs) for ours, theirs in lines if not _same(ours, theirs, tolerance)]


def _same(ours: str | None, theirs: str | None, tolerance: Callable[[str, str], float]) -> bool:
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    pairs = zip(_NUMBER.findall(ours), _NUMBER.findall(theirs), strict=False)
    return _NUMBER.sub("#", ours) == _NUMBER.sub("#", theirs) and all(
        a == b or abs(float(a) - float(b)) <= 1.001 * tolerance(a, b) for a, b in pairs
    )


def _last_digit(number: str) -> float:
    """What one in the last digit of a number is worth; 0 for a whole number, which counts something."""
    digits, _, exponent = number.partition("e")
    decimals = len(digits.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0


def _comparable(picture: str) -> str:
    """A picture without its pixels, whose shapes are named in their order."""
    order: dict[str, str] = {}
    return _NAME.sub(lambda match: order.setdefault(match[0], f"{match[1]}{len(order)}"), _PIXELS.sub("", picture))


def _same_pixels(ours: str, theirs: str) -> bool:
    if not ours or not theirs or ours == theirs:
        return ours == theirs
    one, other = (np.asarray(Image.open(io.BytesIO(base64.b64decode(pixels)))).astype(int) for pixels in (ours, theirs))
    return one.shape == other.shape and bool(np.abs(one - other).max() <= LEVELS)
