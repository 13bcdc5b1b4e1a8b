"""Exported programs: real ones of small networks, bit for bit, and damaged ones, which end in one line."""

import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.filters.exported_programs import Net, export, fails, read_or_refuse, stem, weight_of
from torch import nn

from firstlight.errors import InputError, NonFiniteWeights
from firstlight.filters.formats.exported.reader import is_exported, read_exported


@pytest.mark.parametrize("decompose", [False, True])
def test_the_first_convolution_its_settings_and_the_batch_norm_behind_it(tmp_path: Path, decompose: bool):
    net = Net(last=nn.Conv2d(4, 2, 1), features=stem(stride=(2, 1), padding=(1, 2), dilation=(1, 2)))
    net.run = lambda net, x: net.last(net.features((x - 0.5) / 0.25))
    bank = read_exported(export(net, tmp_path / "net.pt2", decompose=decompose), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert (bank.layer, bank.source, bank.dtype, bank.alternatives) == ("features.0", "net.pt2", "float32", ())
    assert (bank.stride, bank.padding, bank.dilation, bank.groups) == ((2, 1), (1, 2), (1, 2), 1)
    norm = net.get_submodule("features.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert bank.batch_norm == "features.1"
    assert bank.scale is not None
    expected = weight_of(net, "features.1.weight") / np.sqrt(weight_of(net, "features.1.running_var") + norm.eps)
    np.testing.assert_allclose(bank.scale, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("conv", "channels"),
    [
        (nn.Conv2d(1, 4, 5), 1),
        (nn.Conv2d(4, 8, 3, groups=2), 4),
        (nn.Conv2d(3, 6, 3, groups=3), 3),
        (nn.Conv2d(3, 4, (1, 7)), 3),
        (nn.Conv2d(3, 16, 4, stride=4), 3),
    ],
)
def test_gray_grouped_depthwise_and_patch_convolutions(tmp_path: Path, conv: nn.Conv2d, channels: int):
    bank = read_exported(export(conv, tmp_path / "net.pt2", (1, channels, 16, 16)), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(conv, "weight"))
    assert (bank.layer, bank.groups, bank.stride) == ("", conv.groups, conv.stride)
    assert read_exported(tmp_path / "net.pt2", "net.pt2", "").layer == ""


def quantised(net: Net, x: torch.Tensor) -> torch.Tensor:
    operations = torch.ops.quantized_decomposed
    scales, zeros = net.get_buffer("scales"), net.get_buffer("zeros")
    weight = operations.dequantize_per_channel(net.get_buffer("stored"), scales, zeros, 0, -128, 127, torch.int8)
    return nn.functional.conv2d(x, weight)


def test_int8_weights_are_rescaled(tmp_path: Path):
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 - registers the operations

    net = Net(quantised, last=nn.Conv2d(1, 1, 1))
    net.register_buffer("stored", torch.randint(-128, 128, (4, 3, 3, 3), dtype=torch.int8))
    net.register_buffer("scales", torch.rand(4, dtype=torch.float64))
    net.register_buffer("zeros", torch.arange(4))
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    scales, zeros = (weight_of(net, name)[:, None, None, None] for name in ("scales", "zeros"))
    np.testing.assert_array_equal(bank.weight, (weight_of(net, "stored") - zeros) * scales)
    assert (bank.layer, bank.dtype) == ("stored", "quantized int8")


def test_a_layer_by_name_and_the_others_on_the_same_input(tmp_path: Path):
    net = Net(
        lambda net, x: net.b(net.a(x)) + net.c(x), a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 5, 1), c=nn.Conv2d(3, 5, 3)
    )
    path = export(net, tmp_path / "net.pt2")
    bank = read_exported(path, "net.pt2")
    assert (bank.layer, bank.alternatives) == ("a", ("c 5 x 3 x 3 x 3",))
    for name in ("b", "b.weight"):
        bank = read_exported(path, "net.pt2", name)
        np.testing.assert_array_equal(bank.weight, weight_of(net, "b.weight"))
        assert (bank.layer, bank.alternatives) == ("b", ())
    fails(path, "'nothing'", r"a 4 x 3 x 3 x 3; b 5 x 4 x 1 x 1; c", layer="nothing", error=InputError)


# What is refused by name


def test_first_layers_of_other_kinds_are_refused(tmp_path: Path):
    def refused(net: nn.Module, shape: tuple[int, ...], *patterns: str) -> None:
        fails(export(net, tmp_path / "net.pt2", shape), *patterns)

    refused(Net(lambda net, x: net.a(x.flatten(1)), a=nn.Linear(48, 2)), (1, 3, 4, 4), "linear", "a.weight")
    refused(nn.Conv1d(3, 2, 3), (1, 3, 9), "1-dimensional")
    refused(nn.Conv3d(3, 2, 3), (1, 3, 9, 9, 9), "3-dimensional")
    refused(nn.ConvTranspose2d(3, 2, 3), (1, 3, 9, 9), "transposed")
    refused(Net(lambda net, x: x * net.a.weight, a=nn.Linear(4, 4)), (1, 4, 4, 4), "applies no convolution")
    normed = Net(lambda net, x: net.a(x), a=nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 3)))
    refused(normed, (1, 3, 9, 9), "_weight_norm", "bake it in")
    patches = Net(lambda net, x: net.a(nn.functional.unfold(x, 4, stride=4).mT), a=nn.Linear(48, 8))
    refused(patches, (1, 3, 16, 16), "linear", "patches")


def test_is_exported_tells_by_the_names(exported: Path):
    with zipfile.ZipFile(exported) as archive:
        assert is_exported(archive.namelist())
    assert is_exported(["version", "serialized_exported_program.json"])
    assert not is_exported(["net/data.pkl", "net/version", "net/code/__torch__.py"])
    assert not is_exported(["config.json", "model.weights.h5"])


def test_torch_is_not_imported(exported: Path):
    code = "import sys; from pathlib import Path\n"
    code += "from firstlight.filters.formats.exported.reader import read_exported as r\n"
    code += "print(r(Path(sys.argv[1]), 'net.pt2')); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, str(exported)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("FilterBank(net.pt2 features.0: 8 filters of 3 x 3 x 3")


# Damaged files


def test_a_missing_file_or_a_folder(tmp_path: Path):
    fails(tmp_path / "none.pt2", "No such file")
    fails(tmp_path, "it is a folder")


def test_non_finite_weights_are_told(tmp_path: Path):
    net = Net(features=stem())
    net.state_dict()["features.0.weight"][3, 0, 1, 1] = torch.nan
    fails(export(net, tmp_path / "net.pt2"), "NaN", "filter 3", error=NonFiniteWeights)
    net = Net(features=stem())
    net.state_dict()["features.1.running_var"][0] = -1
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    assert bank.scale is None
    assert "cannot be used" in bank.notes[0]


def test_truncated_anywhere(exported: Path, tmp_path: Path):
    data = exported.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 150)):
        (tmp_path / "net.pt2").write_bytes(data[:length])
        fails(tmp_path / "net.pt2")


def test_flipped_bits_end_in_one_line_or_leave_the_weight(exported: Path, tmp_path: Path):
    """2,000 files; the checksums of the zip leave no way in for a wrong weight."""
    data, path, chance = exported.read_bytes(), tmp_path / "net.pt2", random.Random(0)
    expected = read_exported(exported, "net.pt2").weight
    refused = 0
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 4, 16))):
            damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        if (bank := read_or_refuse(path)) is None:
            refused += 1
        else:
            np.testing.assert_array_equal(bank.weight, expected)
    assert 500 < refused < 2000
