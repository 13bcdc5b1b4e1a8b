"""Models written by Keras itself, and by hand as Keras 2 did, and what tests do to the files."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from firstlight.errors import FirstlightError, SourceError
from firstlight.filters.formats.keras.model import read_in_process

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


def archive(path: Path, config: bytes | None, weights: bytes | None, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in (("config.json", config), ("model.weights.h5", weights)):
            if data is not None:
                file.writestr(name, data)
    return path
