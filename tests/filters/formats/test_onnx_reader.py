"""ONNX models as exporters and quantisers write them, and as nobody should."""

import os
import re
import shutil
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from firstlight.errors import FirstlightError, InputError, NonFiniteWeights, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.formats.onnx.reader import read_onnx

FOLDED = "no batch normalisation follows: it may have been folded into the weights"
RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(6, 3, 3, 5)).astype(np.float32)


class Net(nn.Module):
    """A first layer like no other, a batch normalisation, and something before them."""

    def __init__(self, prepare: Callable[[torch.Tensor], torch.Tensor] = lambda x: x, **conv: Any) -> None:
        super().__init__()
        settings = {"kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 2), "bias": False} | conv
        self.prepare = prepare
        self.conv1 = nn.Conv2d(settings.pop("channels", 3), settings.pop("filters", 8), **settings)
        self.bn1 = nn.BatchNorm2d(self.conv1.out_channels)
        self.conv2 = nn.Conv2d(self.conv1.out_channels, 4, 1)
        for parameter in (self.bn1.weight, self.bn1.bias, self.bn1.running_mean, self.bn1.running_var):
            assert parameter is not None
            nn.init.uniform_(parameter, 0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.bn1(self.conv1(self.prepare(x))).relu())


def export(net: nn.Module, path: Path, example: torch.Tensor | None = None, **options: Any) -> Path:
    example = torch.zeros(1, 3, 16, 16) if example is None else example
    with warnings.catch_warnings():  # the exporters' own
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (example,), path, **cast(Any, {"dynamo": False, "verbose": False} | options))
    return path


def unfolded(net: nn.Module, path: Path, example: torch.Tensor | None = None, **options: Any) -> Path:
    mode = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    return export(net, path, example, **mode, **options)


def weight_of(net: Net) -> np.ndarray:
    return net.conv1.weight.detach().double().numpy()


def read(path: Path, layer: str | None = None) -> FilterBank:
    return read_onnx(path, path.name, layer)


def model(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto | np.ndarray] = (),
    inputs: Sequence[tuple[str, Sequence[int | str | None] | None]] = (("image", (1, 3, 16, 16)),),
    **graph: Any,
) -> onnx.ModelProto:
    """A model out of nodes; an array is the weight "w"."""
    stored = [numpy_helper.from_array(t, "w") if isinstance(t, np.ndarray) else t for t in tensors]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs]
    made = helper.make_graph(list(nodes), "g", values, [], stored, **graph)
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=domains)


def constant(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def node(op: str, inputs: str, output: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, ["" if i == "-" else i for i in inputs.split()], output.split(), name, **attributes)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(*args: Any, **kwargs: Any) -> Path:
        proto = args[0] if isinstance(args[0], onnx.ModelProto) else model(*args, **kwargs)
        path = tmp_path / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        return path

    return write


# What exporters write


@pytest.mark.parametrize("opset", [11, 13, 17, 20])
def test_an_exported_network_gives_its_first_convolution_bit_for_bit(tmp_path: Path, opset: int):
    net = Net()
    bank = read(unfolded(net, tmp_path / "m.onnx", opset_version=opset))
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert (bank.layer, bank.source, bank.dtype) == ("conv1.weight", "m.onnx", "float32")
    assert (bank.stride, bank.padding, bank.dilation, bank.groups) == ((2, 1), (1, 2), (1, 1), 1)
    assert bank.batch_norm == "bn1"
    bn = net.bn1
    assert bn.running_var is not None
    expected = bn.weight.detach().double() / (bn.running_var.double() + float(np.float32(bn.eps))).sqrt()
    np.testing.assert_allclose(cast(np.ndarray, bank.scale), expected.numpy(), rtol=1e-12)
    assert (bank.alternatives, bank.notes) == ((), ())


def test_a_folded_batch_normalisation_is_in_the_weights_and_said_to_be(tmp_path: Path):
    net = Net()
    plain = read(unfolded(net, tmp_path / "plain.onnx"))
    bank = read(export(net, tmp_path / "folded.onnx"))
    np.testing.assert_allclose(bank.weight, plain.folded().weight, rtol=1e-5)
    assert bank.scale is None
    assert bank.notes == (FOLDED,)
    assert bank.layer == "/conv1/Conv"  # the exporter calls the folded weight onnx::Conv_ and a number


def test_the_default_exporter_whose_weights_lie_beside_the_model(tmp_path: Path):
    net = Net()
    path = export(net, tmp_path / "m.onnx", dynamo=True, optimize=False)
    assert (tmp_path / "m.onnx.data").exists()
    bank = read(path)
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert (bank.layer, bank.batch_norm, bank.notes) == ("conv1.weight", "bn1", ())


def test_the_default_exporter_with_channels_reversed_and_normalised(tmp_path: Path):
    net = Net(lambda x: (x[:, [2, 1, 0]] - torch.tensor([0.5, 0.25, 0.0]).view(3, 1, 1)) / 0.5)
    bank = read(export(net, tmp_path / "m.onnx", dynamo=True))
    np.testing.assert_allclose(bank.weight, read(export(net, tmp_path / "n.onnx")).weight, rtol=1e-5)
    assert bank.notes == (
        "the graph reverses the order of the image's channels first",
        "the graph normalises its input first: (x - mean) / std with mean 0.5 0.25 0, std 0.5, in the layer's order of "
        "channels",
        FOLDED,
    )


@pytest.mark.parametrize(
    ("conv", "example"),
    [
        ({"kernel_size": 16, "stride": 16, "padding": 0}, (1, 3, 64, 64)),
        ({"groups": 3, "filters": 6, "dilation": 2}, (1, 3, 32, 32)),
        ({"channels": 1, "kernel_size": 5}, (2, 1, 16, 16)),
        ({"channels": 4, "padding_mode": "zeros", "padding": "same", "stride": 1}, (1, 4, 16, 16)),
    ],
)
def test_kinds_of_first_layers(tmp_path: Path, conv: dict[str, Any], example: tuple[int, ...]):
    net = Net(**conv)
    bank = read(unfolded(net, tmp_path / "m.onnx", torch.zeros(example)))
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert bank.stride == net.conv1.stride
    assert bank.dilation == net.conv1.dilation
    assert bank.groups == net.conv1.groups
    assert bank.padding == ((1, 2) if conv.get("padding") == "same" else net.conv1.padding)


@pytest.mark.parametrize(
    ("prepare", "example", "notes"),
    [
        (lambda x: x.float() / 255, torch.zeros(1, 3, 16, 16, dtype=torch.uint8), ["mean 0, std 255"]),
        (lambda x: x.permute(0, 3, 1, 2), torch.zeros(1, 16, 20, 3), []),
        (
            lambda x: (x.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25,
            torch.zeros(1, 16, 20, 3, dtype=torch.uint8),
            ["mean 127.5, std 63.75"],
        ),
        (lambda x: x.permute(0, 3, 2, 1), torch.zeros(1, 16, 20, 3), ["exchanges rows and columns"]),
        (lambda x: nn.functional.pad(x, (1, 2, 3, 4)), None, ["goes through Pad"]),
        (lambda x: x[:, [2, 1, 0]], None, ["reverses the order"]),
        (lambda x: x.flip(1), None, ["reverses the order"]),
        (lambda x: torch.cat(x.split(1, 1)[::-1], 1), None, ["reverses the order"]),
        (lambda x: x[:, [1, 0, 2]], None, ["channels 1 0 2 of the image"]),
        (lambda x: (x - x.new_tensor([1.0, 2, 3]).view(3, 1, 1)) * 2, None, ["mean 1 2 3, std 0.5"]),
        (lambda x: nn.functional.interpolate(x, scale_factor=2.0), None, ["goes through Resize"]),
    ],
)
def test_what_the_graph_does_to_the_image_first(
    tmp_path: Path, prepare: Callable[[torch.Tensor], torch.Tensor], example: torch.Tensor | None, notes: list[str]
):
    net = Net(prepare)
    bank = read(unfolded(net, tmp_path / "m.onnx", example))
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert len(bank.notes) == len(notes), bank.notes
    for note, words in zip(bank.notes, notes, strict=True):
        assert words in note


def test_a_batch_normalisation_of_the_image_is_a_normalisation(tmp_path: Path):
    first = nn.BatchNorm2d(3, eps=0.0)
    first.running_mean, first.running_var = torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 16, 64])
    bank = read(unfolded(Net(first), tmp_path / "m.onnx"))
    assert bank.notes == ("the graph normalises its input first: (x - mean) / std with mean 1 2 3, std 2 4 8",)


@pytest.fixture(scope="module")
def quantisable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = export(Net(), tmp_path_factory.mktemp("float") / "m.onnx")
    return path, read(path).weight


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_statically_quantised_models(
    tmp_path: Path, quantisable: tuple[Path, np.ndarray], form: str, kind: str, per_channel: bool
):
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            name = onnx.load(quantisable[0]).graph.input[0].name
            self.images = iter([{name: RNG.normal(size=(1, 3, 16, 16)).astype(np.float32)}])

        def get_next(self) -> Any:
            return next(self.images, None)

    quantization.quantize_static(
        quantisable[0],
        tmp_path / "q.onnx",
        Reader(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType[kind],
        per_channel=per_channel,
    )
    # By channel, the older form is always signed.
    stored = "uint8" if kind == "QUInt8" and not (per_channel and form == "QOperator") else "int8"
    assert_quantised(read(tmp_path / "q.onnx"), quantisable[1], stored, per_channel)


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_dynamically_quantised_models(tmp_path: Path, quantisable: tuple[Path, np.ndarray], kind: str):
    from onnxruntime import quantization

    quantization.quantize_dynamic(
        quantisable[0], tmp_path / "q.onnx", ["Conv"], weight_type=quantization.QuantType[kind]
    )
    assert_quantised(read(tmp_path / "q.onnx"), quantisable[1], "int8" if kind == "QInt8" else "uint8", False)


def assert_quantised(bank: FilterBank, weight: np.ndarray, kind: str, per_channel: bool) -> None:
    assert bank.dtype == f"quantized {kind}"
    axes = (1, 2, 3) if per_channel else None
    step = (weight.max(axes, keepdims=True) - weight.min(axes, keepdims=True)) / 127
    assert (np.abs(bank.weight - weight) <= 0.51 * step).all()
    assert len(np.unique(bank.weight)) > 20


# Where the weight is stored


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.FLOAT, "float32"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
        (TensorProto.FLOAT8E5M2, "float8_e5m2"),
        (TensorProto.INT8, "int8"),
        (TensorProto.INT4, "int4"),
        (TensorProto.UINT4, "uint4"),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_formats_of_numbers(save: Callable[..., Path], kind: int, name: str, raw: bool):
    values = np.array([0, 1, 2, 3, 5, 7, 6, 4, 1], dtype=np.float32).reshape(1, 1, 3, 3)  # an odd number of them
    if kind not in (TensorProto.UINT4, TensorProto.UINT8):
        values = values - 3
    numbers = values.astype(helper.tensor_dtype_to_np_dtype(kind))
    tensor = numpy_helper.from_array(numbers, "w") if raw else helper.make_tensor("w", kind, values.shape, numbers)
    assert tensor.HasField("raw_data") is raw
    cast_up = [node("Cast", "w", "c", to=TensorProto.FLOAT), node("Conv", "image c", "y")]
    bank = read(save(cast_up, [tensor], [("image", (1, 1, 8, 8))]))
    np.testing.assert_array_equal(bank.weight, values)
    assert (bank.dtype, bank.layer) == (name, "w")


COMPUTED = {
    "Identity": ([node("Identity", "w", "c")], lambda w: w),
    "Transpose": ([node("Transpose", "w", "c", perm=[1, 0, 2, 3])], lambda w: w.transpose(1, 0, 2, 3)),
    "Reshape": ([node("Reshape", "w shape", "c")], lambda w: w.reshape(9, 2, 3, 5)),
    "Mul": ([node("Mul", "two w", "c")], lambda w: 2 * w),
    "Div": ([node("Div", "w two", "a"), node("Add", "a two", "c")], lambda w: w / 2 + 2),
    "Unsqueeze": (
        [node("Unsqueeze", "w axes", "a"), node("Squeeze", "a axes", "b"), node("Identity", "b", "c")],
        lambda w: w,
    ),
    "half": ([node("Cast", "w", "c", to=TensorProto.FLOAT16)], lambda w: w.astype(np.float16)),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_weights_computed_from_stored_ones(save: Callable[..., Path], case: str):
    nodes, expected = COMPUTED[case]
    stored = [constant("shape", [9, 2, 0, -1], np.int64), constant("two", 2), constant("axes", [0], np.int64), WEIGHT]
    bank = read(save([*nodes, node("Conv", "image c", "y")], stored))
    np.testing.assert_array_equal(bank.weight, expected(WEIGHT.astype(np.float64)))
    assert (bank.layer, bank.dtype) == ("w", "float32")


def test_a_weight_in_a_constant_node_is_named_by_the_convolution(save: Callable[..., Path]):
    held = helper.make_node("Constant", [], ["12"], value=numpy_helper.from_array(WEIGHT))
    bank = read(save([held, node("Conv", "image 12", "y", "stem/conv")]))
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert bank.layer == "stem/conv"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([np.int8, np.uint8]),
    st.sampled_from(["tensor", "axis 0", "axis 1", "block 1", "block 2"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_scaled_integers_are_what_the_operator_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, kind: type[np.integer], form: str, zero: bool, seed: int
):
    rng = np.random.default_rng(seed)
    axis, block = int(form[-1]) if "axis" in form else 1, int(form[-1]) if "block" in form else 0
    shape = {"tensor": (), "axis 0": (4,), "axis 1": (3,), "block 1": (4, 3, 2, 2), "block 2": (4, 2, 2, 2)}[form]
    numbers = {"w": rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, (4, 3, 2, 2), kind, endpoint=True)}
    numbers["s"] = rng.uniform(0.01, 2, shape).astype(np.float32)
    numbers["z"] = np.asarray(rng.integers(0, 9, shape), kind)
    dequantize = node("DequantizeLinear", "w s z" if zero else "w s", "c", axis=axis, block_size=block)
    proto = model(
        [dequantize, node("Conv", "image c", "y")], [numpy_helper.from_array(v, k) for k, v in numbers.items()]
    )
    proto.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, None))
    path = tmp_path_factory.mktemp("q") / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    bank = read(path)
    only = model([dequantize], proto.graph.initializer, [])
    only.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, None))
    (expected,) = cast(list[np.ndarray], ReferenceEvaluator(only).run(None, {}))
    np.testing.assert_allclose(bank.weight, expected, rtol=1e-6)
    assert bank.dtype == f"quantized {np.dtype(kind).name}"


def test_weights_quantised_within_the_graph_lose_what_the_operators_take(save: Callable[..., Path]):
    scale = constant("s", [0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    zero = constant("z", [0] * 6, np.int8)
    nodes = [node("QuantizeLinear", "w s z", "q", axis=0), node("DequantizeLinear", "q s z", "c", axis=0)]
    bank = read(save([*nodes, node("Conv", "image c", "y")], [scale, zero, WEIGHT]))
    only = model(nodes, [scale, zero, numpy_helper.from_array(WEIGHT, "w")], [])
    only.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, None))
    (expected,) = cast(list[np.ndarray], ReferenceEvaluator(only).run(None, {}))
    np.testing.assert_allclose(bank.weight, expected, rtol=1e-6)
    assert bank.dtype == "float32"


@pytest.mark.parametrize(
    ("kernel_shape", "weight", "fits"),
    [([3, 5], WEIGHT, True), ([3, 5], WEIGHT.transpose(0, 2, 3, 1), True), ([7, 7], WEIGHT, False)],
)
def test_convolutions_with_channels_last(
    save: Callable[..., Path], kernel_shape: list[int], weight: np.ndarray, fits: bool
):
    conv = node("NhwcConv", "image w", "y", domain="com.microsoft", kernel_shape=kernel_shape)
    path = save([conv], [np.ascontiguousarray(weight)], [("image", (1, 16, 16, 3))])
    if fits:
        np.testing.assert_array_equal(read(path).weight, WEIGHT)
    else:
        with pytest.raises(SourceError, match=r"kernel_shape \(7, 7\); expected \(K, C, kh, kw\)"):
            read(path)


def test_external_data_at_an_offset(tmp_path: Path):
    proto = model([node("Conv", "image w", "y")], [constant("unused", np.zeros(50)), WEIGHT])
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    assert (tmp_path / "data.bin").stat().st_size > WEIGHT.nbytes
    np.testing.assert_array_equal(read(tmp_path / "m.onnx").weight, WEIGHT)


# Which convolution


def branches(*order: int) -> list[onnx.NodeProto]:
    """One near, one as near, one farther away, and one behind the first."""
    nodes = [
        node("Relu", "image", "r"),
        node("Conv", "image near", "a", "a"),
        node("Conv", "image also", "b", "b"),
        node("Conv", "r far", "c", "c"),
        node("Conv", "a w", "d", "d"),
        node("Concat", "image d", "e", axis=1),
        node("Conv", "e w", "f", "f"),
    ]
    return [nodes[i] for i in order or range(7)]


STORED = [constant(name, WEIGHT) for name in ("near", "also", "far", "w")]


def test_parallel_branches_are_named_as_alternatives(save: Callable[..., Path]):
    bank = read(save(branches(), STORED))
    assert bank.layer == "near"
    assert bank.alternatives == ("also 6 x 3 x 3 x 5", "far 6 x 3 x 3 x 5")


@given(st.permutations(range(7)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_the_file_does_not_decide(save: Callable[..., Path], order: list[int]):
    bank = read(save(branches(*order), STORED))
    assert {bank.layer, *(name.split()[0] for name in bank.alternatives)} == {"near", "also", "far"}
    assert bank.layer in ("near", "also")


@pytest.mark.parametrize(("name", "layer"), [("d", "w"), ("far", "far"), ("c", "far")])
def test_a_convolution_by_name(save: Callable[..., Path], name: str, layer: str):
    bank = read(save(branches(), STORED), name)
    assert (bank.layer, bank.alternatives) == (layer, ())


def test_a_layer_of_the_network_names_its_weight(tmp_path: Path):
    net = Net()
    bank = read(unfolded(net, tmp_path / "m.onnx"), "conv2")
    assert bank.layer == "conv2.weight"
    assert bank.weight.shape == (4, 8, 1, 1)


def test_an_unknown_name_lists_the_candidates(save: Callable[..., Path]):
    many = [node("Conv", f"x{i or ''} w".replace("x ", "image "), f"x{i + 1}", f"conv{i}") for i in range(10)]
    path = save(many, [np.zeros((3, 3, 3, 3), np.float32)])
    with pytest.raises(InputError, match=r"layer is 'no'; expected .* w 3 x 3 x 3 x 3; .*; and 2 more$"):
        read(path, "no")


def test_the_image_is_found_among_several_inputs(save: Callable[..., Path]):
    nodes = [node("Conv", "signal w1", "a"), node("Conv", "image w", "b"), node("Add", "a b", "c")]
    inputs = [("signal", (1, 3, 99)), ("image", ("n", 3, None, None))]
    assert read(save(nodes, [constant("w1", np.zeros((2, 3, 3))), WEIGHT], inputs)).layer == "w"


def test_an_input_without_a_shape_is_followed_too(save: Callable[..., Path]):
    assert read(save([node("Conv", "image w", "y")], [WEIGHT], [("image", None)])).layer == "w"


@pytest.mark.parametrize("shape", [("n", "h", "w", "c"), None])
def test_an_image_of_unknown_size_with_its_channels_last(save: Callable[..., Path], shape: Sequence[str] | None):
    nodes = [node("Div", "image m", "d"), node("Transpose", "d", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]
    bank = read(save(nodes, [constant("m", [1, 2, 4]), WEIGHT], [("image", shape)]))
    assert bank.notes[:-1] == ("the graph normalises its input first: (x - mean) / std with mean 0, std 1 2 4",)


@pytest.mark.parametrize("perm", [[0, 1, 2, 2], [0, 0, 2, 3], [0, 1], [0, 1, 2, -1], [0, 1, 2, 9]])
def test_axes_that_are_lost_or_doubled_on_the_way_are_not_followed(save: Callable[..., Path], perm: list[int]):
    bank = read(save([node("Transpose", "image", "t", perm=perm), node("Conv", "t w", "y")], [WEIGHT]))
    assert bank.notes == ("the image goes through Transpose t before it reaches the layer", FOLDED)


def test_the_shape_of_the_image_is_not_the_image(save: Callable[..., Path]):
    nodes = [node("Shape", "image", "s"), node("Cast", "s", "f", to=1), node("MatMul", "f f", "m")]
    nodes += [node("Reshape", "image m", "r"), node("Conv", "r w", "y")]
    bank = read(save(nodes, [WEIGHT]))
    assert bank.layer == "w"
    assert bank.notes[0] == "the image goes through Reshape r before it reaches the layer"


def test_weights_among_the_inputs_as_old_files_have_them(save: Callable[..., Path]):
    inputs = [("w", WEIGHT.shape), ("image", (1, 3, 16, 16))]
    assert read(save([node("Conv", "image w", "y")], [WEIGHT], inputs)).layer == "w"


@pytest.mark.parametrize(
    ("attributes", "padding", "note"),
    [
        ({"pads": [1, 2, 1, 2]}, (1, 2), None),
        ({"pads": [0, 1, 1, 2]}, (0, 1), "padded by 0 at the top, 1 left, 1 at the bottom, 2 right"),
        ({"auto_pad": "VALID"}, (0, 0), None),
        ({"auto_pad": "SAME_UPPER"}, (1, 2), None),
        ({"auto_pad": "SAME_LOWER", "dilations": [1, 3]}, (1, 6), None),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (0, 1), "padding is SAME_UPPER: given for an image whose"),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 2), "padding is SAME_LOWER: given for an image whose"),
    ],
)
def test_padding(save: Callable[..., Path], attributes: dict[str, Any], padding: tuple[int, int], note: str | None):
    bank = read(save([node("Conv", "image w", "y", **attributes)], [WEIGHT]))
    assert bank.padding == padding
    assert bank.notes[-1] == FOLDED
    assert bank.notes[0].startswith(note or FOLDED)


def test_a_batch_normalisation_behind_a_bias_belongs_to_the_layer_one_behind_a_sum_does_not(save: Callable[..., Path]):
    stored = [constant(name, np.full(6, 4)) for name in ("g", "v")] + [constant("bias", np.ones((1, 6, 1, 1))), WEIGHT]
    normalise = node("BatchNormalization", "s g v v v", "n", epsilon=0.0)
    bank = read(save([node("Conv", "image w", "y"), node("Add", "y bias", "s"), normalise], stored))
    np.testing.assert_array_equal(cast(np.ndarray, bank.scale), 2)
    assert bank.batch_norm == "g"
    nodes = [node("Conv", "image w", "y"), node("Relu", "y", "z"), node("Add", "y z", "s"), normalise]
    assert read(save(nodes, stored)).notes == (FOLDED,)


STEPS = ["Sub", "Add", "Mul", "Div", "Gather", "Slice", "Split", "Transpose", "Cast", "From", "Norm"]


@given(st.lists(st.sampled_from(STEPS), max_size=7), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_normalisation_told_is_the_one_that_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], last: bool, seed: int
):
    """Mean, standard deviation and channel order in the notes against the graph as the reference runs it."""
    rng = np.random.default_rng(seed)
    shape = [1, 6, 5, 3] if last else [1, 3, 6, 5]
    axis, broadcast = (3, (3,)) if last else (1, (3, 1, 1))
    nodes, stored, x = [], [], "image"
    for i, step in enumerate(steps):
        y, c = f"x{i}", f"c{i}"
        if step in ("Sub", "Add", "Mul", "Div", "From"):
            stored.append(constant(c, rng.uniform(0.5, 2, broadcast if rng.random() < 0.7 else ())))
            nodes.append(node("Sub", f"{c} {x}", y) if step == "From" else node(step, f"{x} {c}", y))
        elif step == "Gather":
            stored.append(constant(c, rng.permutation(3) - rng.integers(0, 2) * 3, np.int64))
            nodes.append(node(step, f"{x} {c}", y, axis=axis - rng.integers(0, 2) * 4))
        elif step == "Slice":
            values = {"s": -1, "e": -(2**62), "a": axis, "t": -1}
            stored += [constant(c + key, [value], np.int64) for key, value in values.items()]
            nodes.append(node(step, f"{x} {c}s {c}e {c}a {c}t", y))
        elif step == "Split":
            names = [f"{y}p{j}" for j in range(3)]
            nodes.append(node(step, x, " ".join(names), axis=axis, num_outputs=3))
            nodes.append(node("Concat", " ".join(names[j] for j in rng.permutation(3)), y, axis=axis))
        elif step == "Transpose":
            nodes += [node(step, x, y + "t", perm=[3, 1, 0, 2]), node(step, y + "t", y, perm=[2, 1, 3, 0])]
        elif step == "Norm" and not last:
            stored += [constant(c + key, rng.uniform(0.5, 2, 3)) for key in "gbmv"]
            nodes.append(node("BatchNormalization", f"{x} {c}g {c}b {c}m {c}v", y))
        else:
            nodes.append(node("Cast", x, y, to=TensorProto.FLOAT))
        x = y
    nodes.append(node("Transpose", x, "in", perm=[0, 3, 1, 2]) if last else node("Identity", x, "in"))
    proto = model(nodes, stored, [("image", shape)])
    proto.graph.output.append(helper.make_tensor_value_info("in", TensorProto.FLOAT, None))
    image = rng.normal(size=shape).astype(np.float32)
    (arrived,) = cast(list[np.ndarray], ReferenceEvaluator(proto).run(None, {"image": image}))

    proto.graph.node.append(node("Conv", "in w", "y"))
    proto.graph.initializer.append(numpy_helper.from_array(WEIGHT, "w"))
    path = tmp_path_factory.mktemp("p") / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    notes = " ".join(read(path).notes)
    assert "goes through" not in notes
    expected = image.transpose(0, 3, 1, 2) if last else image
    if "reverses" in notes:
        expected = expected[:, ::-1]
    if found := re.search(r"channels are channels (\d) (\d) (\d) of", notes):
        expected = expected[:, [int(each) for each in found.groups()]]
    if found := re.search(r"mean ([-\d.e+ ]+), std ([-\d.e+ ]+)", notes):
        mean, std = (np.array(numbers.split(), dtype=float).reshape(-1, 1, 1) for numbers in found.groups())
        expected = (expected - mean) / std
    np.testing.assert_allclose(arrived, expected, rtol=1e-3, atol=1e-3)


# What is refused, and why


LINEAR = [constant("w2", np.zeros((48, 8))), constant("shape", [1, -1, 48], np.int64)]
REFUSED = {
    "one-dimensional": (
        [node("Conv", "image w1", "y")],
        [constant("w1", np.zeros((2, 3, 3)))],
        "the convolution w1 is one-dimensional; expected a two-dimensional one",
    ),
    "three-dimensional": (
        [node("Conv", "image w3", "y")],
        [constant("w3", np.zeros((2, 3, 3, 3, 3)))],
        "the convolution w3 is three-dimensional",
    ),
    "transposed": (
        [node("ConvTranspose", "image w", "y", "up")],
        [WEIGHT],
        "its image first meets ConvTranspose up; expected an ordinary two-dimensional convolution",
    ),
    "patch embedding": (
        [node("Reshape", "image shape", "p"), node("MatMul", "p w2", "y", "embed"), node("Conv", "y w", "z")],
        [*LINEAR, WEIGHT],
        "its image first meets MatMul embed, a linear layer, whose order of the pixels in a patch the graph does not "
        "say; expected a convolution; its convolutions are w 6 x 3 x 3 x 5: take one with layer=NAME",
    ),
    "recurrent": ([node("LSTM", "image a b", "y")], [], "its image first meets LSTM y; expected a convolution"),
    "nothing": ([node("Relu", "image", "y")], [], r"no convolution is reached from its inputs \(image\)"),
    "empty": ([], [], "no convolution is reached"),
    "circle": (
        [node("Add", "image b", "a"), node("Relu", "a", "b"), node("Conv", "a w", "y")],
        [WEIGHT],
        r"no convolution is reached from its inputs \(image\), and its nodes form a circle",
    ),
    "no weight": ([node("Conv", "image", "y")], [], "the weights of Conv y cannot be read"),
    "missing": ([node("Conv", "image nowhere", "y")], [], "nowhere is not in the file"),
    "dynamic": ([node("Relu", "image", "r"), node("Conv", "image r", "y")], [], "image is an input of the network"),
    "an input": ([node("Conv", "image image", "y")], [], "image is an input of the network"),
    "weight in a circle": (
        [node("Cast", "b", "a", to=1), node("Cast", "a", "b", to=1), node("Conv", "image a", "y")],
        [],
        "no convolution is reached",
    ),
    "many operators": (
        [*(node("Identity", f"w{i or ''}", f"w{i + 1}") for i in range(30)), node("Conv", "image w30", "y")],
        [WEIGHT],
        "by more than 16 operators in a row",
    ),
    "shapes": (
        [node("Reshape", "w shape", "c"), node("Conv", "image c", "y")],
        [*LINEAR, WEIGHT],
        "c cannot be computed by Reshape c: its shapes do not fit",
    ),
    "no axes": (
        [node("Unsqueeze", "w", "c"), node("Conv", "image c", "y")],
        [WEIGHT],
        "c is computed by Unsqueeze, which is not followed",
    ),
    "growing": (
        [node("Mul", "left right", "c"), node("Conv", "image c", "y")],
        [constant("left", np.zeros((5000, 1, 1, 1))), constant("right", np.zeros((1, 5000, 1, 1)))],
        "Mul c makes more than 16,777,216 numbers",
    ),
    "text": (
        [node("Conv", "image w", "y")],
        [TensorProto(name="w", data_type=TensorProto.STRING, dims=[1, 1, 1, 1], string_data=[b"x"])],
        "w holds text; expected real numbers",
    ),
    "complex": ([node("Conv", "image w", "y")], [np.zeros((1, 1, 1, 1), complex)], "w holds complex128"),
    "groups": ([node("Conv", "image w", "y", group=4)], [WEIGHT], "has 4 groups; expected a divisor of its 6"),
    "strides": ([node("Conv", "image w", "y", strides=[0, 1])], [WEIGHT], r"strides of Conv y are \(0, 1\)"),
    "text for numbers": ([node("Conv", "image w", "y", strides="big")], [WEIGHT], "strides of Conv y holds no whole"),
    "pads": ([node("Conv", "image w", "y", pads=[1, 1])], [WEIGHT], r"pads of Conv y are \(1, 1\); expected four"),
    "auto_pad": ([node("Conv", "image w", "y", auto_pad="SOME")], [WEIGHT], "auto_pad of Conv y is 'SOME'"),
    "kernel_shape": ([node("Conv", "image w", "y", kernel_shape=[1, 1])], [WEIGHT], r"kernel_shape \(1, 1\)"),
    "scale": (
        [node("DequantizeLinear", "w s", "c"), node("Conv", "image c", "y")],
        [constant("s", [1, 2]), WEIGHT.astype(np.int8)],
        r"s has shape \(2,\), which does not fit weights of \(6, 3, 3, 5\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_what_is_there_and_why_it_will_not_do(save: Callable[..., Path], case: str):
    nodes, stored, message = REFUSED[case]
    with pytest.raises(SourceError, match=message) as caught:
        read(save(nodes, stored))
    assert str(caught.value).startswith("model.onnx: ")
    assert "\n" not in str(caught.value)


def test_subgraphs_are_refused_where_the_image_enters_them(save: Callable[..., Path]):
    inner = helper.make_graph([node("Conv", "image w", "y")], "then", [], [onnx.ValueInfoProto(name="y")])
    choice = helper.make_node("If", ["c"], ["r"], "choose", then_branch=inner, else_branch=inner)
    held = helper.make_node("Constant", [], ["c"], value=constant("", True, bool))
    with pytest.raises(SourceError, match=r"first meets If choose, whose subgraphs are not followed.* w 6 x 3 x 3 x 5"):
        read(save([held, choice, node("Conv", "r w", "z")], [WEIGHT]))


def test_functions_of_the_models_own_are_refused_with_a_remedy(save: Callable[..., Path]):
    stem = helper.make_function(
        "own", "Stem", ["x", "k"], ["y"], [node("Conv", "x k", "y")], [helper.make_opsetid("", 21)]
    )
    proto = model([node("Stem", "image w", "y", domain="own")], [WEIGHT])
    proto.functions.append(stem)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(SourceError, match=r"first meets Stem y, a function of the model's own.*inline_local_functions"):
        read(save(proto))
    from onnx.inliner import inline_local_functions

    np.testing.assert_array_equal(read(save(inline_local_functions(proto))).weight, WEIGHT)


def test_sparse_weights_are_refused(save: Callable[..., Path]):
    sparse = helper.make_sparse_tensor(constant("w", [1.0]), constant("i", [0], np.int64), [6, 3, 3, 5])
    with pytest.raises(SourceError, match="w is stored as a sparse tensor"):
        read(save([node("Conv", "image w", "y")], sparse_initializer=[sparse]))


def test_weights_that_are_not_finite_are_told(save: Callable[..., Path]):
    weight = WEIGHT.copy()
    weight[2, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteWeights, match=r"model.onnx w: .* first in filter 2"):
        read(save([node("Conv", "image w", "y")], [weight]))


@pytest.mark.parametrize(
    ("dims", "raw", "message"),
    [
        ([6, 3, 3, 5], WEIGHT.tobytes()[:-4], "holds 1,076 bytes where float32 of shape .* needs 1,080: it is cut off"),
        ([6, 3, 3, 6], WEIGHT.tobytes(), "holds 1,080 bytes where float32 of shape .* needs 1,296"),
        ([1 << 40, 1 << 40, 1, 1], b"", "declares .* numbers; expected at most 16,777,216"),
        ([-6, -3, 3, 5], WEIGHT.tobytes(), r"has shape \(-6, -3, 3, 5\); expected up to 8 dimensions, none negative"),
        ([1] * 1000, b"1234", "expected up to 8 dimensions"),
    ],
)
def test_declared_shapes_are_checked_before_anything_is_read(
    save: Callable[..., Path], dims: list[int], raw: bytes, message: str
):
    tensor = TensorProto(name="w", dims=dims, data_type=TensorProto.FLOAT, raw_data=raw)
    with pytest.raises(SourceError, match=message):
        read(save([node("Conv", "image w", "y")], [tensor]))


def test_names_out_of_a_file_do_not_reach_the_terminal_as_they_are(save: Callable[..., Path]):
    evil = "x\x1b[2J\ny"
    with pytest.raises(SourceError, match=r"x\\u001b\[2J\\ny") as caught:
        read(save([node("Conv", f"image {evil.replace(chr(10), '_')}", "y"), node("LSTM", "image", "z", evil)][1:]))
    assert str(caught.value).isprintable()
    bank = read(save([helper.make_node("Conv", ["image", evil], ["y"])], [constant(evil, WEIGHT)]))
    assert bank.layer.isprintable()


# Data in files of their own


def external(location: str, offset: str = "0", length: str = "") -> onnx.TensorProto:
    tensor = TensorProto(name="w", dims=WEIGHT.shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin", "folder/../../secret.bin", ""])
def test_data_outside_the_models_folder_are_refused_by_name(tmp_path: Path, location: str):
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "models"
    (folder / "folder").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = folder / "m.onnx"
    path.write_bytes(model([node("Conv", "image w", "y")], [external(location)]).SerializeToString())
    with pytest.raises(SourceError, match=re.escape(f"are in {location!r}, outside the model's folder")):
        read(path)


@pytest.mark.parametrize(
    ("location", "offset", "length", "message"),
    [
        ("data.bin", str(1 << 31), "", "of 1,080 bytes is said to hold all from byte 2,147,483,648 on"),
        ("data.bin", "4", "", "said to hold all from byte 4 on: it is cut off"),
        ("data.bin", "0", str(1 << 31), "said to hold 2,147,483,648 from byte 0 on"),
        ("data.bin", "-8", "", "start or end at '-8'; expected a number"),
        ("data.bin", "9" * 9000, "", "expected a number of bytes"),
        ("data.bin", "1e3", "", "expected a number of bytes"),
        ("nothing.bin", "0", "", "cannot be read .No such file"),
        ("folder", "0", "", "is not a file"),
        ("pipe", "0", "", "is not a file"),
        ("loop", "0", "", "cannot be read"),
        ("zero\x00byte", "0", "", "cannot be read"),
        ("x" * 5000, "0", "", "cannot be read .File name too long"),
    ],
)
def test_data_that_are_not_where_they_should_be(tmp_path: Path, location: str, offset: str, length: str, message: str):
    (tmp_path / "data.bin").write_bytes(WEIGHT.tobytes())
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop2")
    (tmp_path / "loop2").symlink_to("loop")
    path = tmp_path / "m.onnx"
    proto = model([node("Conv", "image w", "y")], [external(location, offset, length)])
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(SourceError, match=message) as caught:
        read(path)
    assert str(caught.value).isprintable()


# Damaged and hostile files


def test_what_is_no_model(tmp_path: Path):
    path = tmp_path / "m.onnx"
    with pytest.raises(SourceError, match=r"m\.onnx: cannot be read \(No such file"):
        read(path)
    os.mkfifo(path)
    with pytest.raises(SourceError, match=r"m\.onnx: cannot be read \(it is a named pipe"):
        read(path)
    path.unlink()
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="has 0 bytes"):
        read(path)
    with path.open("wb") as file:
        file.truncate(1 << 31)  # takes no room on the disk
    with pytest.raises(SourceError, match="has 2,147,483,648 bytes; expected an ONNX model, of 1 to 2,147,483,647"):
        read(path)
    path.write_bytes(b"\x08\x07")
    with pytest.raises(SourceError, match="holds no graph"):
        read(path)


def varint(value: int) -> bytes:
    groups = []
    while True:
        groups.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(groups)


def nested(*path: int, content: bytes) -> bytes:
    """Content as a field in a field in a field."""
    for number in reversed(path):
        content = varint(number << 3 | 2) + varint(len(content)) + content
    return content


@pytest.mark.parametrize(
    ("bomb", "message"),
    [
        (nested(7, content=b"\x0a\x00" * 530_000), "holds more than 500,000 fields"),  # nodes
        (nested(7, 1, content=b"\x2a\x00" * 530_000), "holds more than 500,000 fields"),  # attributes of a node
        (nested(7, content=b"\x2a\x00" * 530_000), "holds more than 500,000 fields"),  # initialisers
        (b"\xca\x01\x00" * 530_000, "holds more than 500,000 fields"),  # functions
        (nested(*[7, *[1, 5, 6] * 2000], content=b""), "cannot be parsed"),  # graphs in graphs
        (nested(7, content=b"\x0b" * 100), "no field starts at byte"),  # groups, which ONNX has none of
        (b"\x3a" + b"\xff" * 12, "a number is not complete"),
        (b"\x3a" + varint(1 << 60) + b"x", "declares 1,152,921,504,606,846,976 bytes where 1 are left"),
    ],
    ids=["nodes", "attributes", "initialisers", "functions", "nesting", "groups", "varint", "length"],
)
def test_files_made_to_exhaust_a_reader(tmp_path: Path, bomb: bytes, message: str):
    path = tmp_path / "m.onnx"
    path.write_bytes(bomb)
    start = time.perf_counter()
    with pytest.raises(SourceError, match=message):
        read(path)
    assert time.perf_counter() - start < 10


def test_only_what_is_needed_of_a_large_file_is_read(tmp_path: Path):
    proto = model([node("Conv", "image w", "y")], [WEIGHT]).graph.SerializeToString()
    unused = TensorProto(name="unused", dims=[1 << 28], data_type=TensorProto.FLOAT).SerializeToString()
    length = 1 << 30
    unused += varint(9 << 3 | 2) + varint(length)  # its data follow, and take no room on the disk
    tensor = varint(5 << 3 | 2) + varint(len(unused) + length) + unused
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.write(varint(7 << 3 | 2) + varint(len(proto) + len(tensor) + length) + proto + tensor)
        file.truncate(file.tell() + length)
    read(path)
    tracemalloc.start()
    bank = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert peak < 1 << 20


def test_a_long_chain_is_followed_in_linear_time(save: Callable[..., Path]):
    chain = [node("Relu", f"x{i or ''}".replace("x", "image", not i), f"x{i + 1}") for i in range(20_000)]
    start = time.perf_counter()
    bank = read(save([*chain[::-1], node("Conv", "x20000 w", "y")], [WEIGHT]))
    assert bank.notes[0].endswith("and 19994 more before it reaches the layer")
    assert time.perf_counter() - start < 10


def test_a_graph_of_too_many_nodes_is_not_followed(tmp_path: Path):
    path = tmp_path / "m.onnx"
    path.write_bytes(nested(7, content=b"\x0a\x00" * 100_001))
    with pytest.raises(SourceError, match="its graph has 100,001 nodes; expected at most 100,000"):
        read(path)


def test_constants_that_multiply_one_another_end(save: Callable[..., Path]):
    squares = [node("Mul", f"s{i} s{i}", f"s{i + 1}") for i in range(15)]
    stored = [constant("s0", np.ones((4096, 4096)), np.uint8)]
    with pytest.raises(SourceError, match="is computed from more than 33,554,432 numbers"):
        read(save([*squares, node("Conv", "image s15", "y")], stored))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    made = [unfolded(Net(lambda x: x.flip(1) / 255), folder / "a.onnx").read_bytes()]
    quantised = [node("QLinearConv", "image s z w s0 z0 s z", "y")]
    stored = [
        constant("s", 1.0),
        constant("z", 0, np.uint8),
        constant("s0", np.ones(6)),
        constant("z0", [0] * 6, np.int8),
    ]
    made.append(model(quantised, [*stored, WEIGHT.astype(np.int8)]).SerializeToString())
    made.append(model([node("Conv", "image w", "y")], [external("data.bin", "0", "1080")]).SerializeToString())
    (folder / "data.bin").write_bytes(WEIGHT.tobytes())
    return made


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_models_end_with_a_sentence(seeds: list[bytes], tmp_path: Path, data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) if data.draw(st.booleans()) else len(content) :]
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    (tmp_path / "data.bin").write_bytes(WEIGHT.tobytes())
    said = ""
    try:
        assert np.isfinite(read(path).weight).all()
    except FirstlightError as error:
        said = str(error)
    assert said.isprintable()


def test_without_the_package_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = unfolded(Net(), tmp_path / "m.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(
        SourceError, match=re.escape("m.onnx: reading ONNX models needs onnx: pip install 'firstlight[onnx]'")
    ):
        read(path)


def test_a_copy_in_another_folder_needs_its_data(tmp_path: Path):
    path = tmp_path / "m.onnx"
    onnx.save(
        model([node("Conv", "image w", "y")], [WEIGHT]),
        path,
        save_as_external_data=True,
        size_threshold=0,
        location="d",
    )
    (tmp_path / "b").mkdir()
    shutil.copy(path, tmp_path / "b")
    with pytest.raises(
        SourceError, match=r"the data of w are in 'd', which cannot be read .*; expected it beside the model"
    ):
        read(tmp_path / "b" / "m.onnx")


def focus(x: torch.Tensor) -> torch.Tensor:
    """Of YOLOX: top left, bottom left, top right, bottom right."""
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


@pytest.mark.parametrize(
    ("cut", "channels"),
    [
        (focus, 12),
        (lambda x: focus(x)[:, torch.tensor([7, 2, 0, 11, 4, 9, 1, 8, 3, 10, 6, 5])], 12),
        (lambda x: nn.functional.pixel_unshuffle(x, 2), 12),
        (lambda x: nn.functional.pixel_unshuffle(x, 4), 48),
    ],
)
def test_blocks_that_the_graph_cuts_are_folded_by_what_it_does(
    cut: Callable[[torch.Tensor], torch.Tensor], channels: int, tmp_path: Path
):
    net = Net(cut, channels=channels)
    bank = read(unfolded(net, tmp_path / "m.onnx", torch.zeros(1, 3, 32, 32)))
    side = int((channels / 3) ** 0.5)
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kernel = torch.from_numpy(bank.weight.copy())
    through = nn.functional.conv2d(cut(image), torch.from_numpy(weight_of(net)), stride=(2, 1))
    folded = nn.functional.conv2d(image, kernel, stride=(2 * side, side))
    torch.testing.assert_close(folded, through, rtol=0, atol=1e-12)
    assert bank.stride == (2 * side, side)
    assert "as its graph cuts them" in bank.notes[-1]
    assert not any("goes through" in note for note in bank.notes)


@pytest.mark.parametrize("cut", [lambda x: torch.cat([x] * 4, 1), lambda x: torch.cat([x[..., ::2, ::2]] * 4, 1)])
def test_twelve_channels_that_are_no_blocks_are_not_folded(cut: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path):
    bank = read(unfolded(Net(cut, channels=12), tmp_path / "m.onnx"))
    assert bank.weight.shape == (8, 12, 3, 5)
    assert "nothing is folded" in bank.notes[-1]
