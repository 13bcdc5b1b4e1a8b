"""Keras files: real ones of Keras 3, bit for bit; those of Keras 2 laid out by hand as it wrote them; and hostile ones.

Most tests read in their own process, which is quick; what must end in spite of the HDF5 library goes through
`read_keras`, which reads in another.
"""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.errors import FirstlightError, InputError, NonFiniteWeights, SourceError
from firstlight.filters.keras_file import read_keras
from firstlight.filters.keras_graph import KerasGraph
from firstlight.filters.keras_model import read_in_process

# Writes the models with Keras itself, in a process of its own: it changes global state and warns a lot.
MAKE = """
import sys
import keras, numpy as np
from keras import layers as L
folder, random = sys.argv[1], np.random.default_rng(0)

def save(model, name, *kinds):
    for weight in model.weights:  # none at its initial value; variances stay positive
        if "seed" not in weight.path:
            weight.assign((random.random(weight.shape) + 0.1).astype("float32"))
    for kind in kinds:
        path = f"{folder}/{name}.{kind}"
        model.save_weights(path) if kind == "weights.h5" else model.save(path)
    values = [keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")) for weight in model.weights]
    np.savez(f"{folder}/{name}.npz", **{w.path.replace("/", "|"): v for w, v in zip(model.weights, values)})

ALL = ("keras", "h5", "weights.h5")
image = lambda channels=3: keras.Input((16, 16, channels))

def chain(name, *layers, channels=3, kinds=("keras", "h5")):
    save(keras.Sequential([image(channels), *layers], name=name), name, *kinds)

chain("chain", L.Rescaling(1 / 255, offset=-0.5),
      L.Conv2D(4, (3, 5), strides=2, padding="same", use_bias=False, name="stem"),
      L.BatchNormalization(name="norm", epsilon=1e-2), L.ReLU(), L.Conv2D(5, 3, name="second"), kinds=ALL)
b = keras.Input((18, 18, 3)); y = L.Conv2D(4, 3, dilation_rate=2, name="inner")(b)
y = L.BatchNormalization(name="inner_norm", scale=False)(y); backbone = keras.Model(b, y, name="backbone")
x = image(); adapted = L.Normalization(axis=-1, name="adapted"); adapted.build((None, 16, 16, 3))
y = keras.Sequential([L.RandomFlip(), L.RandomRotation(0.1)], name="augmentation")(x)
y = backbone(L.ZeroPadding2D(1)(adapted(y)))
save(keras.Model(x, L.Dense(2)(L.Flatten()(y)), name="nested"), "nested", *ALL)
x = image(4); a = L.Conv2D(4, 3, groups=2, padding="same", name="a")(x); c = L.Conv2D(6, 5, padding="same", name="c")(x)
gate = L.Dense(4, name="gate")(L.GlobalAveragePooling2D()(x)); x2 = L.Multiply()([x, L.Reshape((1, 1, 4))(gate)])
y = L.Concatenate()([a, c, L.Conv2D(2, 1, name="d")(x2), x]); y = L.Conv2D(3, 1, name="e")(y)
save(keras.Model(x, y / 2.0), "branches", "keras", "h5")

@keras.saving.register_keras_serializable("tests")
class Sub(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.z, self.a = L.Conv2D(4, 3, name="entry"), L.Dense(3, name="head")
        self.blocks = [L.Conv2D(5, 3, name="b0"), L.Conv2D(6, 3, name="b1")]
    def call(self, x):
        x = self.z(x)
        for block in self.blocks:
            x = block(x)
        return self.a(x)
sub = Sub(); sub(np.zeros((1, 16, 16, 3), "float32")); save(sub, "sub", *ALL)

chain("depthwise", L.DepthwiseConv2D(3, depth_multiplier=2, name="dw"))
chain("bfloat16", L.Conv2D(4, 3, dtype="bfloat16", name="half"))
chain("float16", L.Conv2D(4, 3, dtype="float16", name="half"))
chain("mixed", L.Conv2D(4, 3, dtype="mixed_float16", name="half"))
chain("activated", L.Conv2D(4, 3, activation="relu", name="stem"), L.BatchNormalization(name="norm"))
chain("lambda", L.Lambda(lambda x: x * 2, name="twice"), L.Conv2D(4, 3, name="stem"))
chain("separable", L.SeparableConv2D(4, 3, name="sep"))
chain("transposed", L.Conv2DTranspose(4, 3, name="tr"))
chain("dense", L.Flatten(), L.Dense(4, name="all"))
save(keras.Sequential([keras.Input((16, 3)), L.Conv1D(4, 3, name="one")]), "one", "keras", "h5")
save(keras.Sequential([keras.Input((8, 8, 8, 1)), L.Conv3D(4, 3, name="three")]), "three", "keras", "h5")
keras.config.set_image_data_format("channels_first")
save(keras.Sequential([keras.Input((3, 16, 16)), L.Conv2D(4, 3, name="first")]), "first", "keras", "h5")
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], check=True, env=environment, capture_output=True
    )
    return folder


def truth(models: Path, name: str, path: str) -> np.ndarray:
    """What Keras says that a variable holds, by the end of its path."""
    with np.load(models / f"{name}.npz") as arrays:
        (found,) = (arrays[key] for key in arrays if f"|{key}".endswith("|" + path.replace("/", "|")))
        return found.astype(np.float64)


def kernel(models: Path, name: str, layer: str) -> np.ndarray:
    return truth(models, name, f"{layer}/kernel").transpose(3, 2, 0, 1)


def fails(
    path: Path,
    *parts: str,
    layer: str | None = None,
    error: type[FirstlightError] = SourceError,
    read: Callable[..., Any] = read_in_process,
) -> None:
    with pytest.raises(error) as caught:
        read(path, "net.keras", layer)
    message = str(caught.value)
    assert "net.keras" in message
    assert "\n" not in message
    for part in parts:
        assert part in message, message


# Real files of Keras 3


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_sequential(models: Path, kind: str):
    bank = read_keras(models / f"chain.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, "chain", "stem"))
    assert (bank.layer, bank.source, bank.dtype, bank.batch_norm) == ("stem", "net.keras", "float32", "norm")
    assert (bank.stride, bank.padding, bank.dilation, bank.groups) == ((2, 2), (1, 2), (1, 1), 1)
    assert bank.scale is not None
    gamma, variance = truth(models, "chain", "norm/gamma"), truth(models, "chain", "norm/moving_variance")
    np.testing.assert_allclose(bank.scale, gamma / np.sqrt(variance + 1e-2), rtol=1e-14)
    assert bank.notes[0] == "the network rescales its input first: x * 0.00392157 + -0.5"
    assert "depends on the size of the input" in bank.notes[1]


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_nested_functional_behind_augmentation_and_normalisation(models: Path, kind: str):
    bank = read_in_process(models / f"nested.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, "nested", "inner"))
    assert (bank.layer, bank.dilation, bank.padding) == ("backbone/inner", (2, 2), (0, 0))
    assert bank.batch_norm == "backbone/inner_norm"
    assert bank.scale is not None
    variance = truth(models, "nested", "inner_norm/moving_variance")
    np.testing.assert_allclose(bank.scale, 1 / np.sqrt(variance + 1e-3), rtol=1e-14)
    mean = " ".join(f"{one:.6g}" for one in truth(models, "nested", "adapted/mean"))
    assert (
        f"the network normalises its input first: (x - mean) / sqrt(variance), mean {mean}, variance" in bank.notes[0]
    )
    for layer in ("inner", "backbone/inner"):
        assert read_in_process(models / f"nested.{kind}", "net.keras", layer).layer == "backbone/inner"


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_branches_operations_and_layers_by_name(models: Path, kind: str):
    path = models / f"branches.{kind}"
    bank = read_in_process(path, "net.keras")
    shown = {"a": "a Conv2D 4 of 3 x 3", "c": "c Conv2D 6 of 5 x 5", "d": "d Conv2D 2 of 1 x 1"}
    np.testing.assert_array_equal(bank.weight, kernel(models, "branches", bank.layer))
    assert {shown[bank.layer], *bank.alternatives} == set(shown.values())  # not e, which comes behind them
    bank = read_in_process(path, "net.keras", "a")
    np.testing.assert_array_equal(bank.weight, kernel(models, "branches", "a"))
    assert (bank.groups, bank.padding, bank.weight.shape) == (2, (1, 1), (4, 2, 3, 3))
    fails(path, "'nothing'", "does not have", "c Conv2D 6 of 5 x 5", layer="nothing", error=InputError)
    fails(path, "gate", "is no convolution", layer="gate", error=InputError)


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_depthwise_is_a_grouped_bank(models: Path, kind: str):
    bank = read_in_process(models / f"depthwise.{kind}", "net.keras")
    stored = truth(models, "depthwise", "dw/kernel")
    assert (bank.weight.shape, bank.groups, bank.layer) == ((6, 1, 3, 3), 3, "dw")
    for channel in range(3):
        for copy in range(2):
            np.testing.assert_array_equal(bank.weight[2 * channel + copy, 0], stored[:, :, channel, copy])


@pytest.mark.parametrize("kind", ["keras", "h5"])
@pytest.mark.parametrize(("name", "dtype"), [("bfloat16", "bfloat16"), ("float16", "float16"), ("mixed", "float32")])
def test_every_float_is_upcast_exactly(models: Path, kind: str, name: str, dtype: str):
    bank = read_in_process(models / f"{name}.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, name, "half"))
    assert bank.dtype == dtype


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_channels_first_activations_and_lambdas(models: Path, kind: str):
    bank = read_in_process(models / f"first.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, "first", "first"))
    bank = read_in_process(models / f"activated.{kind}", "net.keras")
    assert (bank.batch_norm, bank.scale) == ("", None)
    assert bank.notes == ("the batch normalisation norm follows the layer's own activation and cannot be folded",)
    bank = read_in_process(models / f"lambda.{kind}", "net.keras")
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
def test_other_first_layers_are_refused_by_name(models: Path, kind: str, name: str, parts: tuple[str, ...]):
    fails(models / f"{name}.{kind}", *parts)


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
def test_without_a_graph_the_first_layer_is_judged(models: Path, name: str, layer: str):
    bank = read_in_process(models / name, "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, name.split(".")[0], layer.rpartition("/")[2]))
    assert (bank.layer, bank.dtype, bank.stride, bank.padding) == (layer, "float32", None, None)
    assert "the first was judged" in bank.notes[0]


def test_without_a_graph_a_layer_by_name(models: Path):
    bank = read_in_process(models / "sub.weights.h5", "net.keras", "blocks/b1")
    np.testing.assert_array_equal(bank.weight, kernel(models, "sub", "b1"))
    fails(models / "sub.weights.h5", "'nothing'", "blocks/b0 5 x 4 x 3 x 3", layer="nothing", error=InputError)


# Keras 2, which cannot be installed beside Keras 3: laid out with h5py as tf.keras 2.4 wrote it.


def keras_2(group: h5py.Group, layers: dict[str, dict[str, np.ndarray]]) -> None:
    """`save_weights_to_hdf5_group` of Keras 2: byte strings in attributes, a group a layer, names ending in ":0"."""
    group.attrs["layer_names"] = [name.encode() for name in layers]
    group.attrs["backend"], group.attrs["keras_version"] = b"tensorflow", b"2.4.0"
    for name, weights in layers.items():
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [weight.encode() for weight in weights] or np.array([])
        for weight, values in weights.items():
            layer.create_dataset(weight, data=values)


def conv(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}/kernel:0": values, f"{name}/bias:0": np.zeros(values.shape[-1], np.float32)}


def norm(name: str, size: int) -> dict[str, np.ndarray]:
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{name}/{part}:0": np.arange(1, size + 1, dtype=np.float32) * (n + 1) for n, part in enumerate(parts)}


KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
OTHER = np.random.default_rng(1).normal(size=(3, 3, 4, 4)).astype(np.float32)


def node(name: str, kind: str, *feeding: Any, **settings: Any) -> dict[str, Any]:
    inbound = [[one if isinstance(one, list) else [one, 0, 0, {}] for one in feeding]] if feeding else []
    return {"class_name": kind, "config": {"name": name, **settings}, "name": name, "inbound_nodes": inbound}


def functional(name: str, *layers: dict[str, Any], inputs: str = "input", feeding: str = "") -> dict[str, Any]:
    config = {"name": name, "layers": list(layers), "input_layers": [[inputs, 0, 0]]}
    config["output_layers"] = [[layers[-1]["name"], 0, 0]]
    return {
        "class_name": "Functional",
        "config": config,
        "name": name,
        "inbound_nodes": [[[feeding, 0, 0, {}]]] if feeding else [],
    }


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


def test_keras_files_of_tensorflow_2_13(models: Path, tmp_path: Path):
    """They named the group of a model's layers otherwise, and the variables not at all."""
    with zipfile.ZipFile(models / "nested.keras") as old, zipfile.ZipFile(tmp_path / "net.keras", "w") as new:
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
    np.testing.assert_array_equal(bank.weight, kernel(models, "nested", "inner"))


# Damaged and hostile files


def edited(models: Path, path: Path, edit: Callable[[h5py.Group, str], Any]) -> Path:
    """A copy of a real file whose kernel's dataset `edit` replaces, given its group and name."""
    path.write_bytes((models / "chain.h5").read_bytes())
    with h5py.File(path, "a") as file:
        group = file["model_weights/stem/chain/stem"]
        assert isinstance(group, h5py.Group)
        del group["kernel"]
        edit(group, "kernel")
    return path


def test_nothing_outside_the_file_is_read(models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kernel"] = KERNEL
    (tmp_path / "raw").write_bytes(KERNEL.tobytes())

    def link(target: Any) -> Callable[[h5py.Group, str], None]:
        return lambda group, name: group.__setitem__(name, target)

    def virtual(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout(KERNEL.shape, KERNEL.dtype)
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", KERNEL.shape)
        group.create_virtual_dataset(name, layout)

    def external(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, KERNEL.shape, KERNEL.dtype, external=[(str(tmp_path / "raw"), 0, KERNEL.nbytes)])

    fails(
        edited(models, path, link(h5py.ExternalLink(str(tmp_path / "other.h5"), "/kernel"))),
        "ExternalLink",
        "not followed",
    )
    fails(edited(models, path, link(h5py.SoftLink("/model_weights/second/chain/second/kernel"))), "SoftLink")
    fails(edited(models, path, virtual), "another file")
    fails(edited(models, path, external), "another file")


def test_datasets_that_are_not_the_weights_they_declare(models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"

    def dataset(shape: tuple[int, ...], dtype: str = "f4", **options: Any) -> Path:
        return edited(models, path, lambda group, name: group.create_dataset(name, shape, dtype, **options))

    fails(dataset((1 << 15, 1 << 15, 3, 64), chunks=(1, 1, 3, 64), compression="gzip"), "16,777,216")
    fails(dataset((3, 3, 3, 4), chunks=(3, 3, 3, 4)), "0 bytes", "cut off")
    fails(dataset((3, 3, 3, 4), data=KERNEL, chunks=(3, 3, 3, 4), scaleoffset=2), "HDF5 filters")
    fails(dataset((3, 3, 3, 4), "i1", data=KERNEL.astype(np.int8)), "int8", "no scale")
    fails(dataset((3, 12), data=np.ones((3, 12))), "(3, 12)")
    fails(dataset((3, 3, 3, 4), "S4"), "|S4")
    fails(dataset((3, 3, 3, 4), h5py.ref_dtype), "object")  # type: ignore[arg-type]
    fails(dataset((3, 3, 3, 4), data=KERNEL * np.nan), "NaN", error=NonFiniteWeights)
    fails(edited(models, path, lambda group, name: group.create_group(name)), "shape None")
    fails(edited(models, path, lambda group, name: None), "shape None")
    packed = dataset((3, 3, 3, 4), data=KERNEL, chunks=(3, 3, 3, 4), compression="gzip", shuffle=True)
    np.testing.assert_array_equal(read_in_process(packed, "").weight, KERNEL.transpose(3, 2, 0, 1))


def test_groups_in_a_circle_and_files_without_weights(models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"
    path.write_bytes((models / "chain.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["layers/round"] = file["/"]
    assert read_in_process(path, "net.keras").layer == "stem"
    with h5py.File(path, "w") as file:
        file["weights"] = KERNEL
    fails(path, "holds weights", "as Keras writes it")
    path.write_bytes(b"")
    fails(path)
    fails(tmp_path / "none.h5", "No such file")


def archive(path: Path, config: bytes | None, weights: bytes | None, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in (("config.json", config), ("model.weights.h5", weights)):
            if data is not None:
                file.writestr(name, data)
    return path


def test_hostile_archives(models: Path, tmp_path: Path):
    with zipfile.ZipFile(models / "chain.keras") as real:
        config, weights = real.read("config.json"), real.read("model.weights.h5")
    path = tmp_path / "net.keras"
    deflated = zipfile.ZIP_DEFLATED
    bank = read_in_process(archive(path, config, weights, deflated), "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(models, "chain", "stem"))
    fails(archive(path, bytes(1 << 27), weights, deflated), "134,217,728 bytes")
    fails(archive(path, b"[" * 1_000_000, weights), "Recursion")
    fails(archive(path, None, weights), "no member 'config.json'")
    fails(archive(path, config, None), "expected model.weights.h5")
    fails(archive(path, config, weights, zipfile.ZIP_BZIP2), "method 12")
    fails(archive(path, config, b"no HDF5"), "damaged")
    for value in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"3",
        b'{"config": 3}',
        b'{"config": {"layers": [{}]}}',
        b'{"config": [1]}',
    ):
        fails(archive(path, value, weights))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../config.json", config)
        file.writestr("../../model.weights.h5", weights)
    fails(path, "expected model.weights.h5")
    assert [one.name for one in tmp_path.iterdir()] == ["net.keras"]


def test_circular_deep_and_dense_graphs_end(models: Path, tmp_path: Path):
    with zipfile.ZipFile(models / "chain.keras") as real:
        weights = real.read("model.weights.h5")

    def refused(model: dict[str, Any], *parts: str) -> None:
        fails(archive(tmp_path / "net.keras", json.dumps(model).encode(), weights), *parts)

    circle = [node("input", "InputLayer"), node("a", "ReLU", "b", "input"), node("b", "ReLU", "a")]
    refused(functional("model", *circle), "no Conv2D is reached")
    refused(
        functional("model", node("input", "InputLayer"), node("c", "Conv2D", "c")), "no Conv2D is reached", "c Conv2D"
    )
    deep = functional("model", node("input", "InputLayer"))
    for _ in range(50):
        deep = functional("model", node("input", "InputLayer"), deep, feeding="input")
    refused(deep, "deep")
    wide = [node(f"n{n}", "ReLU") for n in range(1500)]
    many = functional("many", node("input", "InputLayer"), *wide)
    many["config"]["output_layers"] = many["config"]["input_layers"] = [[one["name"], 0, 0] for one in wide]
    again = many | {"name": "again", "inbound_nodes": [[["many", 0, 0, {}]]]}
    refused(functional("model", node("input", "InputLayer"), many, again), "connections")
    odd = node("c", "Conv2D", "input", strides=["x", None])
    refused(functional("model", node("input", "InputLayer"), odd), "")


KINDS = st.sampled_from(["InputLayer", "ReLU", "Conv2D", "Dense", "Custom", "Lambda", "Add"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(KINDS, st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=10))
def test_the_first_convolution_of_any_graph_has_a_way_from_the_input(layers: list[tuple[str, list[int]]]):
    model = functional(
        "model",
        *(node(f"n{n}", kind, *(f"n{one}" for one in feeding)) for n, (kind, feeding) in enumerate(layers)),
        inputs="n0",
    )
    graph = KerasGraph(model, "net.keras")

    def reachable(index: int, seen: frozenset[int]) -> bool:
        """Whether the input comes here through layers that pass it on, going backwards by definition."""
        if index == 0:
            return True
        feeding = [one for one in layers[index][1] if one < len(layers) and one not in seen]
        passing = [one for one in feeding if layers[one][0] not in ("Conv2D", "Dense", "Custom")]
        return any(reachable(one, seen | {index}) for one in passing)

    try:
        chosen, _ = graph.first()
    except SourceError:
        return
    assert layers[int(chosen.name[1:])][0] == "Conv2D"
    assert reachable(int(chosen.name[1:]), frozenset())


def test_what_hangs_or_bloats_the_hdf5_library_ends_in_one_line(models: Path, tmp_path: Path):
    """A string attribute that declares a length of 2 GB: the library alone takes seconds, and the memory."""
    data = bytearray((models / "chain.weights.h5").read_bytes())
    start = 0
    while (start := data.find(b"name\0\0\0\0\x19", start + 1)) > 0:
        assert int.from_bytes(data[start + 32 : start + 36], "little") < 100
        data[start + 32 : start + 36] = (0x7F7F7F7F).to_bytes(4, "little")
    (tmp_path / "net.h5").write_bytes(data)
    begun = time.perf_counter()
    fails(tmp_path / "net.h5", read=read_keras)
    assert time.perf_counter() - begun < 10


def test_errors_and_notes_come_back_from_the_process_that_reads(models: Path, tmp_path: Path):
    fails(models / "chain.keras", "'nothing'", layer="nothing", error=InputError, read=read_keras)
    fails(models / "chain.keras", "norm", "is no convolution", layer="norm", error=InputError, read=read_keras)
    broken = edited(models, tmp_path / "net.h5", lambda group, name: group.create_dataset(name, data=KERNEL * np.nan))
    fails(broken, "NaN", error=NonFiniteWeights, read=read_keras)
    here, there = (read(models / "branches.keras", "net.keras") for read in (read_in_process, read_keras))
    np.testing.assert_array_equal(here.weight, there.weight)
    assert not there.weight.flags.writeable
    assert [vars(here)[key] for key in vars(here) if key != "weight"] == [
        vars(there)[key] for key in vars(there) if key != "weight"
    ]


def test_damaged_anywhere(models: Path, tmp_path: Path):
    """A few in full; the HDF5 library was shown thousands, of which one in thousand made it hang."""
    chance, path = np.random.default_rng(0), tmp_path / "net.keras"
    for name in ("chain.keras", "nested.h5"):
        data = (models / name).read_bytes()
        for length in (1, 100, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:length])
            fails(path, read=read_keras)
        damaged = bytearray(data)
        for place in chance.integers(0, len(data), 200):
            damaged[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(damaged)
        fails(path, error=FirstlightError, read=read_keras)
