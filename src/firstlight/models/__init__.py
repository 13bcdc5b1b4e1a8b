"""The networks whose first layers are studied.

Read first: `vgg.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from firstlight.models.linear import LinearCNN

__all__ = ["MODELS", "LinearCNN", "ModelInfo", "build_model"]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network without building it.

    Attributes
    ----------
    title : str
        Its name in tables and figures.
    description : str
        One line.
    depth : int or None
        Of a VGG, in layers; None for others.
    filters : int
        Number of first-layer filters, unless it is told otherwise.
    kernel_size : int
        Rows and columns of each.
    any_width : bool
        Whether it can be told otherwise.
    """

    title: str
    description: str
    depth: int | None
    filters: int
    kernel_size: int = 3
    any_width: bool = False


def _vgg(depth: int, parameters: str) -> ModelInfo:
    description = f"VGG{depth} with batch normalisation, {parameters} parameters"
    return ModelInfo(f"VGG{depth}", description, depth, 64, any_width=True)


def _small(title: str, later: str, parameters: str) -> ModelInfo:
    description = f"small network with later kernels of {later}, {parameters} parameters"
    return ModelInfo(title, description, None, 16, any_width=True)


# The classifiers that `build_model` knows. LinearCNN predicts one number, not classes, and so is not among them.
MODELS: Mapping[str, ModelInfo] = {
    "vgg5": _vgg(5, "0.4 million"),
    "vgg8": _vgg(8, "4.4 million"),
    "vgg11": _vgg(11, "9.8 million"),
    "vgg13": _vgg(13, "9.9 million"),
    "vgg16": _vgg(16, "15.3 million"),
    "resnet20": ModelInfo("ResNet20", "ResNet20 with option A shortcuts, 0.27 million parameters", None, 16),
    "resnet20b": ModelInfo(
        "ResNet20-B", "ResNet20 with option B shortcuts, as the authors train it, 0.27 million parameters", None, 16
    ),
    "resnet32": ModelInfo("ResNet32", "ResNet32 with option A shortcuts, 0.46 million parameters", None, 16),
    "resnet18": ModelInfo("ResNet18", "ResNet18 with a first layer of 3 x 3, 11.2 million parameters", None, 64),
    "fastnet": ModelInfo(
        "FastNet", "small fast network with a first layer of 2 x 2, 0.15 million parameters", None, 24, 2
    ),
    "smallnet": _small("SmallNet", "3 x 3", "0.008 million"),
    "smallnet1x1": _small("SmallNet1x1", "1 x 1", "0.002 million"),
}


def build_model(
    name: str, *, classes: int = 10, channels: int = 3, width: int | None = None, stride: int = 1
) -> "nn.Module":
    """Build a freshly initialised classifier; the weights come from torch's global random generator.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    classes : int
        Number of classes.
    channels : int
        Channels of the images; 3 for RGB, 1 for grey.
    width : int, optional
        Number of first-layer filters; None for the network's own. Only that of a VGG or a SmallNet can differ.
    stride : int
        Of the first layer; above 1 its patches are read without padding.

    Returns
    -------
    nn.Module
        Maps normalised images (N, channels, H, W) to logits (N, classes).

    Raises
    ------
    InputError
        The name is unknown, or the width is not possible.

    Examples
    --------
    >>> import firstlight as fl
    >>> network = fl.build_model("vgg11", classes=100, width=16)
    >>> fl.load_filters(network)
    FilterBank(VGG features.0: 16 filters of 3 x 3 x 3)
    """
    info = known_model(name, width)
    if info.depth is not None:
        from firstlight.models.vgg import VGG

        return VGG(info.depth, classes, channels, width or info.filters, stride)
    if name == "fastnet":
        from firstlight.models.fast import FastNet

        return FastNet(classes, channels, stride)
    if name.startswith("smallnet"):
        from firstlight.models.small import SmallNet

        return SmallNet(1 if name == "smallnet1x1" else 3, classes, channels, width or info.filters, stride)
    from firstlight.models.resnet import CifarResNet, ResNet18

    if name == "resnet18":
        return ResNet18(classes, channels, stride)
    return CifarResNet(5 if name == "resnet32" else 3, classes, channels, stride, projected=name == "resnet20b")


def known_model(name: str, width: int | None = None) -> ModelInfo:
    """The entry of a network, after a check that there is one of that first-layer width.

    Raises
    ------
    InputError
        As `build_model`.
    """
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown; expected one of {', '.join(MODELS)}")
    info = MODELS[name]
    if width is not None and width < 1:
        raise InputError(f"width is {width}; expected at least 1 first-layer filter")
    if width not in (None, info.filters) and not info.any_width:
        raise InputError(f"width is {width}; expected {info.filters}, the only one of {name}: choose a VGG for another")
    return info


def __getattr__(name: str) -> Any:
    if name != "LinearCNN":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("firstlight.models.linear").LinearCNN
