"""The ResNets: names in the state dict, initialisation, and their two kinds of shortcut."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from firstlight.models.resnet import BasicBlock, CifarResNet, ResNet18


def silenced(block: nn.Module) -> BasicBlock:
    """The block without what its convolutions add: the shortcut is what remains."""
    assert isinstance(block, BasicBlock)
    for norm in (block.bn1, block.bn2):
        nn.init.zeros_(norm.weight)
    return block.eval()


@pytest.mark.parametrize("blocks", [3, 5])
def test_names_of_cifar_resnets_are_akamasters(blocks):
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", "linear.weight", "linear.bias"} | {f"bn1.{part}" for part in norm}
    for stage in (1, 2, 3):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            expected |= {f"{place}.conv1.weight", f"{place}.conv2.weight"}
            expected |= {f"{place}.{name}.{part}" for name in ("bn1", "bn2") for part in norm}
    assert set(CifarResNet(blocks).state_dict()) == expected


def test_resnet20_b_is_resnet20_and_two_projections():
    own, projected = CifarResNet(3).state_dict(), CifarResNet(3, projected=True).state_dict()
    added = {name: tuple(projected[name].shape) for name in projected.keys() - own.keys()}
    assert own.keys() < projected.keys()
    assert {name: shape for name, shape in added.items() if name.endswith(".weight")} == {
        "layer2.0.shortcut.0.weight": (32, 16, 1, 1),
        "layer2.0.shortcut.1.weight": (32,),
        "layer3.0.shortcut.0.weight": (64, 32, 1, 1),
        "layer3.0.shortcut.1.weight": (64,),
    }
    assert len(added) == 12  # a weight each, and five of the normalisation behind it


def test_names_and_shapes_of_resnet18_are_kuanglius():
    state = {name: tuple(tensor.shape) for name, tensor in ResNet18().state_dict().items()}
    convolutions = {"conv1.weight": (64, 3, 3, 3)}
    channels = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        convolutions[f"layer{stage}.0.conv1.weight"] = (width, channels, 3, 3)
        for name in ("0.conv2", "1.conv1", "1.conv2"):
            convolutions[f"layer{stage}.{name}.weight"] = (width, width, 3, 3)
        if stage > 1:
            convolutions[f"layer{stage}.0.shortcut.0.weight"] = (width, channels, 1, 1)
        channels = width
    assert {name: shape for name, shape in state.items() if len(shape) == 4} == convolutions
    assert state["layer3.0.shortcut.1.running_var"] == (256,)
    assert state["linear.weight"] == (10, 512)
    assert len(state) == 122  # 20 convolutions, five numbers' names for each normalisation behind one, linear layer


def test_initialisation_of_cifar_resnets_is_kaimings():
    torch.manual_seed(0)
    state = CifarResNet(3).state_dict()
    # Fan in: variance 2 / (channels * 3 * 3).
    assert state["layer3.1.conv1.weight"].std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_initialisation_of_resnet20_b_is_kaimings_of_the_fan_out_but_for_the_linear_layer():
    torch.manual_seed(0)
    state = CifarResNet(3, projected=True).state_dict()
    # Fan out: variance 2 / (filters * side * side), which differs from that of the fan in where sizes change.
    for name, fan_out in (("conv1", 16 * 9), ("layer3.0.conv1", 64 * 9), ("layer3.0.shortcut.0", 64)):
        assert state[f"{name}.weight"].std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.06)
    # Uniform up to 1 / sqrt(64), as torch makes it.
    assert 0.99 * 64**-0.5 < state["linear.weight"].abs().max().item() <= 64**-0.5


def test_initialisation_of_resnet18_is_pytorchs():
    torch.manual_seed(0)
    state = ResNet18().state_dict()
    # Uniform up to 1 / sqrt(channels * 3 * 3).
    for name, fan_in in (("conv1.weight", 27), ("layer2.1.conv1.weight", 128 * 9)):
        assert state[name].abs().max().item() == pytest.approx(fan_in**-0.5, rel=0.01)
        assert state[name].std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.05)


def test_shortcut_without_parameters_subsamples_and_pads_channels_with_zeros():
    block = silenced(CifarResNet(3).layer2[0])
    x = torch.rand(2, 16, 8, 8)
    out = block(x)
    assert out.shape == (2, 32, 4, 4)
    torch.testing.assert_close(out[:, 8:24], x[:, :, ::2, ::2])
    assert (out[:, :8] == 0).all()
    assert (out[:, 24:] == 0).all()


def test_projected_shortcut_is_a_strided_1_x_1_convolution():
    block = silenced(ResNet18().layer2[0])
    x = torch.rand(2, 64, 8, 8)
    weight = block.state_dict()["shortcut.0.weight"]
    expected = torch.einsum("kc,nchw->nkhw", weight[:, :, 0, 0], x[:, :, ::2, ::2])
    # Batch normalisation in evaluation mode, with the mean 0 and variance 1 that it starts with.
    torch.testing.assert_close(block(x), F.relu(expected / (1 + 1e-5) ** 0.5))


@pytest.mark.parametrize("model", [CifarResNet(5), ResNet18()])
def test_blocks_that_change_no_size_pass_their_input_on(model):
    block = silenced(model.layer1[0])
    x = torch.rand(2, block.conv1.in_channels, 6, 6)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("size", [(8, 8), (32, 20), (45, 64)])
def test_images_of_any_size_are_averaged_in_the_end(size):
    model = CifarResNet(3).eval()
    images = torch.rand(2, 3, *size)
    x = F.relu(model.bn1(model.conv1(images)))
    x = model.layer3(model.layer2(model.layer1(x)))
    torch.testing.assert_close(model(images), model.linear(x.mean(dim=(2, 3))))
