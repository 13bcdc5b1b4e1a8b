"""Layouts of weights: those of Keras 2 by hand, of TensorFlow 2.13, and groups in a circle."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.filters.keras_models import KERNEL, OTHER, conv, fails, functional, keras_2, kernel, node, norm

from firstlight.filters.formats.keras.model import read_in_process


def test_keras_2_functional_and_nested(tmp_path: Path):
    inner = functional(
        "trunk",
        node("inner_input", "InputLayer"),
        node("conv", "Conv2D", "inner_input", strides=[1, 2], padding="valid", dilation_rate=[1, 1]),
        node("bn", "BatchNormalization", "conv", epsilon=0.5, axis=[3]),
        inputs="inner_input",
        feeding="tf.math.subtract",
    )
    # An operator layer has keyword tensors, and a level less of lists.
    subtract = node("tf.math.subtract", "TFOpLambda") | {"inbound_nodes": [["tf.math.truediv", 0, 0, {"y": 1.0}]]}
    divide = node("tf.math.truediv", "TFOpLambda") | {"inbound_nodes": [["input", 0, 0, {"y": 127.5}]]}
    model = functional("model", node("input", "InputLayer"), divide, subtract, inner, node("top", "Conv2D", "trunk"))
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(model).encode()
        weights = {"input": {}, "trunk": conv("conv", KERNEL) | norm("bn", 4), "top": conv("top", OTHER)}
        keras_2(file.create_group("model_weights"), weights)
    bank = read_in_process(tmp_path / "net.h5", "net.keras")
    np.testing.assert_array_equal(bank.weight, KERNEL.transpose(3, 2, 0, 1))
    assert (bank.layer, bank.stride, bank.batch_norm) == ("trunk/conv", (1, 2), "trunk/bn")
    assert bank.scale is not None
    np.testing.assert_allclose(bank.scale, np.arange(1, 5) / np.sqrt(4 * np.arange(1, 5) + 0.5), rtol=1e-14)


@pytest.mark.parametrize("old", [False, True])
def test_keras_2_sequential_in_both_of_its_forms(tmp_path: Path, old: bool):
    layers = [{"class_name": "Conv2D", "config": {"name": "block1/conv", "batch_input_shape": [None, 8, 8, 3]}}]
    layers += [{"class_name": "MaxPooling2D", "config": {"name": "pool"}}]
    with h5py.File(tmp_path / "net.h5", "w") as file:
        config = layers if old else {"name": "sequential", "layers": layers}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
        keras_2(file.create_group("model_weights"), {"block1/conv": conv("block1/conv", KERNEL), "pool": {}})
    bank = read_in_process(tmp_path / "net.h5", "net.keras")
    np.testing.assert_array_equal(bank.weight, KERNEL.transpose(3, 2, 0, 1))
    assert bank.layer == "block1/conv"


def test_keras_2_weights_alone_are_taken_in_their_order(tmp_path: Path):
    with h5py.File(tmp_path / "net.h5", "w") as file:
        layers = {
            "input": {},
            "z_conv": conv("z_conv", KERNEL),
            "bn": norm("bn", 4),
            "a_conv": conv("a_conv", KERNEL + 1),
        }
        keras_2(file, layers)
    bank = read_in_process(tmp_path / "net.h5", "net.keras")
    np.testing.assert_array_equal(bank.weight, KERNEL.transpose(3, 2, 0, 1))
    assert (bank.layer, bank.batch_norm, bank.alternatives) == ("z_conv", "bn", ("a_conv 4 x 3 x 3 x 3",))
    assert bank.scale is not None
    np.testing.assert_allclose(bank.scale, np.arange(1, 5) / np.sqrt(4 * np.arange(1, 5) + 1e-3), rtol=1e-14)
    assert any("0.001" in note for note in bank.notes)
    with h5py.File(tmp_path / "net.h5", "a") as file:  # as Keras cuts attributes above 64 KiB
        names = [name.encode() for name in layers]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    assert read_in_process(tmp_path / "net.h5", "net.keras").layer == "z_conv"
    with h5py.File(tmp_path / "net.h5", "a") as file:
        file.attrs["backend"] = b"theano"
    fails(tmp_path / "net.h5", "Theano", "flipped")


def test_keras_files_of_tensorflow_2_13(keras_models: Path, tmp_path: Path):
    """They named the group of a model's layers otherwise, and the variables not at all."""
    with zipfile.ZipFile(keras_models / "nested.keras") as old, zipfile.ZipFile(tmp_path / "net.keras", "w") as new:
        (tmp_path / "w.h5").write_bytes(old.read("model.weights.h5"))
        with h5py.File(tmp_path / "w.h5", "a") as file:
            for group in ("layers/functional", "layers/sequential", ""):
                parent = file[group] if group else file
                assert isinstance(parent, h5py.Group)
                parent.move("layers", "_layer_checkpoint_dependencies")
            file.visititems(lambda _, item: item.attrs.pop("name", None) and None)
        new.write(tmp_path / "w.h5", "model.weights.h5")
        new.writestr("config.json", old.read("config.json"))
    bank = read_in_process(tmp_path / "net.keras", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "nested", "inner"))


def test_groups_in_a_circle_and_files_without_weights(keras_models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"
    path.write_bytes((keras_models / "chain.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["layers/round"] = file["/"]
    assert read_in_process(path, "net.keras").layer == "stem"
    with h5py.File(path, "w") as file:
        file["weights"] = KERNEL
    fails(path, "holds weights", "as Keras writes it")
    path.write_bytes(b"")
    fails(path)
    fails(tmp_path / "none.h5", "No such file")
