"""Layers of Keras by their class: which are taken as a first layer, which are refused, and which let the image pass."""

import re
from dataclasses import dataclass, field
from typing import Any

TAKEN = {"Conv2D", "DepthwiseConv2D"}
REFUSED = {
    "SeparableConv2D": "splits its kernel into a depthwise and a pointwise one, neither of which is the filters",
    "Conv2DTranspose": "is a transposed one, which has no input patches",
    "Conv1D": "is one-dimensional",
    "SeparableConv1D": "is one-dimensional",
    "DepthwiseConv1D": "is one-dimensional",
    "Conv1DTranspose": "is one-dimensional",
    "Conv3D": "is three-dimensional",
    "Conv3DTranspose": "is three-dimensional",
}
# Layers between input and first convolution that leave pixels what they are, more or less.
PASSED = re.compile(
    r"InputLayer|Rescaling|Normalization|BatchNormalization|LayerNormalization|GroupNormalization|UnitNormalization|"
    r"ZeroPadding2D|Cropping2D|Resizing|CenterCrop|Random\w+|AutoContrast|Equalization|Solarization|Posterization|"
    r"Pipeline|MixUp|CutMix|AugMix|RandAugment|Grayscale|Gaussian\w+|\w*Dropout\w*|Alpha\w+|Activation|ReLU|LeakyReLU|"
    r"PReLU|ELU|Softmax|ActivityRegularization|Identity|Masking|Permute|Reshape|Flatten|UpSampling2D|\w+Pooling2D|Concatenate|"
    r"Add|Subtract|Multiply|Average|Maximum|Minimum|Lambda|TFOpLambda|TensorFlowOpLayer|SlicingOpLambda|Cast|"
    r"True[Dd]ivide|Divide|Negative|GetItem|Transpose|Flip|ExpandDims|Squeeze|Stack|Clip|Abs|Power|Sqrt|Square"
)
KERNELS = {"Conv2D": ("kernel",), "DepthwiseConv2D": ("depthwise_kernel", "kernel")}  # Keras 3 renamed the second


@dataclass
class KerasLayer:
    """One layer of the flattened graph."""

    path: str  # through nested models, "backbone/stem"
    name: str
    kind: str  # its class
    settings: dict[str, Any]
    place: str  # of its weights in the modern layout
    top: str  # the top-level layer that it is in, or itself
    behind: set[int] = field(default_factory=set)  # the layers that take its output
    origin: int = 0  # of what it takes

    def __str__(self) -> str:
        kernel = " x ".join(map(str, pair(self.settings, "kernel_size", 0)))
        return f"{self.path} {self.kind} {self.settings.get('filters', '')} of {kernel}".replace("  ", " ")


def is_model(settings: Any) -> bool:
    """Whether a configuration is that of a Sequential (in old Keras a bare list) or Functional model."""
    return isinstance(settings, list) or (isinstance(settings.get("layers"), list) and len(settings["layers"]) > 0)


def pair(settings: dict[str, Any], name: str, usual: int) -> tuple[int, int]:
    """A setting of one or two whole numbers, (vertical, horizontal); a ValueError where it is anything else."""
    value = settings.get(name)
    values: list[Any] = value if isinstance(value, list) and value else [usual if value in (None, []) else value]
    if any(type(one) is not int or not 0 <= one < 1 << 31 for one in values):
        raise ValueError(f"{name} is {str(value)[:40]}")
    return values[0], values[-1]


def checked_name(value: Any) -> str:
    """A name as JSON holds it; a ValueError where it is anything else, or too long."""
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"{str(value)[:40]!r}; expected a name")
    return value
