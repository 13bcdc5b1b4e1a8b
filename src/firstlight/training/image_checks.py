"""Whether images are those that a spec means, and as many."""

from typing import TYPE_CHECKING

from firstlight.errors import InputError
from firstlight.training.spec import RunSpec
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from firstlight.images import ImageSet


def check_images(spec: RunSpec, train_set: "ImageSet", test_set: "ImageSet") -> None:
    """Refuse images that a spec cannot be trained or measured on; raises `InputError`."""
    for part, image_set, expected in (
        ("train", train_set, spec.data_fingerprint),
        ("test", test_set, spec.test_fingerprint),
    ):
        if image_set.fingerprint != expected:
            raise InputError(
                f"the {part} set {image_set.name!r} has the fingerprint {image_set.fingerprint[:16]}...; "
                f"expected {expected[:16]}..., that of {spec.data!r} in the spec: make a new spec"
            )
    wanted = {"train": spec.train_images or spec.batch_size, "test": spec.test_images}
    for part, image_set in (("train", train_set), ("test", test_set)):
        if len(image_set) < wanted[part]:
            raise InputError(
                f"the {part} set {image_set.name!r} has {counted(len(image_set), 'image')}; "
                f"expected at least {wanted[part]}: lower {part}_images or batch_size"
            )
        if image_set.channels != spec.channels:
            raise InputError(
                f"the {part} set {image_set.name!r} has {counted(image_set.channels, 'channel')}; "
                f"expected {spec.channels}, as in the spec"
            )
        if image_set.labels is None:
            raise InputError(f"the {part} set {image_set.name!r} has no labels; expected a class for each image")
        low, high = int(image_set.labels.min()), int(image_set.labels.max())
        classes = len(image_set.classes) if spec.only else spec.classes
        # Other labels take the place of these, but classes are kept or left out by them.
        matter = spec.labels == "true" or spec.only is not None
        if low < 0 or (high >= classes and matter):
            raise InputError(
                f"the {part} set {image_set.name!r} has labels {low} to {high}; "
                f"expected 0 to {classes - 1}, as in the spec"
            )
