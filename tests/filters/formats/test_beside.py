"""Models in several files, in folders and in the cache of the Hugging Face hub, whose files are links into a store."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch
from onnx import TensorProto, helper, numpy_helper

from firstlight.errors import SourceError
from firstlight.filters.load import load_filters

WEIGHT = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)


def onnx_model(folder: Path) -> Path:
    image, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "out"))
    image.type.tensor_type.shape.CopyFrom(helper.make_tensor_type_proto(1, (1, 3, 16, 16)).tensor_type.shape)
    conv = helper.make_node("Conv", ["image", "conv.weight"], ["out"])
    graph = helper.make_graph([conv], "g", [image], [out], [numpy_helper.from_array(WEIGHT, "conv.weight")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    onnx.save(made, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    return folder / "model.onnx"


def shards(folder: Path, suffix: str) -> Path:
    tensors = {"conv.weight": WEIGHT, "fc.weight": np.ones((4, 6), np.float32)}
    names = {}
    for number, (name, array) in enumerate(tensors.items()):
        names[name] = f"model-{number}{suffix}"
        if suffix == ".bin":
            torch.save({name: torch.from_numpy(array)}, folder / names[name])
        else:
            safetensors.numpy.save_file({name: array}, folder / names[name])
    index = folder / ("pytorch_model.bin.index.json" if suffix == ".bin" else "model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": names}))
    return index


WRITTEN = {
    "onnx": onnx_model,
    "safetensors": lambda folder: shards(folder, ".safetensors"),
    "bin": lambda folder: shards(folder, ".bin"),
}


def stored(place: Path, kind: str, below: str) -> Path:
    """The model as the hub's own client keeps it: its files by their hashes, and links to them."""
    blobs, snapshot = place / "models--a--b" / "blobs", place / "models--a--b" / "snapshots" / "0123" / below
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    whole = place / "whole"
    whole.mkdir()
    path = WRITTEN[kind](whole)
    for number, file in enumerate(sorted(whole.iterdir())):
        file.rename(blobs / f"{number:064x}")
        up = Path(*[".."] * len(snapshot.relative_to(blobs.parent).parts))
        (snapshot / file.name).symlink_to(up / "blobs" / f"{number:064x}")
    return snapshot / path.name


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("below", ["", "onnx/int8"])
def test_a_model_in_the_cache_of_the_hub(kind: str, below: str, tmp_path: Path):
    path = stored(tmp_path, kind, below)
    np.testing.assert_array_equal(load_filters(path).weight, WEIGHT)
    np.testing.assert_array_equal(load_filters(path.parent).weight, WEIGHT)


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_link_to_a_model_elsewhere(kind: str, tmp_path: Path):
    for name in ("models", "mine"):
        (tmp_path / name).mkdir()
    path = WRITTEN[kind](tmp_path / "models")
    link = tmp_path / "mine" / path.name
    link.symlink_to(path)
    np.testing.assert_array_equal(load_filters(link).weight, WEIGHT)
    # A folder of links, of which the store has no name.
    (tmp_path / "mine" / "links").mkdir()
    for file in path.parent.iterdir():
        (tmp_path / "mine" / "links" / file.name).symlink_to(file)
    np.testing.assert_array_equal(load_filters(tmp_path / "mine" / "links" / path.name).weight, WEIGHT)


@pytest.mark.parametrize("kind", WRITTEN)
def test_other_links_lead_out(kind: str, tmp_path: Path):
    for name in ("models", "mine"):
        (tmp_path / name).mkdir()
    path = WRITTEN[kind](tmp_path / "models")
    own = tmp_path / "mine" / path.name
    path.rename(own)
    for file in path.parent.iterdir():
        (own.parent / file.name).symlink_to(file)
    with pytest.raises(SourceError, match=r"outside the model's folder|leads out of the index's folder"):
        load_filters(own)
