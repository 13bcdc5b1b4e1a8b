"""Whether the fields of a spec, of any object that has them, have values that a run can have, and go together."""

from typing import Any

from firstlight.errors import InputError
from firstlight.models import known_model
from firstlight.training.spec_values import CHOICES, FIRST_LAYERS, KERNEL_SIZE, LABELS, label_component, start_tau
from firstlight.utils.text import counted

FORMAT = 1  # version of what a spec means


def check_spec(spec: Any) -> None:
    """Refuse a spec that no run can have; raises `InputError`."""
    check_format(spec.format)
    for name in ("model", "data", "data_fingerprint", "test_fingerprint"):
        if not isinstance(getattr(spec, name), str) or not getattr(spec, name):
            raise InputError(f"{name} is {getattr(spec, name)!r}; expected text that is not empty")
    known_model(spec.model, spec.width)
    # A batch of one has no variance to normalise by.
    least = {"classes": 2, "channels": 1, "steps": 1, "seed": 0, "batch_size": 2, "test_images": 1, "stride": 1}
    for name, minimum in least.items():
        if getattr(spec, name) < minimum:
            raise InputError(f"{name} is {getattr(spec, name)}; expected at least {minimum}")
    if spec.train_images is not None and spec.train_images < spec.batch_size:
        raise InputError(
            f"train_images is {spec.train_images}; expected at least a batch of {spec.batch_size}: lower batch_size"
        )
    if spec.lr <= 0:
        raise InputError(f"lr is {spec.lr}; expected a positive number")
    for name in ("mean", "std"):
        if len(getattr(spec, name)) != spec.channels:
            raise InputError(
                f"{name} is {getattr(spec, name)}; expected {counted(spec.channels, 'number')}, one a channel"
            )
    if min(spec.std) <= 0:
        raise InputError(f"std is {spec.std}; expected positive numbers")
    _check_changes(spec)


def _check_changes(spec: Any) -> None:
    """Check the fields that change the network or the data from the authors' recipe."""
    if not isinstance(spec.frozen, bool):
        raise InputError(f"frozen is {spec.frozen!r}; expected True or False")
    if spec.only is not None and not (
        all(isinstance(name, str) for name in spec.only) and len(set(spec.only)) == len(spec.only) == spec.classes
    ):
        raise InputError(f"only is {spec.only}; expected {spec.classes} different class names, as many as classes")
    if spec.labels not in LABELS[:2] and label_component(spec.labels) is None:
        raise InputError(f"labels is {spec.labels!r}; expected one of {', '.join(LABELS)}, N a component from 1")
    if spec.first_layer not in (*FIRST_LAYERS[:2], *FIRST_LAYERS[3:]) and start_tau(spec.first_layer) is None:
        raise InputError(f"first_layer is {spec.first_layer!r}; expected one of {', '.join(FIRST_LAYERS)}, TAU above 0")
    for name, choices in CHOICES.items():
        if getattr(spec, name) not in choices:
            raise InputError(f"{name} is {getattr(spec, name)!r}; expected one of {', '.join(choices)}")
    if not 0 <= spec.momentum < 1:
        raise InputError(f"momentum is {spec.momentum}; expected at least 0 and below 1")
    if spec.momentum and spec.optimizer != "sgd":
        raise InputError(f"momentum is {spec.momentum}, optimizer {spec.optimizer!r}; expected momentum 0, or sgd")
    if spec.weight_decay < 0:
        raise InputError(f"weight_decay is {spec.weight_decay}; expected at least 0")
    if spec.scale <= 0:
        raise InputError(f"scale is {spec.scale}; expected a positive number")
    if (spec.scaled_component is None) != (spec.scale == 1):
        raise InputError(
            f"scaled_component is {spec.scaled_component}, scale {spec.scale}; expected both, or neither (None, 1)"
        )
    size = spec.channels * KERNEL_SIZE**2
    for name, component in (
        ("scaled_component", spec.scaled_component),
        ("labels", label_component(spec.labels)),
    ):
        if component is not None and not 1 <= component <= size:
            raise InputError(
                f"{name} is {getattr(spec, name)!r}; expected component 1 to {size}, as many as a patch has numbers"
            )
    if spec.scaled_component is not None and spec.stride != KERNEL_SIZE:
        raise InputError(
            f"stride is {spec.stride}, scaled_component {spec.scaled_component}; expected stride {KERNEL_SIZE}, "
            "whose patches share no pixel"
        )
    if spec.scaled_component is not None and spec.augmentation != "none":
        raise InputError(
            f"augmentation is {spec.augmentation!r}, scaled_component {spec.scaled_component}; expected 'none', "
            "which leaves the patches that were scaled where they are"
        )


def check_format(version: Any) -> None:
    """Refuse a version of specs that is not this one; raises `InputError`."""
    if version != FORMAT or isinstance(version, bool):
        raise InputError(f"spec format {version!r} is not known; expected {FORMAT}: update firstlight")
