"""The batch normalisation behind the first layer: which one, and its scale as torch's own modules apply it."""

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn

from firstlight.filters import FilterBank, load_filters
from firstlight.filters.choice.batch_norm import find_batch_norm
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorEntry, TensorFile


def file_of(module: nn.Module, ordered: bool = True) -> TensorFile:
    entries = [
        TensorEntry(name, tuple(tensor.shape), "float32", lambda tensor=tensor: tensor.detach().double().numpy().copy())
        for name, tensor in module.state_dict().items()
    ]
    return TensorFile("net.pt", tuple(entries if ordered else sorted(entries, key=lambda entry: entry.name)), ordered)


def names_only(layers: Iterable[str], norms: Iterable[str], filters: int = 16) -> TensorFile:
    shapes = {f"{name}.weight": (filters, 3, 3, 3) for name in layers}
    for name in norms:
        shapes |= dict.fromkeys([f"{name}.weight", f"{name}.bias", f"{name}.running_mean"], (filters,))
        shapes[f"{name}.running_var"] = (filters,)
    entries = tuple(TensorEntry(name, shape, "float32", lambda s=shape: np.ones(s)) for name, shape in shapes.items())
    return TensorFile("net.pt", entries, ordered=False)


def used(norm: nn.BatchNorm2d, seed: int = 0) -> nn.BatchNorm2d:
    """A normalisation with the statistics and parameters of some use."""
    generator = torch.Generator().manual_seed(seed)
    norm.running_mean = torch.randn(norm.num_features, generator=generator)
    norm.running_var = torch.rand(norm.num_features, generator=generator) + 0.01
    if norm.affine:
        norm.weight.data = torch.randn(norm.num_features, generator=generator)
        norm.bias.data = torch.randn(norm.num_features, generator=generator)
    return norm


def scale_of(bank: FilterBank) -> np.ndarray:
    assert bank.scale is not None
    return bank.scale


def applied_scale(norm: nn.BatchNorm2d) -> np.ndarray:
    """What the evaluated module multiplies each channel by, out of its own output for 0 and for 1."""
    double = norm.double().eval()
    with torch.no_grad():
        zero, one = (double(torch.full((1, norm.num_features, 1, 1), x, dtype=torch.float64)) for x in (0.0, 1.0))
    return (one - zero).flatten().numpy()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_the_scale_is_the_one_that_the_module_applies(affine: bool, ordered: bool):
    torch.manual_seed(0)
    norm = used(nn.BatchNorm2d(16, affine=affine))
    net = nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 16, 3), bn1=norm, conv2=nn.Conv2d(16, 16, 3)))
    bank = bank_of(file_of(net, ordered))
    assert (bank.layer, bank.batch_norm) == ("conv1", "bn1")
    np.testing.assert_allclose(scale_of(bank), applied_scale(norm), rtol=1e-12)


def test_folded_filters_give_what_the_two_layers_give_but_for_a_constant():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), used(nn.BatchNorm2d(8))).double().eval()
    image = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        expected = net(image) - net(torch.zeros_like(image))
        folded = torch.nn.functional.conv2d(image, torch.tensor(bank_of(file_of(net)).folded().weight))
    np.testing.assert_allclose(folded.numpy(), expected.numpy(), atol=1e-12)


def test_a_network_in_memory_tells_its_own_epsilon():
    norm = used(nn.BatchNorm2d(8, eps=0.3))
    bank = load_filters(nn.Sequential(nn.Conv2d(3, 8, 3), norm))
    assert bank.batch_norm == "1"
    np.testing.assert_allclose(scale_of(bank), applied_scale(norm), rtol=1e-12)


def test_a_state_dict_does_not_and_pytorch_s_default_is_taken():
    norm = used(nn.BatchNorm2d(8, eps=0.3))
    bank = bank_of(file_of(nn.Sequential(nn.Conv2d(3, 8, 3), norm)))
    assert norm.running_var is not None
    expected = norm.weight.detach().double() / (norm.running_var.double() + 1e-5).sqrt()
    np.testing.assert_allclose(scale_of(bank), expected.numpy(), rtol=1e-12)


def test_a_network_in_memory_that_is_compiled_has_it_too():
    norm = used(nn.BatchNorm2d(8))
    net = torch.compile(nn.Sequential(nn.Conv2d(3, 8, 3), norm), backend="eager")
    bank = load_filters(net)
    assert bank.batch_norm == "1"
    np.testing.assert_allclose(scale_of(bank), applied_scale(norm), rtol=1e-12)


# Which one. Layer, all normalisations of as many channels, the one behind the layer: as the named projects have them.
FOUND = [
    ("conv1", ["bn1", "layer1.0.bn1", "layer1.0.bn2"], "bn1"),  # torchvision's ResNet
    ("conv1", ["bn1", "bn2", "bn3"], "bn1"),  # CLIP's ResNet
    ("conv2", ["bn1", "bn2", "bn3"], "bn2"),
    ("features.0", ["features.1", "features.4"], "features.1"),  # torchvision's VGG
    ("features.conv0", ["features.norm0", "features.denseblock1.denselayer1.norm1"], "features.norm0"),  # DenseNet
    ("0.0", ["0.1", "1.1"], "0.1"),
    ("conv_stem", ["bn1"], "bn1"),  # timm's EfficientNet
    ("_conv_stem", ["_bn0", "_blocks.0._bn1"], "_bn0"),  # efficientnet-pytorch
    ("stem.conv", ["stem.bn", "s1.b1.conv1.bn"], "stem.bn"),
    ("model.0.conv", ["model.0.bn", "model.1.bn"], "model.0.bn"),  # Ultralytics' YOLO
    ("backbone.stem.conv1", ["backbone.stem.conv1.norm", "backbone.res2.0.conv1.norm"], "backbone.stem.conv1.norm"),
    ("embedder.convolution", ["embedder.normalization"], "embedder.normalization"),  # transformers' ResNet
    ("module_list.0.Conv2d", ["module_list.0.BatchNorm2d"], "module_list.0.BatchNorm2d"),  # Darknet in PyTorch
    ("module_list.0.conv_0", ["module_list.0.batch_norm_0"], "module_list.0.batch_norm_0"),
    ("encoder1.enc1conv1", ["encoder1.enc1norm1", "encoder1.enc1norm2"], "encoder1.enc1norm1"),
    ("stage1.rebnconvin.conv_s1", ["stage1.rebnconvin.bn_s1"], "stage1.rebnconvin.bn_s1"),  # U2-Net
    ("conv1_7x7_s2", ["conv1_7x7_s2_bn", "conv2_3x3_bn"], "conv1_7x7_s2_bn"),  # BN-Inception
]
# The layer has none: what stands next in the file belongs to a branch, or follows a sum or an activation.
NONE = [
    ("conv1", ["layer1.0.bn1", "layer1.0.bn2"]),  # pre-activation ResNet
    ("conv1", ["dense1.0.bn1"]),  # DenseNet
    ("main.0", ["main.3", "main.6"]),  # DCGAN's discriminator
    ("features.0", ["features.2"]),  # behind the activation
    ("conv1", ["bn2", "bn3"]),
    ("conv1", ["bn2"]),
    ("conv1", ["encoder", "head"]),
    ("0", ["2"]),
    ("9" * 5000, ["1"]),
]


@pytest.mark.parametrize(("layer", "norms", "expected"), FOUND)
def test_the_one_that_the_name_tells_is_found(layer: str, norms: list[str], expected: str):
    found = find_batch_norm(names_only([layer], norms), layer, 16)
    assert found is not None
    assert found.layer == expected
    assert found.gamma is not None
    assert (found.gamma.name, found.variance.name) == (f"{expected}.weight", f"{expected}.running_var")


@pytest.mark.parametrize(("layer", "norms"), NONE)
def test_none_is_found_where_none_follows(layer: str, norms: list[str]):
    assert find_batch_norm(names_only([layer], norms), layer, 16) is None


def test_another_number_of_channels_is_not_the_layer_s():
    assert find_batch_norm(names_only(["conv1"], ["bn1"], filters=16), "conv1", 32) is None


def test_other_normalisations_have_no_running_variance_and_are_none():
    for norm in (nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True), nn.BatchNorm2d(8, track_running_stats=False)):
        net = nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 8, 3), norm1=norm))
        assert bank_of(file_of(net)).batch_norm == ""
        assert load_filters(net).batch_norm == ""


@pytest.mark.parametrize("variance", [np.nan, -1.0, np.inf])
def test_a_scale_that_is_no_number_is_told_and_the_filters_stand(variance: float):
    norm = nn.BatchNorm2d(8)
    assert norm.running_var is not None
    norm.running_var[3] = variance
    if variance == np.inf:
        norm.weight.data[3] = np.inf
    bank = bank_of(file_of(nn.Sequential(nn.Conv2d(3, 8, 3), norm)))
    assert (bank.batch_norm, bank.scale) == ("", None)
    assert any("the batch normalisation 1 cannot be read" in note for note in bank.notes)
