"""What trainings see, on their device: made once for all that see the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import torch

from firstlight.training.batches import DeviceImages
from firstlight.training.machine import Lane
from firstlight.training.prepare import prepare
from firstlight.training.spec import RunSpec

if TYPE_CHECKING:
    from firstlight.images import ImageSet


@dataclass(frozen=True, eq=False)
class Prepared:
    """The images and labels that a spec trains on and is measured on.

    Attributes
    ----------
    source : ImageSet
        The training images in the computer's memory.
    train, test : DeviceImages
        All of them on the device.
    """

    source: "ImageSet"
    train: DeviceImages
    test: DeviceImages

    @classmethod
    def of(cls, spec: RunSpec, train_set: "ImageSet", test_set: "ImageSet", device: torch.device) -> Self:
        """Make them of the sets that the spec names."""
        source, tests = prepare(spec, train_set, test_set)
        made = cls(source, DeviceImages(source, device), DeviceImages(tests, device))
        if device.type == "cuda":
            # Other streams than the one that copied them will read them.
            torch.cuda.synchronize(device)
        return made


class Preparation:
    """Makes what specs train on; the last is kept for the next spec, and so is what the caller still holds.

    Parameters
    ----------
    device : torch.device
        Where the images shall lie.

    Attributes
    ----------
    lane : Lane
        For trainings that see them one after the other.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.lane = device, Lane(device)
        self._made: WeakValueDictionary[tuple[Any, ...], Prepared] = WeakValueDictionary()
        self._last: Prepared | None = None

    def __call__(self, spec: RunSpec, train_set: "ImageSet", test_set: "ImageSet") -> Prepared:
        key = what_is_seen(spec)
        made = self._made.get(key)
        if made is None:
            self._last = None  # frees it, if nobody trains on it, before there is another
            made = self._made[key] = Prepared.of(spec, train_set, test_set, self.device)
        self._last = made
        return made


def what_is_seen(spec: RunSpec) -> tuple[Any, ...]:
    """All of a spec that decides the images and labels which `prepare` makes; of equal ones they are the same."""
    sets = (spec.data, spec.data_fingerprint, spec.test_fingerprint, spec.mean, spec.std)
    chosen = (spec.only, spec.train_images, spec.test_images)
    labels = (spec.labels, spec.classes, spec.seed if spec.labels == "random" else None)
    changed = (spec.scaled_component, *(() if spec.scaled_component is None else (spec.scale, spec.stride)))
    return (*sets, *chosen, *labels, *changed)
