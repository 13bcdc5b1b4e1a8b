"""Images that are in Python already: arrays, torch data sets and loaders, anything that can be iterated over."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.images.arrays import check_images
from firstlight.images.sliced_images import SlicedImages
from firstlight.images.streams.decode import decoders, planes
from firstlight.images.streams.encoded import Decoded
from firstlight.images.streams.items import KEYS, Evidence, images_in, is_pil
from firstlight.images.streams.resize import Geometry, Undecodable
from firstlight.images.streams.stacks import pieces
from firstlight.utils.text import counted, first_line
from firstlight.utils.trouble import insist

_RED, _GREEN, _BLUE, _HALF = 19595, 38470, 7471, 32768  # ITU-R 601 in 1/65536, as Pillow has it


class ArrayImages:
    """An array (N, C, H, W), possibly mapped from a file, or read from it in slices.

    Raises
    ------
    InputError
        Its channels, or its type, do not go with the options.
    """

    noun = "image"

    def __init__(self, name: str, images: np.ndarray | SlicedImages, channels: int, geometry: Geometry) -> None:
        self.name, self.images = name, images
        self.channels, self.geometry = channels, geometry
        next(self._results(images[:1]), None)  # whatever is wrong with the options is told before the reading

    def total(self) -> int:
        """Number of images."""
        return len(self.images)

    def results(self) -> Generator[Decoded]:
        """The images, many at a time."""
        return self._results(self.images)

    def _results(self, images: np.ndarray | SlicedImages) -> Generator[Decoded]:
        for piece in pieces(images):
            try:
                shaped = self.geometry.apply_to_array(match_channels(piece, self.channels, self.name))
            except Undecodable as error:
                raise InputError(f"{self.name}: images are {error}") from None
            yield from (Decoded(self.name, part) for part in pieces(shaped))

    def fingerprint(self, progress: Callable[[int], None]) -> str:
        """SHA-256 of shape, type, pixels and options, however the array lies in memory."""
        options = {"channels": self.channels, "resize": self.geometry.resize, "crop": self.geometry.crop}
        header = {"array": 1, "shape": self.images.shape, "dtype": self.images.dtype.name, **options}
        if self.geometry.resize is not None:
            header["decoders"] = decoders()
        digest = hashlib.sha256(json.dumps(header).encode())
        little = self.images.dtype.newbyteorder("<")
        for piece in pieces(self.images):
            digest.update(np.ascontiguousarray(piece, dtype=little).data)
            progress(len(piece))
        return digest.hexdigest()


class PythonImages:
    """What a torch Dataset or DataLoader, or any other iterable, yields.

    An item is an image, a batch, or a tuple or list that begins with one, or a dictionary with one under "image",
    "pixel_values", "img" or "images". An image is a PIL image, or an array or tensor (H, W), (C, H, W) or (H, W, C); a
    batch has one axis more, or is a list of images, or of samples; see `images_in`. Floats are passed on as they are.

    Parameters
    ----------
    source : object
        Iterable; or with a length and indexed from 0, as torch's map-style data sets are.
    layout : str or None
        "NCHW" or "NHWC", where shapes do not tell.
    """

    noun = "image"

    def __init__(self, source: Any, channels: int, geometry: Geometry, layout: str | None) -> None:
        self.source, self.layout = source, layout
        self.channels, self.geometry = channels, geometry
        self.name = type(source).__name__
        self._kind: np.dtype | None = None
        self._spent = False

    def total(self) -> int | None:
        """Number of images, if it can be known beforehand; a little too many where a loader drops a last batch."""
        try:
            return len(getattr(self.source, "dataset", self.source))
        except TypeError:
            return None

    def fingerprint(self, progress: Callable[[int], None]) -> None:
        """None: what a data set will yield is known only to itself."""

    def results(self) -> Generator[Decoded]:
        """The images.

        Raises
        ------
        InputError
            An item is no image, or they are of different types; or an iterator that can be read once is read again.
        """
        evidence = Evidence.of(self.source)
        for index, item in self._items():
            if isinstance(item, Exception):
                yield Decoded(f"item {index}", None, first_line(item))
                continue
            place = f"item {index}"
            for image in images_in(item, place, evidence):
                gray = evidence.collated and len(image.shape) == 3  # (N, H, W)
                yield from self._decode(image[:, None] if gray else image, place)

    def _items(self) -> Iterator[tuple[int, Any]]:
        if hasattr(self.source, "__iter__"):
            items = iter(self.source)
            if items is self.source:
                if self._spent:
                    raise InputError(
                        f"this {self.name} has been read and cannot be read again: "
                        "pass a list, a Dataset or a DataLoader"
                    )
                self._spent = True
            yield from enumerate(items)
            return
        for index in range(len(self.source)):
            try:
                item = insist(partial(self.source.__getitem__, index), f"item {index}")
            except (OSError, SyntaxError) as error:  # what Pillow makes of a broken file
                item = error
            yield index, item

    def _decode(self, image: Any, place: str) -> Iterator[Decoded]:
        try:
            if is_pil(image):
                yield Decoded(place, planes(image, self.channels, self.geometry)[None])
                return
            images = match_channels(as_array(image, place, self.layout, self.channels), self.channels, place)
            if self._kind not in (None, images.dtype):
                raise InputError(
                    f"{place}: {images.dtype} after images of {self._kind}; expected the same type throughout"
                )
            self._kind = images.dtype
            # A copy: data sets may use one buffer for every item.
            yield from (Decoded(place, part) for part in pieces(self.geometry.apply_to_array(images).copy()))
        except Undecodable as error:
            yield Decoded(place, None, str(error), kind=error.kind)


def match_channels(images: np.ndarray, channels: int, place: str) -> np.ndarray:
    """(N, C, H, W) with as many channels as asked for: the images as they are, or RGB bytes made grey as by Pillow.

    Raises
    ------
    InputError
        They have other channels.
    """
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 3 and channels == 1 and images.dtype == np.uint8:
        red, green, blue = (images[:, [channel]].astype(np.uint32) for channel in range(3))
        return ((red * _RED + green * _GREEN + blue * _BLUE + _HALF) >> 16).astype(np.uint8)
    raise InputError(
        f"{place}: images of {images.dtype} with {counted(images.shape[1], 'channel')}; expected {channels}: "
        f"give images with as many, or --channels {images.shape[1]} (channels={images.shape[1]})"
    )


def as_array(image: Any, place: str, layout: str | None, channels: int | None = None) -> np.ndarray:
    """An array or tensor as (N, C, H, W), or InputError; see `check_images`."""
    image = as_numpy(image)
    if not isinstance(image, np.ndarray):
        keys = f" with {', '.join(map(str, image))}"[:200] if isinstance(image, Mapping) else ""
        raise InputError(
            f"{place} is or begins with a {type(image).__name__}{keys}; expected an array, a tensor or a PIL image, "
            f"a tuple that begins with one, or a dictionary with one under {', '.join(KEYS)}"
        )
    if image.ndim == 2:
        image = image[None]
        layout = "NCHW"
    return check_images(image[None] if image.ndim == 3 else image, layout, place, channels)


def as_numpy(image: Any) -> Any:
    """A tensor as an array, wherever it lies; anything else as it is."""
    if not hasattr(image, "detach"):
        return image
    image = image.detach().cpu()  # it may want gradients, lie on a GPU, or be of a type of torch's
    return (image.float() if str(image.dtype) == "torch.bfloat16" else image).numpy()
