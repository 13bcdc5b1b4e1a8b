"""Space to depth: a layer over the pixels of blocks, cut into channels, is one over the image with a larger kernel."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from firstlight.filters.bank import FilterBank


class _Cut(NamedTuple):
    """How networks that are known cut an image, and what tells them."""

    who: str
    layer: str
    """What matches the layer's name; what it may capture is that of the network in front."""
    sides: tuple[int, ...]
    """Of the blocks."""
    order: str
    """How channels are numbered, the slowest first: y and x are a pixel's place in its block, c is its colour."""
    beside: str = ""
    """A tensor that must be there, behind what the name captures."""
    filters: int = 0
    """How many filters that has; 0 for any number."""


_CUTS = (
    _Cut("Focus", r"(.*[./])?focus\d*([./]\w+)*", (2,), "xyc"),
    _Cut("Focus of YOLOX", r"(.*[./])?(stem|block_list[./]0)[./]conv[./]conv", (2,), "xyc"),
    _Cut("Focus of YOLOv5", r"(?P<start>(.*[./])?)0[./]conv[./]conv", (2,), "xyc", "2.cv1.conv.weight"),
    _Cut("SpaceToDepth of TResNet", r"(.*[./])?body[./]conv1[./](conv|0)", (4,), "yxc"),
    _Cut("pixel unshuffling of Real-ESRGAN", r"(?P<start>(.*[./])?)conv_first", (2, 4), "cyx", "conv_last.weight", 3),
)


_TENSOR = r"([./](weight|Conv(_\d+)?))?"  # what ONNX may call a layer by


def is_cut(layer: str, channels: int) -> bool:
    """Whether a layer of this name, over so many channels, may be one over the pixels of blocks in three colours."""
    return _cut_of(layer, channels) is not None


def _cut_of(layer: str, channels: int) -> tuple[_Cut, int, re.Match[str]] | None:
    """How pixels came into such a layer, the side of the blocks, and what of the name matches."""
    for cut in _CUTS:
        match = re.fullmatch(cut.layer + _TENSOR, layer, re.IGNORECASE)
        for side in cut.sides:
            if match and channels == 3 * side**2:
                return cut, side, match
    return None


def over_pixels(
    bank: FilterBank, shapes: Mapping[str, tuple[int, ...]], places: np.ndarray | None = None
) -> FilterBank:
    """The bank as the kernel over the image that it is, where it is known that its channels are pixels of blocks.

    Parameters
    ----------
    bank : FilterBank
    shapes : mapping of str to tuple of int
        All tensors of the network, whose names may tell; () where a shape is not known.
    places : ndarray of int, shape (C, 3), optional
        Colour, row and column in its block of each channel, where the network's graph tells.
    """
    channels = bank.weight.shape[1]
    if places is not None and bank.groups == 1 and bank.dilation == (1, 1):
        return _folded(bank, places, "as its graph cuts them")
    found = _cut_of(bank.layer, channels) if bank.groups == 1 and bank.dilation == (1, 1) else None
    if found is not None and (beside := found[0].beside):
        shape = shapes.get(found[2]["start"] + beside)
        found = None if shape is None or found[0].filters not in (0, *shape[:1]) else found
    if found is None:
        if channels not in (12, 48):
            return bank
        side = 2 if channels == 12 else 4
        note = f"{channels} channels may be {side} x {side} pixels in three colours, which the names do not tell"
        return replace(bank, notes=(*bank.notes, f"{note}: nothing is folded"))
    cut, side, _ = found
    return _folded(bank, places_in_order(side, cut.order), f"as in {cut.who}")


def _folded(bank: FilterBank, places: np.ndarray, how: str) -> FilterBank:
    weight = unfolded(bank.weight, places)
    side = int(places[:, 1].max()) + 1
    size = f"{weight.shape[2]} x {weight.shape[3]}"
    note = f"its {len(places)} channels are {side} x {side} pixels in three colours ({how}): folded to the kernel"
    vertical, horizontal = bank.stride or (1, 1)  # where the file does not say, that of the networks named
    return replace(
        bank,
        weight=weight,
        stride=(side * vertical, side * horizontal),
        padding=bank.padding and (side * bank.padding[0], side * bank.padding[1]),
        notes=(*bank.notes, f"{note} of {size} over RGB that they are, exactly"),
    )


def places_in_order(side: int, order: str) -> np.ndarray:
    """Colour, row and column of each channel, (3 side^2, 3), where these are numbered in an order such as "yxc"."""
    sizes = [3 if axis == "c" else side for axis in order]
    return np.stack([np.indices(sizes)[order.index(axis)].ravel() for axis in "cyx"], axis=1)


def unfolded(weight: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Filters over the pixels of blocks, (K, 3 side^2, kh, kw), as filters over the image, (K, 3, side kh, side kw).

    A convolution with these, at `side` times the stride and padding, gives the same numbers. `places` has the colour,
    row and column of each channel.
    """
    count, _, rows, columns = weight.shape
    side = int(places[:, 1].max()) + 1
    image = np.empty((count, 3, rows, side, columns, side))
    for channel, (colour, row, column) in enumerate(places.tolist()):
        image[:, colour, :, row, :, column] = weight[:, channel]
    return image.reshape(count, 3, rows * side, columns * side)
