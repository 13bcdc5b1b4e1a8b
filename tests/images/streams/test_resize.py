from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from tests.images.streams.files import noise

from firstlight.errors import InputError
from firstlight.images.streams.resize import Geometry, Undecodable

sides = st.integers(1, 40)


@given(sides, sides, sides)
def test_shorter_side(height: int, width: int, side: int) -> None:
    done = Geometry.of(side, None).apply(Image.new("L", (width, height)))
    assert min(done.size) == side
    longer = side * max(height, width) // min(height, width)
    assert max(done.size) == longer
    assert (done.width >= done.height) == (width >= height) or longer == side


@given(sides, sides, sides, sides)
def test_crop_keeps_the_centre(height: int, width: int, rows: int, columns: int) -> None:
    pixels = noise(2, 3, height, width)
    geometry = Geometry.of(None, [rows, columns])
    if rows > height or columns > width:
        with pytest.raises(Undecodable, match=f"too small: {width} x {height} pixels, crop {columns} x {rows}"):
            geometry.apply_to_array(pixels)
        return
    done = geometry.apply_to_array(pixels)
    assert done.shape == (2, 3, rows, columns)
    top, left = round((height - rows) / 2), round((width - columns) / 2)  # as torchvision.transforms.CenterCrop
    np.testing.assert_array_equal(done, pixels[:, :, top : top + rows, left : left + columns])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("resize", "crop"), [(9, None), ((20, 8), None), (12, 11), ((30, 40), (5, 40)), (None, 10)])
def test_arrays_and_images_agree(channels: int, resize: Any, crop: Any) -> None:
    pixels = noise(31, 17, channels)
    geometry = Geometry.of(resize, crop)
    done = geometry.apply_to_array(pixels.transpose(2, 0, 1)[None])
    if channels in (1, 3):
        image = geometry.apply(Image.fromarray(pixels[..., 0] if channels == 1 else pixels))
        np.testing.assert_array_equal(
            done[0].transpose(1, 2, 0), np.asarray(image).reshape(*image.size[::-1], channels)
        )
    planes = [
        np.asarray(geometry.apply(Image.fromarray(np.ascontiguousarray(pixels[..., c])))) for c in range(channels)
    ]
    np.testing.assert_array_equal(done[0], np.stack(planes))


def test_shrinking_averages_so_that_nothing_aliases() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    done = np.asarray(Geometry.of(16, None).apply(Image.fromarray(checks.astype(np.uint8))))
    assert np.abs(done.astype(int) - 127).max() <= 2


def test_floats_are_cropped_but_not_resized() -> None:
    floats = np.linspace(0, 1, 75, dtype=np.float32).reshape(1, 3, 5, 5)
    np.testing.assert_array_equal(Geometry.of(None, 3).apply_to_array(floats), floats[:, :, 1:4, 1:4])
    with pytest.raises(InputError, match="resize is 4, for 8-bit images; these are float32"):
        Geometry.of(4, None).apply_to_array(floats)


@pytest.mark.parametrize("name", ["resize", "crop"])
@pytest.mark.parametrize(
    "value", [0, -3, 2.5, True, "9", (), (1,), (1, 2, 3), (0, 5), (5, None), [3, 2.0], 10**6, (10**5, 10**5)]
)
def test_refused_sizes(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is .*; expected .* in pixels, or \\(height, width\\)") as caught:
        Geometry.of(**{"resize": None, "crop": None, name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("resize", "crop"), [(8, 9), (8, (9, 9)), ((8, 20), 9), ((20, 8), (20, 9))])
def test_crop_that_never_fits(resize: Any, crop: Any) -> None:
    with pytest.raises(InputError, match="expected a smaller crop"):
        Geometry.of(resize, crop)


def test_thin_image_does_not_become_enormous() -> None:
    with pytest.raises(Undecodable, match="would be 89600000 x 224 pixels"):
        Geometry.of(224, None).apply(Image.new("1", (400_000, 1)))


def test_truth() -> None:
    assert not Geometry.of(None, None)
    assert Geometry.of(np.int64(4), None)
