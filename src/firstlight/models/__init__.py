"""The networks whose first layers are studied; torch is imported when one is built, not before."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from firstlight.models.linear import LinearCNN
    from firstlight.models.resnet import ResNet20
    from firstlight.models.vgg import VGG11

__all__ = ["MODELS", "VGG11", "LinearCNN", "ResNet20", "build_model"]

# The classifiers that `build_model` knows. LinearCNN predicts one number, not classes, and so is not among
# them.
MODELS: dict[str, str] = {
    "vgg11": "VGG11 with batch normalisation, 64 first-layer filters of 3 x 3, 9.8 million parameters",
    "resnet20": "ResNet20 with option A shortcuts, 16 first-layer filters of 3 x 3, 0.27 million parameters",
}

# Where each class lives; loaded on first use, so that the names above cost no torch.
_CLASSES = {"VGG11": "vgg", "ResNet20": "resnet", "LinearCNN": "linear"}


def build_model(name: str, *, classes: int = 10, channels: int = 3) -> "nn.Module":
    """Build a freshly initialised classifier; the weights come from torch's global random generator.

    Parameters
    ----------
    name : a key of `MODELS`.
    classes : number of classes.
    channels : channels of the images; 3 for RGB, 1 for gray.

    Returns
    -------
    A module that maps normalised images (N, channels, H, W) to logits (N, classes).

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown: expected one of {', '.join(MODELS)}")
    model_class = __getattr__({"vgg11": "VGG11", "resnet20": "ResNet20"}[name])
    return model_class(classes, channels)


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"firstlight.models.{_CLASSES[name]}"), name)
