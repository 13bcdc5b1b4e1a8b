"""SetFacts: what a training's spec needs to know of a set of images, without its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from firstlight.errors import InputError

if TYPE_CHECKING:
    from firstlight.images.imageset import ImageSet


@dataclass(frozen=True)
class SetFacts:
    """A split of a data set, described.

    Attributes
    ----------
    name : str
    split : {"train", "test"}
    fingerprint : str
        SHA-256 of shape, dtype, pixels and labels, as `ImageSet.fingerprint`.
    count : int
        Number of images.
    size : tuple of int
        Height and width in pixels.
    channels : int
    classes : tuple of str
        Empty without labels.
    mean, std : tuple of float
        Per-channel normalisation.
    """

    name: str
    split: str
    fingerprint: str
    count: int
    size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: "ImageSet") -> Self:
        """Describe a set of images."""
        return cls(
            name=images.name,
            split=images.split,
            fingerprint=images.fingerprint,
            count=len(images),
            size=images.size,
            channels=images.channels,
            classes=images.classes,
            mean=images.mean,
            std=images.std,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Facts of what `dataclasses.asdict` made of them, as JSON returns it.

        Raises
        ------
        InputError
            A field is missing or unknown, or holds what no set has.
        """
        try:
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return cls(**fields)._checked()
        except (TypeError, AttributeError, ValueError, OverflowError) as error:
            raise InputError(
                f"the description of a data set is damaged ({error}); expected the fields of SetFacts"
            ) from None

    def _checked(self) -> Self:
        """The same, if each field holds values of its kind; a ValueError or TypeError that says which otherwise."""
        texts, counts = (
            (self.name, self.split, self.fingerprint, *self.classes),
            (self.count, *self.size, self.channels),
        )
        numbers = (*self.mean, *self.std)
        right = {
            "name, split, fingerprint or classes": isinstance(self.classes, tuple)
            and all(isinstance(text, str) for text in texts),
            "count, size or channels": len(self.size) == 2 and all(type(one) is int and one > 0 for one in counts),
            "mean or std": all(type(number) in (int, float) and isfinite(number) for number in numbers),
        }
        for what, is_right in right.items():
            if not is_right:
                raise ValueError(f"{what} is none")
        return self
