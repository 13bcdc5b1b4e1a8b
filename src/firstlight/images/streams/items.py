"""Which images are in an item of an iterable: one sample, or a batch in any form that a loader gives it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from firstlight.errors import InputError

KEYS = ("image", "pixel_values", "img", "images")


class Evidence(NamedTuple):
    """What the source itself tells of its items.

    Attributes
    ----------
    most : int
        Samples that an item holds at most, where the source makes batches; else 0.
    collated : bool
        Whether every tensor was stacked along a new first axis.
    lists_tell : bool
        Whether lists are batches where tuples are samples, as people write them.
    """

    most: int
    collated: bool
    lists_tell: bool

    @classmethod
    def of(cls, source: Any) -> "Evidence":
        """That of a torch DataLoader, or of anything else."""
        if not (hasattr(source, "batch_sampler") and hasattr(source, "collate_fn")):
            return cls(0, False, True)
        if source.batch_sampler is None:  # samples, whose tuples torch makes lists of
            return cls(0, False, False)
        collate = getattr(source.collate_fn, "__name__", "")
        return cls(getattr(source.batch_sampler, "batch_size", 0), collate == "default_collate", True)


def images_in(item: Any, place: str, evidence: Evidence) -> list[Any]:
    """The images, or arrays of several, in an item; of a sample that begins with an image this one.

    Raises
    ------
    InputError
        It may be a batch as well as one sample that holds several images.
    """
    if isinstance(item, Mapping):
        found = next((item[key] for key in KEYS if key in item), item)
        return list(found) if _is_sequence(found) and all(map(_rank, found)) else [found]
    if not _is_sequence(item) or not item:
        return [item]
    if _rank(item[0]):
        return _flat(item, place, evidence)
    alone = evidence._replace(most=0, lists_tell=False)
    if len(item) == 1:
        return images_in(item[0], place, alone)
    rows = all(isinstance(row, Mapping | list | tuple) and _begins(row) for row in item)
    columns = _is_sequence(item[0]) and all(map(_begins, item[0])) and all(_length(it) == len(item[0]) for it in item)
    if rows and columns:
        rows, columns = _rather_rows(item, evidence.most), _rather_rows(list(zip(*item, strict=True)), evidence.most)
        if rows == columns:
            raise _unclear(
                item, place, "([row[0] for row in item] for item in data) or (list(item[0]) for item in data)"
            )
    if rows:
        return [image for row in item for image in images_in(row, place, alone)]
    return images_in(item[0], place, Evidence(len(item[0]), evidence.collated, True) if columns else evidence)


def _rather_rows(item: Sequence[Any], most: int) -> bool:
    """Whether images of one kind stand below rather than beside each other; or the source says that they must."""
    if 0 < most < max(len(item), len(item[0])):
        return len(item) <= most
    below, beside = zip(*item, strict=True), item
    return sum(map(_alike, below)) * len(item) > sum(map(_alike, beside)) * len(item[0])


def _flat(items: Sequence[Any], place: str, evidence: Evidence) -> list[Any]:
    """Of a list or tuple that begins with an image, or an array of several."""
    twins = sum(_kind(item) == _kind(items[0]) for item in items)
    images = all(map(_rank, items))
    if evidence.collated or len(items) == 1 or (twins == 1 and not images):
        return [items[0]]
    clear = images and isinstance(items, list) and evidence.lists_tell
    if _rank(items[0]) > 3:
        if twins == 1:  # the samples' images, and what belongs to them
            return [items[0]]
        clear = images and 0 < evidence.most < len(items[0])  # more images than samples
    elif images and len(items) <= evidence.most:
        return list(items)
    elif twins == 1 and not (clear and all(map(is_pil, items))):
        return [items[0]]
    else:
        clear = images and (clear or len(items) > 2) and twins > 1 and (twins == len(items) or all(map(is_pil, items)))
    if not clear:
        raise _unclear(items, place, "(list(item) for item in data) or (item[0] for item in data)")
    return list(items)


def _unclear(items: Sequence[Any], place: str, advice: str) -> InputError:
    return InputError(
        f"{place} is a {type(items).__name__} of {len(items)} that holds several images: a batch, or a sample of an "
        f"image and what belongs to it; expected images alone, in a list where they are several: give {advice}"
    )


def _begins(item: Any) -> bool:
    """Whether it is or begins with an image."""
    if isinstance(item, Mapping):
        return any(key in item for key in KEYS)
    return _begins(item[0]) if _is_sequence(item) and item else _rank(item) > 0


def _alike(images: Sequence[Any]) -> bool:
    return len({_kind(image) for image in images}) == 1


def _kind(image: Any) -> tuple[Any, ...]:
    """What images of one data set have in common, and masks beside them have not, as a rule."""
    if is_pil(image):
        return (image.mode,)
    rank = _rank(image)
    sides = image.shape[-3:] if rank > 2 else ()
    return (str(image.dtype), rank, min(sides[0], sides[-1]) if sides else 1) if rank else (type(image),)


def _rank(item: Any) -> int:
    """How many axes an image, or an array of several, has; 0 of what is neither."""
    rank = len(getattr(item, "shape", ())) if hasattr(item, "dtype") else 0
    return 2 if is_pil(item) else rank if rank >= 2 else 0


def _is_sequence(item: Any) -> bool:
    return isinstance(item, list | tuple)


def _length(item: Any) -> int:
    return len(item) if hasattr(item, "__len__") and getattr(item, "shape", None) != () else -1


def is_pil(image: Any) -> bool:
    """Whether it is an image of Pillow."""
    # Without importing PIL: nothing else has all of these.
    return hasattr(image, "getbands") and hasattr(image, "mode") and hasattr(image, "tobytes")
