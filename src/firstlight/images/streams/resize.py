"""What is done to the shape of an image before its patches are counted: resizing, and cutting out the centre."""

import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.images.streams.left_out import TOO_SMALL, UNREADABLE
from firstlight.utils.checks import whole_number

if TYPE_CHECKING:
    from PIL.Image import Image

# The guard against decompression bombs that Pillow comes with: 256 MiB of RGB.
MOST_PIXELS = 89_478_485
PAGES = ("first", "all")


class Undecodable(Exception):
    """An image that is left out, and why, in a few words: never seen outside of a stream."""

    kind = UNREADABLE


class TooSmall(Undecodable):
    """It is smaller than the crop."""

    kind = TOO_SMALL


@dataclass(frozen=True)
class Geometry:
    """How images are resized, then cropped.

    Attributes
    ----------
    resize : int or (int, int) or None
        The shorter side in pixels, the longer one in proportion and rounded down; or height and width.
    crop : (int, int) or None
        Height and width of the window that is kept, at the centre.
    max_pixels : int or None
        How many an image file may declare; None for Pillow's guard against decompression bombs.
    pages : {"first", "all"}
        Which are read of a file with several.
    page : int
        The one that is decoded.
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    max_pixels: int | None = None
    pages: str = "first"
    page: int = 0

    @classmethod
    def of(cls, resize: Any, crop: Any, max_pixels: Any = None, pages: Any = "first") -> Self:
        """Check the options of a user.

        Raises
        ------
        InputError
            One of them is no size, or the crop is larger than what resizing leaves.
        """
        resize, crop = _size("resize", resize), _size("crop", crop)
        if isinstance(crop, int):
            crop = (crop, crop)
        if resize is not None and crop is not None and not _has_room(resize, crop):
            raise InputError(f"crop is {crop}, which is larger than resize={resize!r} leaves; expected a smaller crop")
        if pages not in PAGES:
            raise InputError(f"pages is {pages!r}; expected 'first' or 'all'")
        return cls(resize, crop, None if max_pixels is None else whole_number("max_pixels", max_pixels, 1), pages)

    def __bool__(self) -> bool:
        return self.resize is not None or self.crop is not None

    def apply(self, image: "Image") -> "Image":
        """Resize (bicubic, with Pillow's antialiasing) and crop an 8-bit image.

        Raises
        ------
        Undecodable
            It is smaller than the crop, or would become too large.
        """
        from PIL.Image import Resampling

        width, height = image.size
        if self.resize is not None:
            height, width = self._resized(height, width)
            if height * width > MOST_PIXELS:
                raise Undecodable(f"would be {width} x {height} pixels after resizing, more than {MOST_PIXELS:,}")
            if image.size != (width, height):
                image = image.resize((width, height), Resampling.BICUBIC)
        if self.crop is None:
            return image
        top, left = self._corner(height, width)
        return image.crop((left, top, left + self.crop[1], top + self.crop[0]))

    def apply_to_array(self, images: np.ndarray) -> np.ndarray:
        """The same of a stack (N, C, H, W): uint8, or floats, which can only be cropped.

        Raises
        ------
        Undecodable
            As `apply`.
        InputError
            Floats should be resized.
        """
        if self.resize is not None:
            if images.dtype != np.uint8:
                raise InputError(
                    f"resize is {self.resize!r}, for 8-bit images; these are {images.dtype}: resize them beforehand"
                )
            return self._resize_planes(images)
        if self.crop is None:
            return images
        top, left = self._corner(*images.shape[2:])
        return images[:, :, top : top + self.crop[0], left : left + self.crop[1]]

    def _resize_planes(self, images: np.ndarray) -> np.ndarray:
        from PIL.Image import fromarray

        # Pillow resizes every channel by itself, so that planes give what whole images do.
        planes = images.reshape(-1, *images.shape[2:])
        done = np.stack([np.asarray(self.apply(fromarray(np.ascontiguousarray(plane)))) for plane in planes])
        return done.reshape(*images.shape[:2], *done.shape[1:])

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.resize, tuple):
            return self.resize
        assert self.resize is not None
        shorter = min(height, width)
        return self.resize * height // shorter, self.resize * width // shorter

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        assert self.crop is not None
        if height < self.crop[0] or width < self.crop[1]:
            raise TooSmall(f"too small: {width} x {height} pixels, crop {self.crop[1]} x {self.crop[0]}")
        # As torchvision rounds it.
        return round((height - self.crop[0]) / 2), round((width - self.crop[1]) / 2)


def _has_room(resize: int | tuple[int, int], crop: tuple[int, int]) -> bool:
    if isinstance(resize, int):
        return min(crop) <= resize  # the longer side of an image may be as long as the crop's
    return crop[0] <= resize[0] and crop[1] <= resize[1]


def _size(name: str, value: Any) -> Any:
    if value is None:
        return None
    given: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) and len(value) == 2 else (value,)
    whole = all(isinstance(side, numbers.Integral) and not isinstance(side, bool) for side in given)
    if not whole or min(given) < 1 or int(given[0]) * int(given[-1]) > MOST_PIXELS:
        what = "the shorter side" if name == "resize" else "the side"
        raise InputError(
            f"{name} is {value!r}; expected {what} in pixels, or (height, width), at most {MOST_PIXELS:,} pixels in all"
        )
    return tuple(map(int, given)) if len(given) == 2 else int(given[0])
