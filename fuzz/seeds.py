"""Small real files to begin from, and how mutated bytes become a file: whole, or as one member of a valid archive."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KERAS = """
import sys, keras
net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3),
                        keras.layers.BatchNormalization(), keras.layers.Dense(2)])
for path in sys.argv[1:]:
    net.save(path)
"""


@dataclass(frozen=True)
class Target:
    """What is fuzzed: the seed, the file's suffix, and how bytes are put into a file."""

    seed: bytes
    suffix: str
    wrap: Callable[[bytes], bytes] = bytes
    slow: bool = False  # reading starts a process of its own


def targets(folder: Path) -> dict[str, Target]:
    """All targets by name; `folder` holds the files that are made for them."""
    import numpy as np
    import torch
    from safetensors.torch import save

    conv = torch.nn.Conv2d(3, 4, 3)
    net = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(4), torch.nn.ReLU()).eval()
    weight = conv.weight.detach().numpy()
    state = {"state_dict": {f"module.{name}": tensor for name, tensor in net.state_dict().items()}, "epoch": 3}
    zipped, legacy = _saved(state), _saved(state, _use_new_zipfile_serialization=False)
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(net), script)
    exported = io.BytesIO()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), exported)
    index = {"weight_map": {"conv1.weight": "a.safetensors", "fc.weight": "b.safetensors"}}
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, weight)
    np.savez(npz, **{"conv1.weight": weight, "bias": np.ones(4)})
    keras, h5 = folder / "seed.keras", folder / "seed.h5"
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", KERAS, keras, h5], check=True, env=environment)
    return {
        "torch-zip": Target(zipped, ".pt"),
        "torch-pickle": _member(zipped, "data.pkl", ".pt"),
        "torch-legacy": Target(legacy, ".pt"),
        "torchscript-pickle": _member(script.getvalue(), "data.pkl", ".pt"),
        "exported-graph": _member(exported.getvalue(), "models/model.json", ".pt2"),
        "exported-weights": _member(exported.getvalue(), "weights_config.json", ".pt2"),
        "safetensors": Target(save(net.state_dict()), ".safetensors"),
        "safetensors-index": Target(json.dumps(index).encode(), ".safetensors.index.json"),
        "onnx": Target(_onnx(net), ".onnx"),
        "npy": Target(npy.getvalue(), ".npy"),
        "npz": Target(npz.getvalue(), ".npz"),
        "keras-config": _member(keras.read_bytes(), "config.json", ".keras", slow=True),
        "keras-h5": Target(h5.read_bytes(), ".h5", slow=True),
    }


def _saved(value: object, **options: bool) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _onnx(net: object) -> bytes:
    import onnx
    import torch
    from onnx import TensorProto, helper, numpy_helper

    assert isinstance(net, torch.nn.Sequential)
    weights = [
        numpy_helper.from_array(tensor.numpy(), name) for name, tensor in net.state_dict().items() if tensor.ndim
    ]
    nodes = [
        helper.make_node("Sub", ["image", "0.bias"], ["shifted"]),
        helper.make_node("Conv", ["image", "0.weight", "0.bias"], ["conv"], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["conv", *(f"1.{n}" for n in _NORM)], ["out"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    return onnx.ModelProto.SerializeToString(
        helper.make_model(helper.make_graph(nodes, "net", [image], [out], weights))
    )


_NORM = ("weight", "bias", "running_mean", "running_var")


def _member(archive: bytes, ending: str, suffix: str, slow: bool = False) -> Target:
    """Fuzz one member of an archive, whose checksum is always right: mutations would else stop there."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    (name,) = (name for name in members if name.endswith(ending))

    def wrap(data: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for member, content in members.items():
                file.writestr(member, data if member == name else content)
        return buffer.getvalue()

    return Target(members[name], suffix, wrap, slow)
