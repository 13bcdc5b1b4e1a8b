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
from typing import Literal

KERAS = """
import sys, keras
net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3),
                        keras.layers.BatchNormalization(), keras.layers.Dense(2)])
for path in sys.argv[1:]:
    net.save(path)
"""


@dataclass(frozen=True)
class Target:
    """What is fuzzed: the seed, the file's suffix, how bytes are put into a file, and what reads that."""

    seed: bytes
    suffix: str
    wrap: Callable[[bytes], bytes] = bytes
    reader: Literal["filters", "images", "atlas", "statistics"] = "filters"


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
        "keras-config": _member(keras.read_bytes(), "config.json", ".keras"),
        "keras-h5": Target(h5.read_bytes(), ".h5"),
        "bin-index": Target(json.dumps({"weight_map": {"conv1.weight": "a.bin"}}).encode(), ".bin.index.json"),
        "torch-records": _member(_saved({**state, "args": _foreign()}), "data.pkl", ".pt"),
        "atlas": Target(_atlas(folder, weight), ".json", reader="atlas"),
        "moments": Target(_moments(folder), ".npz", reader="statistics"),
        **{f"image-{name}": Target(seed, f".{name}", reader="images") for name, seed in _pictures().items()},
    }


def _foreign() -> dict[str, object]:
    """Objects that checkpoints hold beside their tensors, which are read as records."""
    import argparse
    import collections
    import datetime

    return {
        "options": argparse.Namespace(lr=0.1, out=Path("runs")),
        "started": datetime.datetime(2026, 1, 2),
        "counts": collections.Counter("aab"),
        "best": collections.OrderedDict(a=1.5),
    }


def _atlas(folder: Path, weight: object) -> bytes:
    import firstlight as fl
    from firstlight.inspection.atlas import entry_of, write_atlas

    write_atlas(folder / "seed.json", [entry_of(fl.inspect(weight), "net", "resnet", "net.pth")])
    return (folder / "seed.json").read_bytes()


def _moments(folder: Path) -> bytes:
    import numpy as np

    import firstlight as fl

    images = np.arange(4 * 3 * 64, dtype=np.uint8).reshape(4, 3, 8, 8)
    fl.PatchMoments(3, 3).update(images).save(folder / "seed.npz", data="seed")
    return (folder / "seed.npz").read_bytes()


def _pictures() -> dict[str, bytes]:
    """A small image of each kind, with an orientation and a colour profile where it takes them."""
    from PIL import Image, ImageCms

    image = Image.frombytes("RGB", (16, 16), bytes(range(256)) * 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = {}
    for suffix, name in _KINDS.items():
        buffer = io.BytesIO()
        options = {} if suffix in ("jp2", "gif", "ppm") else {"exif": exif, "icc_profile": profile}
        image.save(buffer, name, **options)
        found[suffix] = buffer.getvalue()
    return found


_KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF", "avif": "AVIF", "jp2": "JPEG2000"}
_KINDS |= {"gif": "GIF", "ppm": "PPM"}


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


def _member(archive: bytes, ending: str, suffix: str) -> Target:
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

    return Target(members[name], suffix, wrap)
