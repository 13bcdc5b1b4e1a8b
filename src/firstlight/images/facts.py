"""SetFacts: what a training's spec needs to know of a set of images, without its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
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
            A field is missing or unknown.
        """
        try:
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return cls(**fields)
        except (TypeError, AttributeError) as error:
            raise InputError(
                f"the description of a data set is damaged ({error}); expected the fields of SetFacts"
            ) from None
