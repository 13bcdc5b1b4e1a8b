"""Exported programs: real ones of small networks, bit for bit, and damaged or hostile ones, which end in one line."""

import copy
import json
import random
import re
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from firstlight.errors import FirstlightError, InputError, NonFiniteWeights, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.exported import is_exported, read_exported

CONFIG, GRAPH = "data/weights/model_weights_config.json", "models/model.json"


class Net(nn.Module):
    """Registers what it executes last first; `run` is its forward pass."""

    def __init__(self, run: Callable[..., torch.Tensor] | None = None, **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(len(layers))
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run or (lambda net, x: net.features(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, x)


def stem(**options: Any) -> nn.Sequential:
    norm = nn.BatchNorm2d(8, eps=1e-3)
    norm.load_state_dict(
        {key: torch.rand_like(value) + 0.5 for key, value in norm.state_dict().items() if value.ndim}, strict=False
    )
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False, **options), norm, nn.ReLU(), nn.Conv2d(8, 4, 3))


def export(net: nn.Module, path: Path, shape: tuple[int, ...] = (2, 3, 16, 16), decompose: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own making, on channels_last weights and on Python 3.11
        program = torch.export.export(net.eval(), (torch.zeros(shape, dtype=next(net.parameters()).dtype),))
        torch.export.save(program.run_decompositions() if decompose else program, path)
    return path


def weight_of(net: nn.Module, name: str = "features.0.weight") -> np.ndarray:
    return net.state_dict()[name].double().numpy()


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real program that the hostile ones are made of."""
    return export(Net(features=stem(stride=2, padding=1)), tmp_path_factory.mktemp("exported") / "seed.pt2")


def rewritten(seed: Path, path: Path, change: dict[str, Any], method: int = zipfile.ZIP_STORED) -> Path:
    """A copy with members replaced: by bytes, by what a function makes of their JSON, or (None) left out."""
    with zipfile.ZipFile(seed) as old, zipfile.ZipFile(path, "w", method) as new:
        for name in old.namelist():
            data, changed = old.read(name), change.get(name.partition("/")[2], b"")
            if callable(changed):
                content = json.loads(data)
                result = changed(content)
                data = json.dumps(content if result is None else result).encode()
            elif changed != b"":
                data = changed
            if data is not None:
                new.writestr(name, data)
    return path


def fails(path: Path, *patterns: str, layer: str | None = None, error: type[FirstlightError] = SourceError) -> None:
    with pytest.raises(error) as caught:
        read_exported(path, "net.pt2", layer)
    assert "net.pt2" in str(caught.value)
    assert "\n" not in str(caught.value)
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


def read_or_refuse(path: Path) -> FilterBank | None:
    """What a damaged file gives: filters, or an error of one line."""
    message = ""
    try:
        return read_exported(path, "net.pt2")
    except FirstlightError as error:
        message = str(error)
    assert "\n" not in message
    return None


# Real programs


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_is_upcast_exactly(tmp_path: Path, dtype: torch.dtype):
    net = Net(features=stem()).to(dtype)
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert bank.dtype == str(dtype).removeprefix("torch.")


def test_weights_in_other_memory_orders_and_in_shared_storages(tmp_path: Path):
    net = Net(features=stem(padding="same")).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert bank.padding == (1, 1)

    flat = torch.randn(7 + 8 * 27 + 5)
    net = Net(features=stem(padding="valid"))
    first = net.get_submodule("features.0")
    assert isinstance(first, nn.Conv2d)
    first.weight = nn.Parameter(flat[7 : 7 + 8 * 27].view(8, 3, 3, 3))
    net.register_buffer("flat", flat)
    bank = read_exported(export(net, tmp_path / "shared.pt2"), "shared.pt2")
    np.testing.assert_array_equal(bank.weight, flat[7 : 7 + 8 * 27].view(8, 3, 3, 3).double().numpy())
    assert bank.padding == (0, 0)


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


def autocast(net: Net, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        x = (x - 0.5) * 2
    with torch.autocast("cpu", torch.bfloat16):
        x = net.get_submodule("conv")(x)
    return net.get_submodule("norm")(x.float())


def test_subgraphs_are_entered(tmp_path: Path):
    net = Net(autocast, conv=nn.Conv2d(3, 8, 3), norm=nn.BatchNorm2d(8))
    path = export(net, tmp_path / "net.pt2")
    with zipfile.ZipFile(path) as archive:
        assert b"wrap_with_autocast" in archive.read(f"net/{GRAPH}")
    bank = read_exported(path, "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net, "conv.weight"))
    assert (bank.layer, bank.batch_norm) == ("conv", "norm")


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


def test_a_linear_branch_does_not_hide_the_convolution_on_the_image(tmp_path: Path):
    net = Net(
        lambda net, x: net.features(x) * net.gate(x.mean((2, 3)))[:, :4, None, None],
        gate=nn.Linear(3, 8),
        features=stem(),
    )
    assert read_exported(export(net, tmp_path / "net.pt2"), "net.pt2").layer == "features.0"


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


def test_older_compiled_and_pickled_archives_are_refused(seed: Path, tmp_path: Path):
    def archive(**members: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "net.pt2", "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
        return tmp_path / "net.pt2"

    # The layouts of torch 2.7 and 2.8, and of AOTInductor, as their writers name the members.
    fails(archive(**{"version": b"8.1", "serialized_exported_program.json": b"{}"}), "again with a newer torch")
    fails(archive(**{"a/archive_format": b"pt2", "a/data/aotinductor/model/m.so": b"\x7fELF"}), "compiled code")
    legacy = {"a/archive_format": b"pt2", "a/models/model.json": b"{}", "a/data/weights/model.pt": b"PK"}
    fails(archive(**legacy), "pickled", "again with a newer torch")
    fails(archive(**{"a/archive_format": b"pt2", "a/models/x.json": b"{}", "a/models/y.json": b"{}"}), "programs x, y")

    def pickled(config: dict[str, Any]) -> None:
        config["config"]["features.0.weight"]["use_pickle"] = True

    fails(rewritten(seed, tmp_path / "net.pt2", {CONFIG: pickled}), "pickle", "safetensors")
    fails(rewritten(seed, tmp_path / "net.pt2", {"byteorder": b"big"}), "big-endian")


def test_is_exported_tells_by_the_names(seed: Path):
    with zipfile.ZipFile(seed) as archive:
        assert is_exported(archive.namelist())
    assert is_exported(["version", "serialized_exported_program.json"])
    assert not is_exported(["net/data.pkl", "net/version", "net/code/__torch__.py"])
    assert not is_exported(["config.json", "model.weights.h5"])


def test_torch_is_not_imported(seed: Path):
    import subprocess

    code = "import sys; from pathlib import Path; from firstlight.filters.exported import read_exported as read\n"
    code += "print(read(Path(sys.argv[1]), 'net.pt2')); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, str(seed)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("FilterBank(net.pt2 features.0: 8 filters of 3 x 3 x 3")


# Damaged and hostile files


def test_a_missing_file_or_a_folder(tmp_path: Path):
    fails(tmp_path / "none.pt2", "No such file")
    fails(tmp_path, "directory")


def test_non_finite_weights_are_told(tmp_path: Path):
    net = Net(features=stem())
    net.state_dict()["features.0.weight"][3, 0, 1, 1] = torch.nan
    fails(export(net, tmp_path / "net.pt2"), "NaN", "filter 3", error=NonFiniteWeights)
    net = Net(features=stem())
    net.state_dict()["features.1.running_var"][0] = -1
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    assert bank.scale is None
    assert "cannot be used" in bank.notes[0]


META: list[tuple[str, Any, str]] = [
    ("dtype", 10, "complex64"),
    ("dtype", 99, "99"),
    ("dtype", [1], ""),
    ("layout", 1, "sparse"),
    ("sizes", [{"as_int": 1 << 20}] * 4, "numbers"),
    ("sizes", [{"as_int": -8}, {"as_int": 3}, {"as_int": 3}, {"as_int": 3}], "size was expected"),
    ("sizes", [{"as_expr": {"expr_str": "__import__('os')"}}] * 4, ""),
    ("sizes", [{"as_int": 0}, {"as_int": 3}, {"as_int": 3}, {"as_int": 3}], "not empty"),
    ("sizes", [{"as_int": True}] * 4, "size was expected"),
    ("sizes", [], ""),
    ("strides", [{"as_int": 1 << 40}] * 4, "one piece"),
    ("strides", [{"as_int": 1}], ""),
    ("strides", [{"as_int": -1}] * 4, "size was expected"),
    ("storage_offset", {"as_int": 1 << 45}, "one piece"),
    ("storage_offset", {"as_int": 1}, "cut off"),
    ("storage_offset", None, ""),
]


@pytest.mark.parametrize(("key", "value", "pattern"), META)
def test_metadata_is_checked_against_the_bytes(seed: Path, tmp_path: Path, key: str, value: Any, pattern: str):
    def change(config: dict[str, Any]) -> None:
        config["config"]["features.0.weight"]["tensor_meta"][key] = value

    fails(rewritten(seed, tmp_path / "net.pt2", {CONFIG: change}), pattern, error=FirstlightError)


def test_names_lead_nowhere_but_into_the_archive(seed: Path, tmp_path: Path):
    (tmp_path / "secret").write_bytes(bytes(8 * 27 * 4))
    for name in ("../../../secret", str(tmp_path / "secret"), "", "weight_0\0", ["weight_0"]):

        def change(config: dict[str, Any], name: Any = name) -> None:
            config["config"]["features.0.weight"]["path_name"] = name

        fails(rewritten(seed, tmp_path / "net.pt2", {CONFIG: change}), "no member|damaged")
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("../../archive_format", b"pt2")
        archive.writestr("../../models/model.json", b"{}")
    fails(tmp_path / "net.pt2")
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "net.pt2"}


def test_hostile_graphs(seed: Path, tmp_path: Path):
    def change(edit: Callable[[dict[str, Any]], Any]) -> Path:
        return rewritten(seed, tmp_path / "net.pt2", {GRAPH: edit})

    def cycle(model: dict[str, Any]) -> None:  # the weight is a cast of itself
        nodes = model["graph_module"]["graph"]["nodes"]
        cast = {"target": "torch.ops.aten.to.dtype", "inputs": [], "outputs": [{"as_tensor": {"name": "loop"}}]}
        cast["inputs"] = [{"name": "self", "arg": {"as_tensor": {"name": "loop"}}, "kind": 1}]
        nodes[0]["inputs"][1]["arg"] = {"as_tensor": {"name": "loop"}}
        nodes.append(cast)

    def nest(model: dict[str, Any]) -> None:
        graph = model["graph_module"]["graph"]
        for _ in range(100):
            call = {"target": "torch.ops.higher_order.cond", "inputs": [], "outputs": []}
            call["inputs"] = [{"name": "", "arg": {"as_graph": {"name": "inner", "graph": dict(graph)}}}]
            graph["nodes"] = [call]

    def stride(model: dict[str, Any]) -> None:
        model["graph_module"]["graph"]["nodes"][0]["inputs"][3]["arg"] = {"as_ints": [10**30, "x"]}

    def unsigned(model: dict[str, Any]) -> None:
        model["graph_module"]["signature"]["input_specs"] = [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}]

    fails(change(cycle), "computed in the graph by to")
    fails(change(nest), "deep")
    fails(change(stride), "size was expected")
    fails(change(unsigned), "computed in the graph")
    for value in ([], {}, None, "x", 3, {"graph_module": None}, {"graph_module": {"graph": []}}):
        fails(change(lambda _, value=value: value or {"": value}), "damaged")
    fails(rewritten(seed, tmp_path / "net.pt2", {GRAPH: b"[" * 5_000_000}), "Recursion")
    fails(rewritten(seed, tmp_path / "net.pt2", {GRAPH: b"\xff\xfe"}), "damaged")
    fails(rewritten(seed, tmp_path / "net.pt2", {GRAPH: b"1" * 100_000}), "damaged")


def test_zip_bombs_and_odd_members(seed: Path, tmp_path: Path):
    path = tmp_path / "net.pt2"
    bomb = rewritten(seed, path, {GRAPH: bytes(1 << 28)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    fails(bomb, "268,435,456 bytes")
    # An honest recompression is read.
    bank = read_exported(rewritten(seed, path, {}, zipfile.ZIP_DEFLATED), "net.pt2")
    np.testing.assert_array_equal(bank.weight, read_exported(seed, "").weight)
    fails(rewritten(seed, path, {}, zipfile.ZIP_LZMA), "method 14")
    fails(rewritten(seed, path, {"data/weights/weight_0": b"short"}), "5 bytes", "cut off")
    fails(rewritten(seed, path, {GRAPH: None}), "compiled code")
    fails(rewritten(seed, path, {CONFIG: None}), "does not hold")
    # A directory of members as large as memory is not read, nor one that declares to be.
    data = bytearray(rewritten(seed, path, {}).read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (0x7FFFFFFF).to_bytes(4, "little")
    path.write_bytes(data)
    fails(path)
    many = b"PK\x01\x02" + bytes(42)
    path.write_bytes(many * 400_000 + data[end : end + 12] + (46 * 400_000).to_bytes(4, "little") + bytes(6))
    fails(path, "directory of members")


def test_truncated_anywhere(seed: Path, tmp_path: Path):
    data = seed.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 150)):
        (tmp_path / "net.pt2").write_bytes(data[:length])
        fails(tmp_path / "net.pt2")


def test_flipped_bits_end_in_one_line_or_leave_the_weight(seed: Path, tmp_path: Path):
    """2,000 files; the checksums of the zip leave no way in for a wrong weight."""
    data, path, chance = seed.read_bytes(), tmp_path / "net.pt2", random.Random(0)
    expected = read_exported(seed, "net.pt2").weight
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


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([]) | st.just({})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_json_of_any_other_shape_ends_in_one_line(seed: Path, tmp_path: Path, data: st.DataObject):
    member = data.draw(st.sampled_from([GRAPH, CONFIG]))

    def change(content: Any) -> Any:
        content = copy.deepcopy(content)
        place = content
        for _ in range(data.draw(st.integers(0, 9))):
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            inner = [key for key in keys if isinstance(place[key], dict | list) and place[key]]
            if not inner:
                break
            place = place[data.draw(st.sampled_from(inner))]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        place[data.draw(st.sampled_from(list(keys)))] = data.draw(LEAVES)
        return content

    path = rewritten(seed, tmp_path / "net.pt2", {member: change})
    bank = read_or_refuse(path)
    assert bank is None or bank.weight.ndim == 4
