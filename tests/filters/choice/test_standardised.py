"""Weights that a layer standardises when it runs: what is read equals what the layer convolves with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from firstlight.filters import FilterBank
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorEntry, TensorFile

LAYOUTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "layouts.json").read_text())
STANDARDISED, CUT = {"timm/nf_resnet50", "bit-jax"}, {"yolox"}
RNG = np.random.default_rng(0)
# With a mean, and of sizes at which what is added to the variance counts.
WEIGHT = (RNG.normal(size=(8, 3, 7, 7)) + RNG.normal(size=(8, 1, 1, 1))) * 10.0 ** -np.arange(8).reshape(8, 1, 1, 1)
GAIN = RNG.normal(size=(8, 1, 1, 1))
SHIFT = RNG.normal(size=(8, 1, 1, 1))
NORM = np.ones(8)


def read(arrays: dict[str, np.ndarray], source: str = "net.pth") -> FilterBank:
    entries = (TensorEntry(name, array.shape, "float32", lambda a=array: a) for name, array in arrays.items())
    return bank_of(TensorFile(source, tuple(entries), ordered=True))


def standardised(epsilon: float, outside: float = 0.0, unbiased: bool = False) -> np.ndarray:
    """As the layers do it, in torch."""
    weight = torch.from_numpy(WEIGHT)
    variance, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, unbiased=unbiased)
    return ((weight - mean) / (torch.sqrt(variance + epsilon) + outside)).numpy()


def test_a_gain_beside_the_weight_is_that_of_normaliser_free_networks():
    """timm's ScaledStdConv2d, whose standardisation is a batch normalisation in training."""
    weight, gain = torch.from_numpy(WEIGHT), torch.from_numpy(GAIN) * (3 * 49) ** -0.5
    flat = weight.reshape(1, 8, -1)
    used = torch.nn.functional.batch_norm(flat, None, None, weight=gain.view(-1), training=True, eps=1e-5)
    bank = read({"stem.conv1.weight": WEIGHT, "stem.conv1.bias": NORM, "stem.conv1.gain": GAIN})
    np.testing.assert_allclose(bank.weight, used.reshape_as(weight).numpy(), rtol=1e-10, atol=1e-14)
    assert "weight standardisation is applied" in bank.notes[-1]
    assert "gain / sqrt(147)" in bank.notes[-1]


def test_a_gain_of_one_axis_is_that_of_the_first_such_networks_in_either_layout():
    scale = 1 / np.sqrt(np.maximum(WEIGHT.var(axis=(1, 2, 3), keepdims=True) * 147, 1e-4)) * GAIN
    used = WEIGHT * scale - WEIGHT.mean(axis=(1, 2, 3), keepdims=True) * scale
    haiku = read({"nfnet/~/stem_conv0/w": WEIGHT.transpose(2, 3, 1, 0), "nfnet/~/stem_conv0/gain": GAIN.ravel()})
    for bank in (read({"stem.0.weight": WEIGHT, "stem.0.gain": GAIN.ravel()}), haiku):
        np.testing.assert_allclose(bank.weight, used, rtol=1e-10, atol=1e-14)


def test_adaptive_standardisation_has_a_factor_and_a_shift():
    buffers = {"backbone.conv1.weight_gamma": GAIN, "backbone.conv1.weight_beta": SHIFT}
    bank = read({"backbone.conv1.weight": WEIGHT, **buffers})
    np.testing.assert_allclose(bank.weight, GAIN * standardised(1e-5, unbiased=True) + SHIFT, rtol=1e-12)
    assert "weight_beta" in bank.notes[-1]


@pytest.mark.parametrize("start", ["", "module.", "patch_embed.backbone."])
@pytest.mark.parametrize(
    ("layer", "beside", "epsilon", "outside"),
    [
        ("root.conv", "body.block1.unit01.gn1.weight", 1e-10, 0.0),
        ("root.conv", "body.block1.unit1.gn1.weight", 1e-5, 0.0),
        ("stem.conv", "stages.0.blocks.0.norm3.weight", 1e-8, 0.0),
        ("embedder.convolution", "encoder.stages.0.layers.0.norm1.weight", 1e-8, 0.0),
    ],
)
def test_networks_that_are_known_to_standardise(start: str, layer: str, beside: str, epsilon: float, outside: float):
    arrays = {f"{start}{layer}.weight": WEIGHT, f"{start}{beside}": NORM}
    bank = read(arrays)
    np.testing.assert_allclose(bank.weight, standardised(epsilon, outside), rtol=1e-10)
    assert bank.notes == (
        "weight standardisation is applied, which the layer does when it runs: (weight - mean) / standard deviation, "
        "as its names tell",
    )
    running = f"{start}{beside.removesuffix('weight')}running_var"
    plain = [{f"{start}{layer}.weight": WEIGHT}, arrays | {running: NORM}, {f"{start}x{layer}.weight": WEIGHT}]
    for others in plain:  # the tensor beside it is missing, or is of a batch normalisation; another name
        bank = read(others)
        np.testing.assert_array_equal(bank.weight, WEIGHT)
        assert bank.notes == ()


@pytest.mark.parametrize(
    ("name", "beside", "epsilon", "outside"),
    [
        ("resnet/root_block/standardized_conv2d", "resnet/group_norm/gamma", 1e-10, 0.0),
        ("params/root_block/conv_root", "params/root_block/gn_root/scale", 0.0, 1e-5),
        ("conv_root", "gn_root/scale", 0.0, 1e-5),
    ],
)
def test_archives_with_the_filters_last(name: str, beside: str, epsilon: float, outside: float):
    bank = read({f"{name}/kernel": WEIGHT.transpose(2, 3, 1, 0), beside: NORM}, "bit.npz")
    np.testing.assert_allclose(bank.weight, standardised(epsilon, outside), rtol=1e-10)


@pytest.mark.parametrize(
    ("source", "layer"),
    [("mask_rcnn_r50_fpn_gn_ws.pth", "conv1"), ("net.pth", "stem.ws_conv1"), ("folder/nf_resnet50.pth", "stem.conv")],
)
def test_what_only_a_name_hints_at_is_said_and_not_applied(source: str, layer: str):
    bank = read({f"{layer}.weight": WEIGHT, "bn9.weight": NORM}, source)
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert "its name speaks of weight standardisation" in bank.notes[-1]
    assert "it is not applied" in bank.notes[-1]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3, 1, 1)])
def test_a_gain_of_another_shape_is_said_and_not_applied(shape: tuple[int, ...]):
    bank = read({"conv1.weight": WEIGHT, "conv1.gain": np.ones(shape)})
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert bank.notes == (f"what the layer does with its gain, of shape {shape}, is not known: it is not applied",)


@pytest.mark.parametrize(
    ("source", "name"),
    [("resnet20.th", "conv1"), ("windows_conv.pth", "downs_conv1"), ("nfnets/vgg.pth", "conv1"), ("infnet.pt", "0")],
)
def test_plain_layers_stay_bit_for_bit(source: str, name: str):
    bank = read({f"{name}.weight": WEIGHT, "layer1.gain": GAIN, "bn1.gain": NORM}, source)
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert bank.notes == ()


@pytest.mark.parametrize("name", sorted(name for name, layout in LAYOUTS.items() if layout["layer"]))
def test_of_real_networks_only_those_that_do_it_are_changed(name: str):
    layer = LAYOUTS[name]["layer"]
    arrays = {
        tensor: RNG.normal(size=shape) if tensor.startswith(layer) else np.zeros(shape)
        for tensor, shape in LAYOUTS[name]["tensors"]
    }
    bank = read(arrays)
    said = " ".join(bank.notes)
    assert ("standardisation is applied" in said) == (name in STANDARDISED)
    assert ("three colours" in said) == (name in CUT)
    assert "is not applied" not in said
    if name not in STANDARDISED | CUT:  # every number is one of those that are stored, however they were arranged
        assert any(
            np.array_equal(np.sort(bank.weight, None), np.sort(one, None)) for one in arrays.values() if one.any()
        )
