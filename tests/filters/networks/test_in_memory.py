"""State dicts, tensors and arrays in memory: read as the file with them would be, without torch where there is none."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from firstlight.errors import InputError, SourceError
from firstlight.filters import FilterBank, load_filters
from firstlight.models import build_model

WEIGHT = np.random.default_rng(0).normal(size=(5, 3, 2, 4))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.conv2 = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)
        nn.init.uniform_(self.bn1.weight)
        self.bn1.running_var = torch.rand(8)


def told(bank: FilterBank) -> dict[str, Any]:
    """All that a bank tells, but for its source."""
    return {name: value for name, value in vars(bank).items() if name not in ("weight", "scale", "source")}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        dict,
        lambda state: {
            "epoch": 3,
            "state_dict": state,
            "optimizer": {"state": {0: {"exp_avg": torch.ones(8, 3, 3, 3)}}},
        },
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}, "args": ["a", None]},
        lambda state: {"nets": [state, state], 7: (torch.ones(2), 1.5)},
        lambda state: {name: tensor.half() for name, tensor in state.items()},
    ],
)
def test_a_state_dict_is_read_as_the_file_with_it(wrap: Any, tmp_path: Path):
    state = wrap(Net().state_dict())
    torch.save(state, tmp_path / "net.pth")
    file, memory = load_filters(tmp_path / "net.pth"), load_filters(state)
    assert told(memory) == told(file)
    np.testing.assert_array_equal(memory.weight, file.weight)
    np.testing.assert_array_equal(memory.scale, file.scale)
    assert memory.source == "state dict"
    assert memory.batch_norm.endswith("bn1")


def test_a_layer_may_be_named():
    state = {"state_dict": Net().state_dict(), "epoch": 3}
    bank = load_filters(state, layer="conv2")
    np.testing.assert_array_equal(bank.weight, state["state_dict"]["conv2.weight"])
    with pytest.raises(InputError, match=r"^layer is 'conv9', which state dict does not have; its candidates are "):
        load_filters(state, layer="conv9")


def test_a_real_network_and_its_state_dict_agree():
    net = build_model("resnet18")
    bank, memory = load_filters(net), load_filters(net.state_dict())
    np.testing.assert_array_equal(memory.weight, bank.weight)
    assert (memory.layer, memory.batch_norm) == (bank.layer, bank.batch_norm)
    assert repr(memory) == "FilterBank(state dict conv1: 64 filters of 3 x 3 x 3)"


def test_names_with_arrays_and_a_scale_of_their_own():
    stored = np.random.default_rng(1).integers(-128, 128, (8, 3, 3, 3), np.int8)
    bank = load_filters({"conv1.weight": stored, "conv1.weight_scale": np.float32(2.0) * np.ones(1, np.float32)})
    np.testing.assert_array_equal(bank.weight, 2.0 * stored)  # beyond what eight bits hold
    assert bank.dtype == "quantized int8"


@pytest.mark.parametrize(
    "source",
    [
        WEIGHT,
        WEIGHT.tolist(),
        torch.tensor(WEIGHT),
        nn.Parameter(torch.tensor(WEIGHT)),
        torch.tensor(WEIGHT).to_sparse(),
        torch.complex(torch.zeros(WEIGHT.shape).double(), -torch.tensor(WEIGHT)).conj().imag,
    ],
    ids=["array", "list", "tensor", "parameter", "sparse", "negative"],
)
def test_the_weight_itself(source: Any):
    bank = load_filters(source)
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert (bank.layer, bank.source) == ("", "")
    with pytest.raises(InputError, match="layer is 'conv1', but the source is already a filter bank"):
        load_filters(source, layer="conv1")


def test_a_tensor_is_left_as_it_was():
    weight = nn.Parameter(torch.ones(2, 3, 2, 2, dtype=torch.bfloat16))
    bank = load_filters(weight)
    assert bank.weight.dtype == np.float64
    with torch.no_grad():
        weight += 1
    assert (bank.weight == 1).all()
    assert weight.requires_grad


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (torch.ones(4, 3, 3, 3, device="meta"), SourceError, "meta device and has no values"),
        (nn.UninitializedParameter(), SourceError, "has no values"),
        (torch.ones(4, 3, 3, 3, dtype=torch.complex64), InputError, "complex"),
        (torch.ones(4, 3), InputError, r"shape \(4, 3\); expected \(K, C, kh, kw\)"),
        (torch.full((4, 3, 3, 3), torch.nan), InputError, "NaN"),
    ],
)
def test_tensors_without_filters_in_them(weight: torch.Tensor, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        load_filters(weight)
    with pytest.raises((InputError, SourceError)):
        load_filters({"conv1.weight": weight})


def test_what_holds_no_tensors_says_what_it_holds():
    with pytest.raises(SourceError, match=r"^state dict holds no tensors but nothing; expected names and tensors"):
        load_filters({})
    state = {"model": Net(), "epoch": 3, "a\nb": None}
    with pytest.raises(SourceError, match=r"but model \(Net\); epoch \(int\); a\\nb \(NoneType\); expected"):
        load_filters(state)


def test_containers_in_a_circle_end():
    state: dict[str, Any] = {"weight": WEIGHT}
    state["again"] = [state]
    assert load_filters(state).alternatives == ()


@pytest.mark.parametrize(
    "source", [None, 3, object, np.ndarray, torch.utils.data.TensorDataset(torch.ones(4, 3, 8, 8))]
)
def test_other_sources_are_refused(source: Any):
    with pytest.raises(InputError, match=rf"^source is of type {type(source).__name__}; expected a path, "):
        load_filters(source)


def test_arrays_need_no_torch():
    code = (
        "import sys, numpy as np, firstlight as fl\n"
        "bank = fl.load_filters({'state_dict': {'conv1.weight': np.ones((4, 3, 3, 3), np.float32)}})\n"
        "print(bank, fl.load_filters(bank.weight), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = (
        "FilterBank(state dict state_dict.conv1: 4 filters of 3 x 3 x 3) FilterBank(4 filters of 3 x 3 x 3) False"
    )
    assert done.stdout.strip() == expected
