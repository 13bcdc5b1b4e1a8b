"""Layers over pixels cut into channels: the folded kernel gives the very numbers that cutting and convolving gives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstlight.filters import FilterBank, load_filters
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorEntry, TensorFile

Shapes = dict[str, tuple[int, ...]]


def focus(x: Tensor) -> Tensor:
    """Of YOLOv5 and YOLOX: top left, bottom left, top right, bottom right."""
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


def space_to_depth(x: Tensor) -> Tensor:
    """Of TResNet."""
    n, c, h, w = x.shape
    return x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 3, 5, 1, 2, 4).reshape(n, 16 * c, h // 4, w // 4)


def read(shapes: Shapes) -> tuple[FilterBank, np.ndarray]:
    """The bank, and the first of the weights."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    entries = (TensorEntry(name, array.shape, "float32", lambda a=array: a) for name, array in arrays.items())
    return bank_of(TensorFile("net.pth", tuple(entries), ordered=True)), next(iter(arrays.values()))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (3, 5)])
@pytest.mark.parametrize(
    ("name", "others", "cut", "side"),
    [
        ("backbone.backbone.stem.conv.conv", {}, focus, 2),
        ("net.focus.conv", {}, focus, 2),
        ("Focus1", {}, focus, 2),
        ("backbone.block_list.0.conv.conv", {}, focus, 2),
        ("model.0.conv.conv", {"model.2.cv1.conv.weight": (8, 16, 1, 1)}, focus, 2),
        ("body.conv1.conv", {}, space_to_depth, 4),
        ("module.body.conv1.0", {}, space_to_depth, 4),
        ("params.conv_first", {"params.conv_last.weight": (3, 64, 3, 3)}, lambda x: F.pixel_unshuffle(x, 2), 2),
        ("conv_first", {"conv_last.weight": (3, 64, 3, 3)}, lambda x: F.pixel_unshuffle(x, 4), 4),
    ],
)
def test_the_folded_kernel_is_exact(
    name: str, others: Shapes, cut: Callable[[Tensor], Tensor], side: int, kernel: tuple[int, int]
):
    bank, stored = read({f"{name}.weight": (8, 3 * side**2, *kernel), **others})
    assert bank.layer == name
    assert bank.weight.shape == (8, 3, side * kernel[0], side * kernel[1])
    assert bank.stride == (side, side)
    image = torch.randn(2, 3, 40, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    through = F.conv2d(cut(image), torch.from_numpy(stored)).numpy()
    folded = F.conv2d(image, torch.from_numpy(bank.weight.copy()), stride=side).numpy()
    np.testing.assert_allclose(folded, through, rtol=0, atol=1e-12)
    said = f"{side} x {side} pixels in three colours"
    assert said in bank.notes[-1]
    assert f"kernel of {side * kernel[0]} x {side * kernel[1]} over RGB" in bank.notes[-1]


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("conv1", {}),
        ("stem.conv", {}),
        ("features.0.conv", {}),
        ("model.0.conv.conv", {}),
        ("conv_first", {}),
        ("conv_first", {"conv_last.weight": (12, 64, 3, 3)}),
        ("encoder.focused.conv1", {}),
    ],
)
def test_other_images_of_twelve_channels_are_not_folded(name: str, others: Shapes):
    bank, stored = read({f"{name}.weight": (8, 12, 3, 3), **others})
    np.testing.assert_array_equal(bank.weight, stored)
    assert bank.stride is None
    assert bank.notes[-1].endswith("which the names do not tell: nothing is folded")


@pytest.mark.parametrize("channels", [1, 3, 4, 13])
def test_the_names_alone_fold_nothing(channels: int):
    bank, stored = read({"backbone.stem.conv.conv.weight": (8, channels, 3, 3)})
    np.testing.assert_array_equal(bank.weight, stored)
    assert bank.notes == ()


class Focus(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.conv = nn.Conv2d(12, 8, 3, stride, padding=1, bias=False)
        self.conv.bn = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(focus(x))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_network_in_memory_is_folded_with_its_stride_and_padding(stride: int):
    net = nn.Sequential()
    net.stem = stem = Focus(stride)
    bank = load_filters(net.double())
    assert (bank.layer, bank.batch_norm) == ("stem.conv.conv", "stem.conv.bn")
    assert (bank.stride, bank.padding) == ((2 * stride, 2 * stride), (2, 2))
    image = torch.randn(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    folded = F.conv2d(image, torch.from_numpy(bank.weight.copy()), stride=2 * stride, padding=2)
    through = stem.conv[0](focus(image))
    np.testing.assert_allclose(folded.numpy(), through.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_an_exported_graph_that_keeps_the_names_is_folded(tmp_path):
    net = nn.Sequential()
    net.stem = Focus(1)
    options = {"dynamo": False, "training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    torch.onnx.export(net.eval(), (torch.zeros(1, 3, 16, 16),), tmp_path / "net.onnx", **options)
    bank, memory = load_filters(tmp_path / "net.onnx"), load_filters(net)
    np.testing.assert_array_equal(bank.weight, memory.weight)
    assert (bank.stride, bank.padding) == (memory.stride, memory.padding) == ((2, 2), (2, 2))
    assert any("2 x 2 pixels in three colours" in note for note in bank.notes)
