"""What a file is, told by its first bytes: every format under a wrong name, and everything that is no weights."""

import os
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
    with pytest.raises(SourceError, match=r"only an index of .safetensors shards"):
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
