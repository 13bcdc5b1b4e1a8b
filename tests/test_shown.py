"""What is shown is compared as far as machines compute the same, and no further."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from tests.shown import picture_differences, text_differences


@pytest.mark.parametrize(
    ("made", "shown", "same"),
    [
        ("r = 0.95", "r = 0.96", True),
        ("r = 0.95", "r = 0.97", False),
        ("9.5e-03", "9.4e-03", True),
        ("9.5e-03", "9.5e-04", False),
        ("τ = 0.1", "τ = 0.099", True),
        ("below 1e-9", "below 1e-9", True),
        ("-0.50 ± 0.01", "-0.51 ± 0.01", True),
        ("41 of 52", "42 of 52", False),
        ("reproduced 0.95", "not reproduced 0.95", False),
        ("0.95\n0.95", "0.95", False),
        ("0.95 0.95", "0.95", False),
    ],
)
def test_words_and_counts_are_the_same_and_numbers_to_their_last_digit(made, shown, same):
    assert (text_differences(made, shown) == []) is same
    assert (text_differences(shown, made) == []) is same


def picture(name: str = "mc0342a0b32", x: str = "48.412527", colour: str = "#0072b2", pixel: int = 100) -> str:
    file = io.BytesIO()
    Image.fromarray(np.full((2, 2, 3), pixel, np.uint8)).save(file, "png")
    return (
        f'<svg><defs><path id="{name}" d="M {x} -460.4748"/></defs>\n<use xlink:href="#{name}" style="fill: {colour}"/>'
        f'<use xlink:href="#DejaVuSans-31"/>\n<image id="image5c02b2d0ff" '
        f'xlink:href="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"/></svg>'
    )


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"name": "m55bf27fcb5", "x": "48.412531"}, True),
        ({"pixel": 101}, True),
        ({"x": "48.45"}, False),
        ({"colour": "#0073b2"}, False),
        ({"pixel": 110}, False),
    ],
)
def test_a_picture_is_the_same_until_something_else_is_seen(other, same):
    assert (picture_differences(picture(**other), picture()) == []) is same
    assert picture_differences(picture().replace("#DejaVuSans-31", "#DejaVuSans-32"), picture())
    assert picture_differences(picture(), picture() + "\n<path/>")
