"""Arrays of images and labels that a user hands in: what is accepted, and how they become an ImageSet."""

from typing import Any, NamedTuple

import numpy as np

from firstlight.errors import InputError
from firstlight.images.imageset import ImageSet, channel_statistics
from firstlight.utils.text import counted

LAYOUTS = ("NCHW", "NHWC")
_MAX_CLASSES = 65_536
_BLOCK_IMAGES = 1024
# Of colour images, and of all others: an axis is of channels that is so short, and the other one longer.
_MOST_CHANNELS = (4, 16)


class Part(NamedTuple):
    """One split as found in a source: images in either layout, and labels or None, neither checked yet."""

    images: Any
    labels: Any


def build_image_set(name: str, parts: dict[str, Part], split: str, layout: str | None, wanted: Any = None) -> ImageSet:
    """Check the splits of a source and return one of them.

    Parameters
    ----------
    name : str
        What messages and the result call the source.
    parts : dict of str to Part
        The splits that the source has.
    split : {"train", "test"}
        The split to return. The normalisation is always that of the train split.
    layout : str or None
        ``"NCHW"``, ``"NHWC"``, or None to recognise it.
    wanted : object, optional
        Labels that replace those of the returned split; False for none at all.

    Raises
    ------
    InputError
        When a split is missing, or its arrays are not images and labels.
    """
    for needed in ("train", split):
        if needed not in parts:
            raise InputError(
                f"{name} holds no {needed} images; expected a train split"
                f"{' and a test split' if split == 'test' else ''}: "
                f"a .npz file holds both as train_images, train_labels, test_images and test_labels"
            )
    if wanted is False:
        parts = {key: part._replace(labels=None) for key, part in parts.items()}
    elif wanted is not None:
        parts = {**parts, split: parts[split]._replace(labels=wanted)}
    images = {key: check_images(parts[key].images, layout, _place(name, key, parts)) for key in {"train", split}}
    if images["train"].shape[1:] != images[split].shape[1:] or images["train"].dtype != images[split].dtype:
        raise InputError(
            f"{name} has train images of {_form(images['train'])} but test images of "
            f"{_form(images['test'])}; expected the same"
        )
    labels = {
        key: None if part.labels is None else check_labels(part.labels, len(part.images), _place(name, key, parts))
        for key, part in parts.items()
    }
    # Both splits count: a class may be missing from one of them.
    highest = max((int(found.max()) for found in labels.values() if found is not None), default=-1)
    mean, std = channel_statistics(images["train"])
    return ImageSet(
        name=name,
        split=split,
        images=images[split],
        labels=labels[split],
        classes=() if labels[split] is None else tuple(map(str, range(highest + 1))),
        mean=mean,
        std=std,
    )


def check_images(
    images: Any, layout: str | None = None, place: str = "images", channels: int | None = None, first: int = 0
) -> np.ndarray:
    """Return `images` as a view of shape (N, C, H, W), or refuse them.

    Parameters
    ----------
    images : ndarray of shape (N, C, H, W) or (N, H, W, C), uint8, float16, float32 or float64
    layout : str, optional
        Which of the two it is; None recognises it where exactly one of axes 1 and 3 is in 1..4, or else in 1..16, or
        is `channels`.
    place : str, optional
        What messages call the array.
    channels : int, optional
        How many are expected, which decides where the shape alone does not; not checked.
    first : int
        What messages call the first of them.

    Raises
    ------
    InputError
        For any other type, shape or dtype, for an empty array, and for values that are not finite.
    """
    images = laid_out(images, layout, place, channels)
    if images.dtype.kind == "f":
        _check_finite(images, place, first)
    return images


def laid_out(images: Any, layout: str | None, place: str, channels: int | None) -> np.ndarray:
    """As `check_images`, whatever values they have."""
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; expected 'NCHW', 'NHWC' or None")
    if not isinstance(images, np.ndarray) or isinstance(images, np.ma.MaskedArray):
        raise InputError(f"{place}: a {type(images).__name__}; expected a plain numpy.ndarray: convert it first")
    if images.ndim != 4:
        raise InputError(
            f"{place}: shape {images.shape} has {counted(images.ndim, 'axis', 'axes')}; expected (N, C, H, W) "
            "or (N, H, W, C): "
            f"{_rank_advice(images.ndim)}"
        )
    if 0 in images.shape:
        raise InputError(f"{place}: shape {images.shape} is empty; expected at least one image of at least one pixel")
    _check_dtype(images.dtype, place)
    if not images.dtype.isnative:
        images = images.astype(images.dtype.newbyteorder("="))
    if _recognise(images.shape, layout, channels, place) == "NHWC":
        images = images.transpose(0, 3, 1, 2)
    return images


def check_labels(labels: Any, count: int, place: str = "images") -> np.ndarray:
    """Return `labels`, of shape (count,) or (count, 1), as int64 of shape (count,), or refuse them.

    Raises
    ------
    InputError
        When they are not one class number, 0 to 65535, for each image.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{place}: labels are {labels.dtype}; expected integers (class numbers from 0)")
    if labels.shape == (count, 1):  # as Keras and MedMNIST have them
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise InputError(f"{place}: labels have shape {labels.shape}; expected ({count},), one for each image")
    wrong = np.flatnonzero((labels < 0) | (labels >= _MAX_CLASSES))
    if wrong.size:
        raise InputError(
            f"{place}: label {wrong[0]} is {labels[wrong[0]]}; expected a class number from 0 to {_MAX_CLASSES - 1}"
        )
    return labels.astype(np.int64)


def _place(name: str, split: str, parts: dict[str, Part]) -> str:
    return name if len(parts) == 1 else f"{name} {split}"


def _form(images: np.ndarray) -> str:
    channels, height, width = images.shape[1:]
    return f"{channels}x{height}x{width} {images.dtype}"


def _rank_advice(rank: int) -> str:
    if rank == 3:
        return "add the missing axis: images[:, None] for grey images, images[None] for a single image"
    return "reshape it"


def _check_dtype(dtype: np.dtype, place: str) -> None:
    if dtype == np.uint8 or (dtype.kind == "f" and dtype.itemsize <= 8):
        return
    advice = {
        "b": "convert with images.astype('uint8') * 255",
        "i": "convert 0..255 with images.astype('uint8'), anything else with images.astype('float32')",
        "u": "scale it with (images / images.max()).astype('float32')",
        "f": "convert with images.astype('float64')",
        "c": "choose the real part or the modulus",
        "O": "build it from numbers of one type",
    }.get(dtype.kind, "convert it to numbers")
    raise InputError(f"{place}: dtype {dtype} is not accepted; expected uint8, float16, float32 or float64: {advice}")


def _recognise(shape: tuple[int, ...], layout: str | None, channels: int | None, place: str) -> str:
    if layout is not None:
        return layout
    sides = {"NCHW": shape[1], "NHWC": shape[3]}
    colour, others = ([name for name, side in sides.items() if side <= most] for most in _MOST_CHANNELS)
    found = colour or others
    if len(found) != 1 and channels is not None:
        found = [name for name, side in sides.items() if side == channels]
    if len(found) != 1:
        raise InputError(
            f"{place}: shape {shape} does not tell which of axes 1 and 3 is the channels; expected one of them in "
            "1..16: give --layout NCHW or --layout NHWC (layout=, as of load_images)"
        )
    return found[0]


def _check_finite(images: np.ndarray, place: str, first: int) -> None:
    for start in range(0, len(images), _BLOCK_IMAGES):
        finite = np.isfinite(images[start : start + _BLOCK_IMAGES]).all(axis=(1, 2, 3))
        if not finite.all():
            index = start + int(np.argmin(finite))
            raise InputError(
                f"{place}: image {first + index} has values that are NaN or infinite; expected finite ones"
            )
