"""What decides the result of a training run, and at which steps its first layer is recorded."""

import hashlib
import json
import math
import operator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from firstlight.errors import InputError
from firstlight.models import MODELS

if TYPE_CHECKING:
    from firstlight.images import ImageSet

FORMAT = 1
RECORDS_PER_DECADE = 8


@dataclass(frozen=True)
class RunSpec:
    """All that decides the result of a run on one kind of machine; the hash of it names the run.

    The recipe behind it is the paper's authors': stochastic gradient descent without momentum or weight
    decay on the cross-entropy, no augmentation, a new order every epoch, the incomplete last batch of an
    epoch dropped.

    Attributes
    ----------
    model : a key of `firstlight.models.MODELS`.
    data, data_fingerprint : name and fingerprint (hex) of the training set.
    test_fingerprint : fingerprint (hex) of the test set, which decides the measured loss and accuracy.
    classes, channels : number of classes, channels of an image.
    mean, std : per channel; the network sees `(pixel / 255 - mean) / std`, or `(pixel - mean) / std` of
        float images.
    steps : number of updates of the weights.
    seed : decides the initial weights, the order of the images and the dropout.
    lr : learning rate.
    batch_size : images a step.
    train_images : how many of the first training images are used; None for all.
    test_images : how many of the first test images measure loss and accuracy.
    format : version of what a spec means; 1.

    Raises
    ------
    InputError
        A field has a value that no run can have.
    """

    model: str
    data: str
    data_fingerprint: str
    test_fingerprint: str
    classes: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    steps: int
    seed: int
    lr: float = 0.01
    batch_size: int = 256
    train_images: int | None = None
    test_images: int = 1000
    format: int = FORMAT

    def __post_init__(self) -> None:
        # One type a field, so that equal specs have equal hashes: 1 and 1.0, lists and tuples, NumPy's
        # scalars.
        for name in ("classes", "channels", "steps", "seed", "batch_size", "test_images", "format"):
            object.__setattr__(self, name, _integer(name, getattr(self, name)))
        if self.train_images is not None:
            object.__setattr__(self, "train_images", _integer("train_images", self.train_images))
        object.__setattr__(self, "lr", _number("lr", self.lr))
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(_number(name, value) for value in getattr(self, name)))
        self._validate()

    def _validate(self) -> None:
        if self.format != FORMAT:
            raise InputError(f"spec format {self.format} is not known: expected {FORMAT}; update firstlight")
        if self.model not in MODELS:
            raise InputError(f"model {self.model!r} is unknown: expected one of {', '.join(MODELS)}")
        for name in ("data", "data_fingerprint", "test_fingerprint"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InputError(f"{name}={getattr(self, name)!r}: expected text that is not empty")
        # A batch of one has no variance to normalise by.
        least = {"classes": 2, "channels": 1, "steps": 1, "seed": 0, "batch_size": 2, "test_images": 1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise InputError(f"{name}={getattr(self, name)}: expected at least {minimum}")
        if self.train_images is not None and self.train_images < self.batch_size:
            raise InputError(
                f"train_images={self.train_images}: expected at least one batch of {self.batch_size}; lower batch_size"
            )
        if self.lr <= 0:
            raise InputError(f"lr={self.lr}: expected a positive number")
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise InputError(f"{name}={getattr(self, name)}: expected {self.channels} numbers, one a channel")
        if min(self.std) <= 0:
            raise InputError(f"std={self.std}: expected positive numbers")

    @classmethod
    def for_data(
        cls, model: str, train_set: "ImageSet", test_set: "ImageSet", *, steps: int, seed: int, **changes: Any
    ) -> Self:
        """Spec of a training on `train_set`, measured on `test_set`; `changes` are other fields (lr, ...)."""
        described = {
            "data": train_set.name,
            "data_fingerprint": train_set.fingerprint,
            "test_fingerprint": test_set.fingerprint,
            "classes": len(train_set.classes),
            "channels": train_set.channels,
            "mean": train_set.mean,
            "std": train_set.std,
        }
        return cls(model=model, steps=steps, seed=seed, **{**described, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name; `json.dumps` takes them as they are."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Spec of what `to_dict` returned, every field of which must be there and nothing else.

        Raises
        ------
        InputError
            The format is another, keys are missing or unknown, or a value is impossible.
        """
        if not isinstance(values, dict):
            raise InputError(f"spec is a {type(values).__name__}: expected a dict of its fields")
        if values.get("format", FORMAT) != FORMAT:
            raise InputError(f"spec format {values['format']!r} is not known: expected {FORMAT}; update firstlight")
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - values.keys()):
            raise InputError(f"spec lacks {', '.join(missing)}: expected every field of RunSpec")
        if unknown := sorted(values.keys() - names):
            raise InputError(f"spec has unknown {', '.join(map(str, unknown))}: expected the fields of RunSpec alone")
        return cls(**values)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the spec as canonical JSON: the name of the run's folder."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def record_steps(steps: int) -> list[int]:
    """Steps after which the first layer is recorded: 0, about eight a decade on a log scale, and the last.

    Shorter runs record at the same steps as longer ones, up to their own last.

    Parameters
    ----------
    steps : number of updates of the run, at least 1.

    Returns
    -------
    Strictly increasing steps; after step `s` means after `s` updates, so 0 is the initialisation.
    """
    decades = range(math.ceil(RECORDS_PER_DECADE * math.log10(steps)) + 1)
    spaced = {round(10 ** (index / RECORDS_PER_DECADE)) for index in decades}
    return sorted({0, steps} | {step for step in spaced if step < steps})


def _integer(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}={value!r}: expected a whole number") from None


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}={value!r}: expected a number") from None
    if not math.isfinite(number):
        raise InputError(f"{name}={value!r}: expected a finite number")
    return number + 0.0  # -0.0 becomes 0.0, which it equals
