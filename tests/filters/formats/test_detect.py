"""What a file is, told by its first bytes: every format under a wrong name, and everything that is no weights."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import firstlight as fl
from firstlight.errors import FirstlightError, SourceError
from firstlight.training import Run

ROOT = Path(__file__).parents[3]
NET = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
WEIGHT = NET.state_dict()["0.weight"].double().numpy()


def write(kind: str, path: Path) -> None:
    image = torch.zeros(1, 3, 8, 8)
    match kind:
        case "zip":
            torch.save(NET.state_dict(), path)
        case "legacy":
            torch.save({"model": NET.state_dict()}, path, _use_new_zipfile_serialization=False)
        case "script":
            torch.jit.save(torch.jit.script(NET), path)
        case "exported":
            with path.open("wb") as file:
                torch.export.save(torch.export.export(NET, (image,)), file)
        case "safetensors":
            save_file(NET.state_dict(), path)
        case "onnx":
            torch.onnx.export(NET, (image,), path, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE)
        case "npy":
            with path.open("wb") as file:
                np.save(file, WEIGHT)
        case "npz":
            with path.open("wb") as file:
                np.savez(file, **{"0.weight": WEIGHT})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["zip", "legacy", "script", "exported", "safetensors", "onnx", "npy", "npz"])
def test_a_format_is_known_by_its_content_not_its_name(kind: str, tmp_path: Path):
    path = tmp_path / ("weights.onnx" if kind == "onnx" else "weights.bin")  # protobuf has no mark of its own
    write(kind, path)
    bank = fl.load_filters(path)
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert bank.source == str(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_same_weights_give_the_identical_profile_from_every_format(tmp_path: Path):
    energies = []
    for kind in ("zip", "legacy", "script", "exported", "safetensors", "onnx", "npy", "npz"):
        write(kind, tmp_path / f"{kind}.onnx")
        energies.append(fl.inspect(tmp_path / f"{kind}.onnx").profile.energy)
    for energy in energies[1:]:
        np.testing.assert_array_equal(energy, energies[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        (b"\n <!DOCTYPE html><html><title>Sign in</title>", "web page"),
        (b"<?xml version='1.0'?>", "web page"),
        (b"hello", "no format that is known"),
        (bytes(range(1, 200)), "no format that is known"),
        (b"PK\x03\x04 cut off", "damaged or incomplete archive"),
        (b"PK\x05\x06" + bytes(18), "nothing in it"),
    ],
)
def test_what_is_no_weights_is_named(content: bytes, message: str, tmp_path: Path):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"model.pt.*{message}"):
        fl.load_filters(path)


def test_a_json_file_that_is_no_index_is_named(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    with pytest.raises(SourceError, match=r"only an index of .safetensors or .bin shards"):
        fl.load_filters(tmp_path / "config.json")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_a_usual_name_in_it_is_read(name: str, tmp_path: Path):
    write("safetensors" if name.endswith("safetensors") else "zip", tmp_path / name)
    np.testing.assert_array_equal(fl.load_filters(tmp_path).weight, WEIGHT)


def test_a_run_of_our_own_gives_its_last_record_or_its_first():
    folder = next(iter(sorted((ROOT / "results" / "runs").iterdir())))
    run = Run.load(folder)
    np.testing.assert_array_equal(fl.load_filters(folder).weight, run.final)
    np.testing.assert_array_equal(fl.load_filters(folder, "initial").weight, run.initial)
    assert fl.load_filters(folder).layer == "trained"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize("make", [_fifo, _loop, _dangling, Path.mkdir])
def test_what_is_no_plain_file_ends_at_once(make: Any, tmp_path: Path):
    path = tmp_path / "model.pt"
    make(path)
    with pytest.raises(FirstlightError, match=r"model\.pt"):
        fl.load_filters(path)


@pytest.mark.parametrize("name", ["", "x\0y", "x" * 5000, "/no/such/model.pt"])
def test_names_that_cannot_be_files_are_refused(name: str):
    with pytest.raises(FirstlightError):
        fl.load_filters(name)


def test_a_link_to_a_file_is_followed(tmp_path: Path):
    write("npy", tmp_path / "a.npy")
    (tmp_path / "b").symlink_to(tmp_path / "a.npy")
    np.testing.assert_array_equal(fl.load_filters(tmp_path / "b").weight, WEIGHT)


def sharded(folder: Path, legacy: bool) -> Path:
    parts = {"pytorch_model-00001-of-00002.bin": {"1.bias": torch.ones(4)}, "pytorch_model-00002-of-00002.bin": {}}
    parts["pytorch_model-00002-of-00002.bin"] = {"0.weight": NET.state_dict()["0.weight"]}
    for name, part in parts.items():
        torch.save(part, folder / name, _use_new_zipfile_serialization=not legacy)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {key: name for name, part in parts.items() for key in part}}))
    return index


@pytest.mark.parametrize("legacy", [False, True])
def test_shards_of_torch_are_one_network(legacy: bool, tmp_path: Path):
    index = sharded(tmp_path, legacy)
    for source in (index, tmp_path):
        np.testing.assert_array_equal(fl.load_filters(source).weight, WEIGHT)
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(SourceError, match=r"00002-of-00002\.bin: cannot be read \(No such file"):
        fl.load_filters(index)
    os.mkfifo(tmp_path / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(SourceError, match="it is a named pipe"):
        fl.load_filters(index)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_distributed_checkpoint_is_named_with_the_command_that_converts_it(tmp_path: Path):
    from torch.distributed.checkpoint.state_dict_saver import save

    folder = tmp_path / "a folder"
    save({"model": NET.state_dict()}, checkpoint_id=str(folder), no_dist=True)
    (tmp_path / "renamed").write_bytes((folder / ".metadata").read_bytes())
    for source in (folder, folder / "__0_0.distcp", folder / ".metadata", tmp_path / "renamed"):
        with pytest.raises(SourceError, match=r"is part of a checkpoint of torch\.distributed\.checkpoint"):
            fl.load_filters(source)
    (folder / ".metadata").rename(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"torch\.distributed\.checkpoint") as caught:
        fl.load_filters(folder)
    (tmp_path / "gone").rename(folder / ".metadata")
    command = str(caught.value).partition("`")[2].rpartition("`")[0]
    python, *arguments = shlex.split(command)
    assert python == "python"
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(fl.load_filters(tmp_path / "model.pt").weight, WEIGHT)


@pytest.mark.parametrize("kind", ["zip", "legacy", "npz", "npy"])
def test_several_files_one_after_the_other_are_no_file(kind: str, tmp_path: Path):
    write(kind, tmp_path / "one")
    one = (tmp_path / "one").read_bytes()
    (tmp_path / "several").write_bytes(one + one)
    with pytest.raises(
        SourceError, match=r"several \w[^\n]* one after the other[^\n]*; expected one: [^\n]+$"
    ) as caught:
        fl.load_filters(tmp_path / "several")
    assert kind == "npy" or f"`tail -c +{len(one) + 1}`" in str(caught.value)
    np.testing.assert_array_equal(fl.load_filters(tmp_path / "one").weight, WEIGHT)
