"""Colours of figures in a page that is light or dark: the page's own variables, and light colours for dark ones."""

import re

from firstlight.figures.colours import MEASURED, ON_DARK, ON_LIGHT, PREDICTED, SERIES

# The page's variable in place of a colour. Pictures and heat maps are pixels, which keep their colours.
_VARIABLES = {
    MEASURED: "measured",
    PREDICTED: "predicted",
    **dict(zip((colour for colour, *_ in SERIES[2:]), ("green", "pink", "amber", "sky", "ink"), strict=True)),
    "#737373": "soft",  # REFERENCE
    "#999999": "soft",
    "#cccccc": "line",
}
VARIABLES = {colour.lower(): variable for colour, variable in _VARIABLES.items()}
_KEPT = {ON_LIGHT, ON_DARK}
_LIGHTEST, _RANGE = 1.0, 0.55  # lightness of what is black on paper, and how far all others go down from there
# https://bottosson.github.io/posts/oklab
_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_COLOUR = re.compile(r"(fill|stroke):(#[0-9a-f]{6})(?=;|$)")


def themed(style: str) -> str:
    """An element's style, its colours as variables of the page; others are turned round where the page is dark."""
    return _COLOUR.sub(lambda found: _declared(found[1], found[2]), style)


def _declared(what: str, colour: str) -> str:
    if colour in _KEPT:
        return f"{what}:{colour}"
    if colour == "#ffffff":
        return f"{what}:var(--card)"
    if colour in VARIABLES:
        return f"{what}:var(--{VARIABLES[colour]})"
    return f"{what}:{colour};{what}:light-dark({colour},{inverted(colour)})"  # a browser takes the last that it knows


def inverted(colour: str) -> str:
    """A colour of the same hue, as much lighter than a dark page as this one is darker than a white page, in Oklab."""
    import numpy as np

    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness, *hue = np.dot(_TO_LAB, np.cbrt(np.dot(_TO_LMS, linear)))
    cones = np.linalg.solve(_TO_LAB, [_LIGHTEST - _RANGE * lightness, *hue]) ** 3
    linear = np.linalg.solve(_TO_LMS, cones).clip(0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * value):02x}" for value in rgb)
