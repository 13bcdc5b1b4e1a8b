import numpy as np
import pytest
import torch

from firstlight.errors import SourceError
from firstlight.filters.choice.scales import scaled_entries
from firstlight.filters.choice.tensors import TensorEntry

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(8, 3, 5, 5))


def entry(name: str, values: np.ndarray, dtype: str = "float32") -> TensorEntry:
    return TensorEntry(name, values.shape, dtype, lambda: values.astype(np.float64))


def read_scaled(*entries: TensorEntry) -> tuple[np.ndarray, str]:
    first, *others = scaled_entries(entries)
    assert [other.name for other in others] == [other.name for other in entries[1:]]
    return first.read(), first.dtype


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (8,), (8, 1), (8, 1, 1, 1)])
@pytest.mark.parametrize("name", ["weight_scale", "weight_scale_inv", "scale_weight", "weight.scale", "scale"])
def test_what_was_quantised_comes_back_within_half_a_step(shape: tuple[int, ...], name: str):
    per_channel = 8 in shape
    scale = np.abs(WEIGHT).max(axis=(1, 2, 3), keepdims=True) / 127 if per_channel else np.abs(WEIGHT).max() / 127
    stored = np.round(WEIGHT / scale)
    found, dtype = read_scaled(
        entry("conv.weight", stored, "int8"), entry(f"conv.{name}", np.reshape(scale, shape), "float64")
    )
    assert dtype == "quantized int8"
    np.testing.assert_allclose(found, WEIGHT, atol=np.max(scale) / 2 + 1e-12)
    np.testing.assert_allclose(found, stored * scale)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_zero_points_agree_with_torch():
    weight = torch.from_numpy(WEIGHT)
    scale, zero = torch.rand(8, dtype=torch.float64) / 20 + 0.01, torch.arange(8) - 3
    quantised = torch.quantize_per_channel(weight.float(), scale, zero, 0, torch.qint8)
    found, dtype = read_scaled(
        entry("a.b.weight", quantised.int_repr().numpy(), "int8"),
        entry("a.b.weight_scale", scale.numpy()),
        entry("a.b.weight_zero_point", zero.numpy(), "int64"),
    )
    assert dtype == "quantized int8"
    np.testing.assert_allclose(found, quantised.dequantize().numpy(), rtol=1e-5)


def test_rows_of_bitsandbytes():
    largest = np.abs(WEIGHT).max(axis=(1, 2, 3))
    stored = np.round(WEIGHT / largest[:, None, None, None] * 127)
    found, _ = read_scaled(entry("conv.weight", stored, "int8"), entry("conv.SCB", largest))
    np.testing.assert_allclose(found, WEIGHT, atol=largest.max() / 254 + 1e-12)
    assert scaled_entries([entry("w.weight", stored, "float8_e4m3fn"), entry("w.SCB", largest)])[0].dtype == (
        "float8_e4m3fn"
    )


def test_fp8_without_a_layers_name():
    stored = torch.from_numpy(WEIGHT * 100).to(torch.float8_e4m3fn)
    found, dtype = read_scaled(
        entry("weight", stored.double().numpy(), "float8_e4m3fn"), entry("weight_scale", np.array([0.01]))
    )
    assert dtype == "quantized float8_e4m3fn"
    np.testing.assert_allclose(found, WEIGHT, rtol=0.07, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "dtype", "companion"),
    [
        ("conv.weight", "int8", "other.weight_scale"),
        ("conv.weight", "int8", "conv.bias"),
        ("conv.weight", "float32", "conv.weight_scale"),
        ("conv.weight", "int32", "conv.scale"),
        ("conv.kernel", "int8", "conv.scale"),
        ("myweight", "int8", "myweight_scale"),
    ],
)
def test_what_carries_no_scale_stays_as_it_is(name: str, dtype: str, companion: str):
    entries = (entry(name, WEIGHT, dtype), entry(companion, np.full(8, 2.0)))
    assert scaled_entries(entries) == entries


@pytest.mark.parametrize(
    ("scale", "zero", "message"),
    [
        (np.ones((8, 3)), None, r"conv.weight_scale has the shape \(8, 3\); expected one number or 8, one an output"),
        (np.ones(3), None, r"conv.weight_scale has the shape \(3,\)"),
        (np.ones((1, 8)), None, r"conv.weight_scale has the shape \(1, 8\)"),
        (np.ones(0), None, "conv.weight_scale is empty or not finite"),
        (np.full(8, np.nan), None, "conv.weight_scale is empty or not finite"),
        (np.array(np.inf), None, "conv.weight_scale is empty or not finite"),
        (np.ones(8), np.ones(5), r"conv.weight_zero_point has the shape \(5,\)"),
    ],
)
def test_scales_that_do_not_fit(scale: np.ndarray, zero: np.ndarray | None, message: str):
    entries = [entry("conv.weight", np.round(WEIGHT), "int8"), entry("conv.weight_scale", scale)]
    if zero is not None:
        entries.append(entry("conv.weight_zero_point", zero, "int8"))
    quantised = scaled_entries(entries)[0]
    assert quantised.dtype == "quantized int8"
    with pytest.raises(SourceError, match=f"conv.weight is quantised, and {message}"):
        quantised.read()
