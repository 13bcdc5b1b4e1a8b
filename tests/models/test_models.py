"""Building a network by name: what there is, its size, and the first layer it was asked for."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from firstlight import models
from firstlight.errors import InputError
from firstlight.models import MODELS, LinearCNN, build_model
from firstlight.models.fast import FastNet
from firstlight.models.resnet import CifarResNet, ResNet18
from firstlight.models.small import SmallNet
from firstlight.models.vgg import VGG
from firstlight.training.trainer import first_layer

# Published: VGG11, 13 and 16 by chenyaofo (with the differences between torchvision's, 184,896 and 5,312,256), and so
# ResNet20-B, ResNet20 and 32 by akamaster, ResNet18 by kuangliu. The shallow VGGs are counted by hand: convolutions
# with biases, two numbers a channel for the batch normalisation, and three linear layers.
PARAMETERS = {
    "vgg5": (27 + 3) * 64 + (9 * 64 + 3) * 128 + 129 * 512 + 513 * 512 + 513 * 10,
    "vgg8": (27 + 3) * 64
    + (9 * 64 + 3) * 128
    + (9 * 128 + 3) * 256
    + (9 * 256 + 3) * 512
    + (9 * 512 + 3) * 512
    + 2 * 513 * 512
    + 513 * 10,
    "vgg11": 9_756_426,
    "vgg13": 9_941_322,
    "vgg16": 15_253_578,
    "resnet20": 269_722,
    "resnet20b": 272_474,
    "resnet32": 464_154,
    "resnet18": 11_173_962,
    # By hand: 2 x 2 with biases, six convolutions without, two numbers a channel for their normalisation, a linear one.
    "fastnet": (12 + 1) * 24 + 9 * (24 * 32 + 32 * 32 + 32 * 64 + 3 * 64 * 64) + 2 * (2 * 32 + 4 * 64) + 64 * 10,
    "smallnet": 27 * 16 + 9 * (16 * 16 + 16 * 32) + 2 * (16 + 16 + 32) + 33 * 10,
    "smallnet1x1": 27 * 16 + 16 * 16 + 16 * 32 + 2 * (16 + 16 + 32) + 33 * 10,
}


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def test_every_network_has_a_count_to_be_checked_against():
    assert list(MODELS) == list(PARAMETERS)


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_what_its_entry_says(name):
    model, info = build_model(name), MODELS[name]
    count = parameters(model)
    assert count == PARAMETERS[name]
    stated = re.search(r"([\d.]+) million parameters", info.description)
    assert stated is not None
    decimals = len(stated[1].partition(".")[2])
    assert round(count / 1e6, decimals) == float(stated[1])
    assert first_layer(model).out_channels == info.filters
    # The layers with weights, but for the projections beside them, are those of the name.
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3))
    ]
    assert info.title.lower().replace("-", "") == name
    assert first_layer(model).kernel_size == (info.kernel_size, info.kernel_size)
    if name in ("fastnet", "smallnet", "smallnet1x1"):  # are not named by their depth
        return
    assert len(layers) == int(re.sub(r"\D", "", name))
    assert info.depth == (len(layers) if isinstance(model, VGG) else None)


def test_names_build_their_classes():
    names = ("vgg5", "vgg11", "resnet20", "resnet20b", "resnet32", "resnet18", "fastnet", "smallnet", "smallnet1x1")
    classes = {name: type(build_model(name)) for name in names}
    assert classes == {
        "vgg5": VGG,
        "vgg11": VGG,
        "resnet20": CifarResNet,
        "resnet20b": CifarResNet,
        "resnet32": CifarResNet,
        "resnet18": ResNet18,
        "fastnet": FastNet,
        "smallnet": SmallNet,
        "smallnet1x1": SmallNet,
    }


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(
        InputError,
        match=r"'vgg19' is unknown; expected one of vgg5, vgg8, .*, resnet18, fastnet, smallnet, smallnet1x1$",
    ):
        build_model("vgg19")


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("vgg11", 0, "width is 0; expected at least 1 first-layer filter"),
        ("resnet20", -1, "width is -1; expected at least 1"),
        ("resnet20", 32, "width is 32; expected 16, the only one of resnet20: choose a VGG"),
        ("resnet18", 16, "width is 16; expected 64, the only one of resnet18"),
    ],
)
def test_widths_that_a_network_cannot_have_are_refused(name, width, message):
    with pytest.raises(InputError, match=message):
        build_model(name, width=width)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, firstlight.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 4])
def test_logits_for_any_channels_and_classes(name, channels):
    model = build_model(name, classes=7, channels=channels)
    assert model(torch.randn(2, channels, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = build_model(name)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("name", "side"), [("smallnet", 3), ("smallnet1x1", 1)])
def test_only_the_first_layer_of_a_small_network_has_another_width(name, side):
    own, wide = (
        [one for one in model.modules() if isinstance(one, nn.Conv2d)]
        for model in (build_model(name), build_model(name, width=64))
    )
    assert [one.out_channels for one in own] == [16, 16, 32]
    assert [one.out_channels for one in wide] == [64, 16, 32]
    assert [one.kernel_size[0] for one in wide] == [3, side, side]
    assert build_model(name, width=64, stride=3)(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_fastnet_takes_images_of_any_size():
    model = build_model("fastnet").eval()
    for side in (2, 3, 7, 33):
        assert model(torch.randn(2, 3, side, side + 1)).shape == (2, 10)


@pytest.mark.parametrize("name", [name for name, info in MODELS.items() if info.kernel_size == 3])
def test_stride_3_reads_the_patches_side_by_side_from_the_top_left(name):
    model = build_model(name, stride=3).eval()
    images = torch.randn(2, 3, 32, 32)
    layer = first_layer(model)
    bias = 0 if layer.bias is None else layer.bias[:, None]
    expected = layer.weight.flatten(1) @ F.unfold(images, 3, stride=3) + bias
    torch.testing.assert_close(layer(images).flatten(2), expected, rtol=1e-4, atol=1e-5)
    assert layer(images).shape[2:] == (10, 10)
    # 32 is 10 patches and 2 pixels, which nothing sees.
    beyond = images.clone()
    beyond[:, :, 30:] = 9
    beyond[:, :, :, 30:] = 9
    logits = model(images)
    assert logits.shape == (2, 10)
    assert torch.equal(model(beyond), logits)


@pytest.mark.parametrize(("name", "stride"), [("vgg5", 3), ("resnet32", 3), ("resnet18", 2)])
def test_stride_changes_no_weight(name, stride):
    torch.manual_seed(0)
    state = build_model(name).state_dict()
    torch.manual_seed(0)
    strided = build_model(name, stride=stride).state_dict()
    assert state.keys() == strided.keys()
    assert all(torch.equal(strided[key], value) for key, value in state.items())


@pytest.mark.parametrize(("name", "reader"), [("vgg5", "features.4.weight"), ("vgg13", "features.3.weight")])
def test_width_changes_the_first_layer_and_what_reads_it(name, reader):
    own, other = shapes(build_model(name)), shapes(build_model(name, width=20))
    assert own.keys() == other.keys()
    changed = {key for key in own if own[key] != other[key]}
    normalisation = {f"features.1.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    assert changed == {"features.0.weight", "features.0.bias", reader} | normalisation
    assert other["features.0.weight"] == (20, 3, 3, 3)
    assert build_model(name, width=20)(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["vgg11", "resnet20", "resnet18"])
def test_a_network_can_be_asked_for_its_own_width(name):
    assert shapes(build_model(name, width=MODELS[name].filters)) == shapes(build_model(name))


def test_linear_cnn_is_exported_but_is_no_classifier():
    assert "linear" not in MODELS
    assert LinearCNN(filters=2)(torch.zeros(3, 3, 8, 8)).shape == (3,)
    with pytest.raises(AttributeError, match="has no attribute 'VGG11'"):
        models.VGG11  # noqa: B018 - the attribute is what is asked for
