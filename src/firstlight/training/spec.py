"""What decides the result of a training run."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from firstlight.errors import InputError
from firstlight.models import known_model
from firstlight.training.spec_checks import FORMAT, check_format, check_spec
from firstlight.training.spec_values import finite_number, items
from firstlight.utils.checks import whole_number

if TYPE_CHECKING:
    from firstlight.images import ImageSet, SetFacts

# What a spec without a field that it must have meant, for whoever still has its run.
CHANGES = {"test_fingerprint": "older versions named no test set, so their loss and accuracy are of unknown images"}
# Fields that came after runs had been written. At these values they mean what a spec without them means, and are left
# out of its dict and its hash.
LATER: dict[str, Any] = {
    "width": None,
    "stride": 1,
    "frozen": False,
    "only": None,
    "labels": "true",
    "scaled_component": None,
    "scale": 1.0,
    "precision": "float32",
    "first_layer": "default",
    "optimizer": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": "constant",
    "augmentation": "none",
}


@dataclass(frozen=True)
class RunSpec:
    """All that decides the result of a run on one kind of machine; the hash of it names the run.

    The recipe behind it is the paper's authors', unless a field says otherwise: stochastic gradient descent
    without momentum or weight decay on the cross-entropy, no augmentation, a new order every epoch, the
    incomplete last batch of an epoch dropped.

    Attributes
    ----------
    model : str
        A key of `firstlight.models.MODELS`.
    data, data_fingerprint : str
        Name and fingerprint (hex) of the training set.
    test_fingerprint : str
        Fingerprint (hex) of the test set, which decides the measured loss and accuracy.
    classes, channels : int
        Number of classes, channels of an image.
    mean, std : tuple of float
        Per channel; the network sees `(pixel / 255 - mean) / std`, or `(pixel - mean) / std` of
        float images.
    steps : int
        Number of updates of the weights.
    seed : int
        Decides the initial weights, the order of the images, the dropout and the augmentation.
    lr : float
        Learning rate, or where a schedule of it begins.
    batch_size : int
        Images a step.
    train_images : int or None
        How many of the first training images are used; None for all.
    test_images : int
        How many of the first test images measure loss and accuracy.
    format : int
        Version of what a spec means; 1.
    width : int or None
        Number of first-layer filters; None for the network's own.
    stride : int
        Of the first layer; above 1 its patches are read without padding, side by side at 3.
    frozen : bool
        Whether the first layer stays as it was initialised.
    only : tuple of str, or None
        Names of the classes that are kept, in the order of their new numbers; None for all.
    labels : str
        `"true"`; `"random"`, drawn uniformly for every image, of the run's seed; or `"energy:N"`, the quantile
        that the image's patch energy in component N (from 1) falls into, of as many as there are classes.
    scaled_component, scale : int or None, float
        The component (from 1) of the patches side by side whose coefficient is multiplied by
        `scale` in every patch of every image; None for none. Only with the stride that lays them side by side.
    precision : str
        `"float32"`, or `"bfloat16"` for the products of the network; weights stay float32.
    first_layer : str
        How the first layer starts: `"default"`, as the network initialises it; `"pca"` or `"eq3:TAU"`, as
        `initialise_first_layer` does with the training images; or a control of the same response: `"orthogonal"`,
        random orthonormal filters, and `"spectrum"`, the filters of `"pca"` along random directions.
    optimizer : str
        `"sgd"`, or `"adam"` with torch's betas (0.9, 0.999).
    momentum : float
        Of stochastic gradient descent, not Nesterov's: 0 to below 1.
    weight_decay : float
        Of all weights and biases: what is added to the gradient for each unit of them; with Adam decoupled
        (AdamW), a fraction of them times the learning rate that each step takes away.
    schedule : str
        `"constant"`, or `"cosine"`: half a cosine over all steps, from `lr` down to 0 after the last.
    augmentation : str
        `"none"`; `"flip"`, of half of the training images, left to right; `"crop"`, training images shifted by up
        to 4 pixels a side, with the mean where there are none; or `"flip+crop"`.

    Raises
    ------
    InputError
        A field has a value that no run can have.

    Examples
    --------
    >>> import firstlight as fl
    >>> train_set, test_set = fl.load_images("photos"), fl.load_images("photos", "test")
    >>> spec = RunSpec.for_data("vgg11", train_set, test_set, steps=100, seed=0, labels="random")
    >>> spec.data, spec.classes, spec.lr, len(spec.hash)
    ('photos', 5, 0.01, 16)
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
    width: int | None = None
    stride: int = 1
    frozen: bool = False
    only: tuple[str, ...] | None = None
    labels: str = "true"
    scaled_component: int | None = None
    scale: float = 1.0
    precision: str = "float32"
    first_layer: str = "default"
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    augmentation: str = "none"

    def __post_init__(self) -> None:
        # One type a field, so that equal specs have equal hashes: 1 and 1.0, lists and tuples, NumPy's
        # scalars.
        for name in ("classes", "channels", "steps", "seed", "batch_size", "test_images", "format", "stride"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        for name in ("train_images", "width", "scaled_component"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        for name in ("lr", "scale", "momentum", "weight_decay"):
            object.__setattr__(self, name, finite_number(name, getattr(self, name)))
        if self.only is not None:
            object.__setattr__(self, "only", items("only", self.only))
        for name in ("mean", "std"):
            values = items(name, getattr(self, name))
            object.__setattr__(self, name, tuple(finite_number(name, value) for value in values))
        check_spec(self)
        if self.width == known_model(self.model).filters:
            object.__setattr__(self, "width", None)  # the network's own, by whatever name

    @classmethod
    def for_data(
        cls,
        model: str,
        train_set: "ImageSet | SetFacts",
        test_set: "ImageSet | SetFacts",
        *,
        steps: int,
        seed: int,
        **changes: Any,
    ) -> Self:
        """Spec of a training on one set, measured on another.

        Parameters
        ----------
        model : str
            A key of `firstlight.models.MODELS`.
        train_set, test_set : ImageSet or SetFacts
            What to train and to measure on.
        steps, seed : int
            As in the attributes.
        **changes
            Other attributes, such as ``lr=0.02``.

        Returns
        -------
        RunSpec
        """
        described = {
            "data": train_set.name,
            "data_fingerprint": train_set.fingerprint,
            "test_fingerprint": test_set.fingerprint,
            "classes": len(changes.get("only") or train_set.classes),
            "channels": train_set.channels,
            "mean": train_set.mean,
            "std": train_set.std,
        }
        return cls(model=model, steps=steps, seed=seed, **{**described, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name; `json.dumps` takes them as they are."""
        absent = object()
        return {name: value for name, value in asdict(self).items() if LATER.get(name, absent) != value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Spec of what `to_dict` returned: every field of the first version must be there, and nothing unknown.

        Parameters
        ----------
        values : dict

        Returns
        -------
        RunSpec

        Raises
        ------
        InputError
            The format is another, keys are missing or unknown, or a value is impossible.
        """
        if not isinstance(values, dict):
            raise InputError(f"spec is a {type(values).__name__}; expected a dict of its fields")
        check_format(values.get("format", FORMAT))
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - values.keys() - LATER.keys()):
            changes = "".join(f" ({CHANGES[name]}: train again)" for name in missing if name in CHANGES)
            raise InputError(f"spec lacks {', '.join(missing)}; expected every field of RunSpec{changes}")
        if unknown := sorted(values.keys() - names):
            raise InputError(f"spec has unknown {', '.join(map(str, unknown))}; expected the fields of RunSpec alone")
        return cls(**values)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the spec as canonical JSON: the name of the run's folder."""
        return hash_of(self.to_dict())


def hash_of(values: Any) -> str:
    """First 16 hex digits of the SHA-256 of a spec's dict as canonical JSON, whatever its fields mean."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
