"""Weight standardisation: layers that convolve with (weight - mean) / deviation, of which a file holds the weight."""

import math
import re

import numpy as np

from firstlight.filters.choice.tensors import TensorFile

# Networks without a gain: what ends the first layer's name, a tensor that they have beside it, with "." for "/", and
# what is added to the variance and to the deviation.
_KNOWN = (
    ("standardized_conv2d", "", 1e-10, 0.0),  # BiT, in TensorFlow
    ("root.conv", "body.block1.unit01.gn1.weight", 1e-10, 0.0),  # BiT, in PyTorch
    ("root.conv", "body.block1.unit1.gn1.weight", 1e-5, 0.0),  # hybrid ViT, in PyTorch
    ("conv_root", "gn_root.scale", 0.0, 1e-5),  # both, in JAX
    ("stem.conv", "stages.0.blocks.0.norm3.weight", 1e-8, 0.0),  # both, of timm
    ("embedder.convolution", "encoder.stages.0.layers.0.norm1.weight", 1e-8, 0.0),  # BiT, of transformers
)
_HINT = re.compile(
    r"std_?conv|standardi[sz]ed_?conv|weight_?standard|(?<![a-z])ws_?conv|conv_?a?ws(?![a-z])|gn[_+-]?ws(?![a-z])"
    r"|(?<![a-z])nf_?(res|reg)?net"
)
_APPLIED = "weight standardisation is applied, which the layer does when it runs: (weight - mean) / standard deviation"


def standardised(file: TensorFile, layer: str, weight: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The weight that a layer convolves with, and what to say of it; the stored one where nothing tells of another.

    Evidence is a gain beside the weight (NFNets), the buffers of adaptive standardisation (DetectoRS), or the names
    of a network that is known to do it (BiT, hybrid ViTs).

    Parameters
    ----------
    file : TensorFile
    layer : str
        What the names of the layer's tensors begin with.
    weight : ndarray, shape (K, C, kh, kw)
        As stored.
    """
    tensors = {entry.name.replace("/", "."): entry for entry in file.entries}
    layer, column = layer.replace("/", "."), (len(weight), 1, 1, 1)
    gain, gamma, beta = (tensors.get(f"{layer}.{leaf}") for leaf in ("gain", "weight_gamma", "weight_beta"))
    if gain is not None and gain.shape in (column, column[:1]):
        # One of a single axis is DeepMind's, which limits the variance from below; the other is timm's.
        floor, epsilon = (1e-4 / weight[0].size, 0.0) if len(gain.shape) == 1 else (0.0, 1e-5)
        factor = gain.read().reshape(column) / math.sqrt(weight[0].size)
        times = f"times the gain / sqrt({weight[0].size}); a factor common to all filters is not in the file"
        return _standard(weight, epsilon, floor=floor) * factor, [f"{_APPLIED}, {times}"]
    if gamma is not None and beta is not None and gamma.shape == beta.shape == column:
        weight = _standard(weight, 1e-5, ddof=1) * gamma.read() + beta.read()
        return weight, [f"{_APPLIED}, times weight_gamma, plus weight_beta"]
    for ending, companion, epsilon, outside in _KNOWN:
        start = layer.removesuffix(ending)
        running = f"{start}{companion.removesuffix('weight')}running_var"  # with it, it is a network of another norm
        beside = not companion or (start + companion in tensors and running not in tensors)
        if beside and start != layer and start[-1:] in ("", "."):
            return _standard(weight, epsilon, outside), [f"{_APPLIED}, as its names tell"]
    if gain is not None:
        return weight, [f"what the layer does with its gain, of shape {gain.shape}, is not known: it is not applied"]
    if _HINT.search(f"{file.source.rpartition('/')[2]} {layer}".lower()):
        how = "which the file does not tell: it is not applied; give the network itself (module:PACKAGE.MODULE:FACTORY)"
        return weight, [f"its name speaks of weight standardisation, {how}"]
    return weight, []


def _standard(
    weight: np.ndarray, epsilon: float, outside: float = 0.0, *, floor: float = 0.0, ddof: int = 0
) -> np.ndarray:
    with np.errstate(all="ignore"):  # what is not finite is found when the filters are used
        variance = np.maximum(weight.var(axis=(1, 2, 3), keepdims=True, ddof=ddof), floor)
        return (weight - weight.mean(axis=(1, 2, 3), keepdims=True)) / (np.sqrt(variance + epsilon) + outside)
