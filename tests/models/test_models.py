"""The classifiers: sizes, names in the state dict, initialisation, and what they accept."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from firstlight.errors import InputError
from firstlight.models import MODELS, VGG11, LinearCNN, ResNet20, build_model
from firstlight.models.resnet import BasicBlock


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "expected"), [("vgg11", 9_756_426), ("resnet20", 269_722)])
def test_parameter_counts_are_the_published_ones(name, expected):
    assert parameters(build_model(name)) == expected


def test_names_build_their_classes():
    assert [type(build_model(name)) for name in MODELS] == [VGG11, ResNet20]


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(InputError, match=r"'vgg19' is unknown: expected one of vgg11, resnet20"):
        build_model("vgg19")


def test_importing_the_package_does_not_import_torch():
    code = "import sys, firstlight.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_logits_for_any_channels_and_classes(name, channels):
    model = build_model(name, classes=7, channels=channels)
    assert model(torch.randn(2, channels, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = build_model(name)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_vgg_has_torchvisions_names_and_shapes():
    state = {name: tuple(tensor.shape) for name, tensor in VGG11().state_dict().items()}
    convolutions = {name: shape for name, shape in state.items() if len(shape) == 4}
    assert convolutions == {
        "features.0.weight": (64, 3, 3, 3),
        "features.4.weight": (128, 64, 3, 3),
        "features.8.weight": (256, 128, 3, 3),
        "features.11.weight": (256, 256, 3, 3),
        "features.15.weight": (512, 256, 3, 3),
        "features.18.weight": (512, 512, 3, 3),
        "features.22.weight": (512, 512, 3, 3),
        "features.25.weight": (512, 512, 3, 3),
    }
    linear = {name: shape for name, shape in state.items() if len(shape) == 2}
    assert linear == {
        "classifier.0.weight": (512, 512),
        "classifier.3.weight": (512, 512),
        "classifier.6.weight": (10, 512),
    }


def test_vgg_initialisation():
    torch.manual_seed(0)
    model = VGG11()
    state = model.state_dict()
    # Kaiming, fan out: variance 2 / (width * 3 * 3).
    assert state["features.18.weight"].std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert state["classifier.0.weight"].std().item() == pytest.approx(0.01, rel=0.02)
    biases = [tensor for name, tensor in state.items() if name.endswith(".bias")]
    assert all((bias == 0).all() for bias in biases)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 8
    assert all((norm.weight == 1).all() for norm in norms)


def test_vgg_refuses_images_that_it_cannot_halve_five_times():
    with pytest.raises(InputError, match=r"28 x 28 pixels: expected at least 32 x 32"):
        VGG11()(torch.zeros(1, 3, 28, 28))


def test_vgg_averages_what_is_left_of_larger_images():
    model = VGG11().eval()
    image = torch.randn(1, 3, 64, 64)
    features = model.features(image)
    assert features.shape == (1, 512, 2, 2)
    torch.testing.assert_close(model(image), model.classifier(features.mean(dim=(2, 3))))


def test_resnet_initialisation():
    torch.manual_seed(0)
    state = ResNet20().state_dict()
    # Kaiming, fan in: variance 2 / (channels * 3 * 3).
    assert state["layer3.1.conv1.weight"].std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_resnet_shortcut_subsamples_and_pads_channels_with_zeros():
    model = ResNet20().eval()
    block = model.layer2[0]
    assert isinstance(block, BasicBlock)
    for norm in (block.bn1, block.bn2):
        nn.init.zeros_(norm.weight)  # silences the convolutions: the shortcut is what remains
    x = torch.rand(2, 16, 8, 8)
    out = block(x)
    assert out.shape == (2, 32, 4, 4)
    torch.testing.assert_close(out[:, 8:24], x[:, :, ::2, ::2])
    assert (out[:, :8] == 0).all()
    assert (out[:, 24:] == 0).all()


def test_linear_cnn_is_exported_but_is_no_classifier():
    assert "linear" not in MODELS
    assert LinearCNN(filters=2)(torch.zeros(3, 3, 8, 8)).shape == (3,)
