"""Real files of Keras 3, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from tests.filters.keras_models import fails, kernel, truth

from firstlight.errors import InputError
from firstlight.filters.formats.keras.model import read_in_process


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_nested_functional_behind_augmentation_and_normalisation(keras_models: Path, kind: str):
    bank = read_in_process(keras_models / f"nested.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "nested", "inner"))
    assert (bank.layer, bank.dilation, bank.padding) == ("backbone/inner", (2, 2), (0, 0))
    assert bank.batch_norm == "backbone/inner_norm"
    assert bank.scale is not None
    variance = truth(keras_models, "nested", "inner_norm/moving_variance")
    np.testing.assert_allclose(bank.scale, 1 / np.sqrt(variance + 1e-3), rtol=1e-14)
    mean = " ".join(f"{one:.6g}" for one in truth(keras_models, "nested", "adapted/mean"))
    assert (
        f"the network normalises its input first: (x - mean) / sqrt(variance), mean {mean}, variance" in bank.notes[0]
    )
    for layer in ("inner", "backbone/inner"):
        assert read_in_process(keras_models / f"nested.{kind}", "net.keras", layer).layer == "backbone/inner"


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_depthwise_is_a_grouped_bank(keras_models: Path, kind: str):
    bank = read_in_process(keras_models / f"depthwise.{kind}", "net.keras")
    stored = truth(keras_models, "depthwise", "dw/kernel")
    assert (bank.weight.shape, bank.groups, bank.layer) == ((6, 1, 3, 3), 3, "dw")
    for channel in range(3):
        for copy in range(2):
            np.testing.assert_array_equal(bank.weight[2 * channel + copy, 0], stored[:, :, channel, copy])


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize(("name", "dtype"), [("bfloat16", "bfloat16"), ("float16", "float16"), ("mixed", "float32")])
def test_every_float_is_upcast_exactly(keras_models: Path, kind: str, name: str, dtype: str):
    bank = read_in_process(keras_models / f"{name}.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, name, "half"))
    assert bank.dtype == dtype


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_channels_first_activations_and_lambdas(keras_models: Path, kind: str):
    bank = read_in_process(keras_models / f"first.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "first", "first"))
    bank = read_in_process(keras_models / f"activated.{kind}", "net.keras")
    assert (bank.batch_norm, bank.scale) == ("", None)
    assert bank.notes == ("the batch normalisation norm follows the layer's own activation and cannot be folded",)
    bank = read_in_process(keras_models / f"lambda.{kind}", "net.keras")
    assert bank.notes == ("the input passes twice first, a Lambda layer, whose code is not read",)


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("separable", ("sep, a SeparableConv2D", "depthwise and a pointwise")),
        ("transposed", ("tr, a Conv2DTranspose", "no input patches")),
        ("dense", ("all, is a Dense one on flattened pixels",)),
        ("one", ("one, a Conv1D", "one-dimensional")),
        ("three", ("three, a Conv3D", "three-dimensional")),
    ],
)
def test_other_first_layers_are_refused_by_name(keras_models: Path, kind: str, name: str, parts: tuple[str, ...]):
    fails(keras_models / f"{name}.{kind}", *parts)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("chain.weights.h5", "stem"),
        ("nested.weights.h5", "backbone/inner"),
        ("sub.weights.h5", "entry"),
        ("sub.keras", "entry"),
        ("sub.h5", "entry"),
    ],
)
def test_without_a_graph_the_first_layer_is_judged(keras_models: Path, name: str, layer: str):
    bank = read_in_process(keras_models / name, "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, name.split(".")[0], layer.rpartition("/")[2]))
    assert (bank.layer, bank.dtype, bank.stride, bank.padding) == (layer, "float32", None, None)
    assert "the first was judged" in bank.notes[0]


def test_without_a_graph_a_layer_by_name(keras_models: Path):
    bank = read_in_process(keras_models / "sub.weights.h5", "net.keras", "blocks/b1")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "sub", "b1"))
    fails(keras_models / "sub.weights.h5", "'nothing'", "blocks/b0 5 x 4 x 3 x 3", layer="nothing", error=InputError)
