"""VGG: names in the state dict, initialisation, and the images it accepts."""

import pytest
import torch
from torch import nn

from firstlight.errors import InputError
from firstlight.models.vgg import LAYERS, VGG

# Index in `features` and widths (in, out) of the convolutions, in torchvision's vgg11_bn, vgg13_bn and vgg16_bn.
CONVOLUTIONS = {
    11: {0: (3, 64), 4: (64, 128), 8: (128, 256), 11: (256, 256)}
    | {15: (256, 512), 18: (512, 512), 22: (512, 512), 25: (512, 512)},
    13: {0: (3, 64), 3: (64, 64), 7: (64, 128), 10: (128, 128), 14: (128, 256), 17: (256, 256)}
    | {21: (256, 512), 24: (512, 512), 28: (512, 512), 31: (512, 512)},
    16: {0: (3, 64), 3: (64, 64), 7: (64, 128), 10: (128, 128), 14: (128, 256), 17: (256, 256), 20: (256, 256)}
    | {24: (256, 512), 27: (512, 512), 30: (512, 512), 34: (512, 512), 37: (512, 512), 40: (512, 512)},
}


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_names_and_shapes_are_torchvisions(depth):
    state = {name: tuple(tensor.shape) for name, tensor in VGG(depth).state_dict().items()}
    assert {name: shape for name, shape in state.items() if len(shape) == 4} == {
        f"features.{index}.weight": (width, channels, 3, 3) for index, (channels, width) in CONVOLUTIONS[depth].items()
    }
    assert {name: shape for name, shape in state.items() if len(shape) == 2} == {
        "classifier.0.weight": (512, 512),
        "classifier.3.weight": (512, 512),
        "classifier.6.weight": (10, 512),
    }
    vectors = {name.rpartition(".")[0] for name, shape in state.items() if len(shape) == 1}
    # Every convolution has its bias, and batch normalisation right behind it.
    assert vectors == {f"features.{index + behind}" for index in CONVOLUTIONS[depth] for behind in (0, 1)} | {
        f"classifier.{index}" for index in (0, 3, 6)
    }


def test_initialisation():
    torch.manual_seed(0)
    model = VGG(11)
    state = model.state_dict()
    # Kaiming, fan out: variance 2 / (width * 3 * 3).
    assert state["features.18.weight"].std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert state["classifier.0.weight"].std().item() == pytest.approx(0.01, rel=0.02)
    biases = [tensor for name, tensor in state.items() if name.endswith(".bias")]
    assert all((bias == 0).all() for bias in biases)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 8
    assert all((norm.weight == 1).all() for norm in norms)


@pytest.mark.parametrize(("depth", "stride", "least"), [(5, 1, 4), (8, 1, 32), (11, 1, 32), (16, 1, 32), (11, 3, 3)])
def test_images_too_small_for_the_poolings_are_refused(depth, stride, least):
    model = VGG(depth, stride=stride).eval()
    assert model(torch.zeros(1, 3, least, least + 1)).shape == (1, 10)
    with pytest.raises(InputError, match=rf"vgg{depth} .* {least + 1} x {least - 1} pixels; .* {least} x {least}, of"):
        model(torch.zeros(1, 3, least + 1, least - 1))


@pytest.mark.parametrize("depth", LAYERS)
def test_what_is_left_of_larger_images_is_averaged(depth):
    model = VGG(depth).eval()
    image = torch.randn(1, 3, 64, 64)
    features = model.features(image)
    assert features.shape[2] == features.shape[3] == 64 // 2 ** LAYERS[depth].count("M") > 1
    torch.testing.assert_close(model(image), model.classifier(features.mean(dim=(2, 3))))


def test_poolings_behind_a_strided_layer_keep_the_border():
    model = VGG(11, stride=3).eval()
    sides = []
    x = torch.randn(1, 3, 32, 32)
    for module in model.features:
        x = module(x)
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            sides.append(x.shape[-1])
    assert sides == [10, 5, 5, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1]
