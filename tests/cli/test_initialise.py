"""The command `initialise`: one tensor of the file is new, all else is as it was, bit for bit."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import firstlight as fl
from firstlight.cli import main
from firstlight.whitening.initialise import started

WEIGHT = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["conv1.weight", "conv1"])
def test_one_tensor_is_new_and_all_else_is_as_it_was(dtype: torch.dtype, name: str, folder: Path, capsys):
    others = {"bn1.weight": torch.ones(16), "fc.weight": torch.randn(10, 16).to(torch.bfloat16), "a": torch.arange(5)}
    save_file({name: WEIGHT.to(dtype), **others}, "net.safetensors", metadata={"format": "pt", "who": "me"})
    assert main(shlex.split("initialise net.safetensors --data photos --out new.safetensors")) == 0
    assert capsys.readouterr().out.startswith(
        "new.safetensors: conv1, 16 filters of 3 x 3 x 3, starts with pca filters"
    )
    old, new = (Path(path).read_bytes() for path in ("net.safetensors", "new.safetensors"))
    length = 8 + int.from_bytes(old[:8], "little")
    begin, end = json.loads(old[8:length])[name]["data_offsets"]
    assert old[: length + begin] == new[: length + begin]
    assert old[length + end :] == new[length + end :]
    bank = fl.load_filters("net.safetensors")
    expected = torch.from_numpy(started(bank, fl.patch_statistics("photos").basis(bank))).to(dtype)
    assert torch.equal(load_file("new.safetensors")[name], expected)


def test_the_options_are_those_of_the_function(folder: Path):
    save_file({"conv1.weight": WEIGHT.double()}, "net.safetensors")
    options = "--kind eq3 --tau 3 --seed 5 --no-pairs --mean 0.5 --std 0.25"
    assert main(shlex.split(f"initialise net.safetensors --data photos {options} --out new.safetensors")) == 0
    bank = fl.load_filters("net.safetensors")
    basis = fl.patch_statistics("photos").basis(bank, 0.5, 0.25)
    expected = started(bank, basis, kind="eq3", tau=3.0, seed=5, pairs=False)
    np.testing.assert_array_equal(fl.load_filters("new.safetensors").weight, expected)


@pytest.mark.parametrize(
    ("tensors", "options", "told"),
    [
        ({"conv1.weight": WEIGHT}, "--out new.pt", "expected two .safetensors files"),
        ({"conv1.weight": WEIGHT}, "--out new.safetensors --tau 3", "--tau was given with --kind pca"),
        ({"conv1.weight": WEIGHT}, "--out new.safetensors --kind eq3 --eps 1", "--eps was given with --kind eq3"),
        ({"conv1.weight": WEIGHT}, "--out net.safetensors", "which this command reads"),
        ({"conv1.weight": WEIGHT}, "--out new.safetensors --layer fc", "layer is 'fc'"),
        ({"conv1.weight": torch.zeros(4, 3, 3, 3)}, "--out new.safetensors", "weights that are not all zero"),
        ({"conv1.weight": torch.zeros(4, 7, 3, 3)}, "--out new.safetensors", "7"),
        ({"fc.weight": torch.zeros(4, 7)}, "--out new.safetensors", "looks like the first layer"),
        ({"conv1.weight": WEIGHT.to(torch.int8)}, "--out new.safetensors", "stores no floating-point weight of conv1"),
    ],
)
def test_what_cannot_be_started_is_refused_and_nothing_written(
    tensors: dict[str, torch.Tensor], options: str, told: str, folder: Path, capsys
):
    save_file(tensors, "net.safetensors")
    before = Path("net.safetensors").read_bytes()
    assert main(shlex.split(f"initialise net.safetensors --data photos {options}")) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["net.safetensors"]
    assert Path("net.safetensors").read_bytes() == before


def test_an_earlier_output_is_replaced_and_a_trained_network_is_not(folder: Path, capsys):
    save_file({"conv1.weight": WEIGHT, "fc.weight": torch.ones(2, 16)}, "net.safetensors")
    for options in ("", "--kind zca", "--kind pca"):
        assert main(shlex.split(f"initialise net.safetensors --data photos --out new.safetensors {options}")) == 0
    trained = {"conv1.weight": WEIGHT * 2, "fc.weight": torch.zeros(2, 16)}
    save_file(trained, "new.safetensors")
    assert main(shlex.split("initialise net.safetensors --data photos --out new.safetensors")) == 2
    assert "is no earlier output of this command" in capsys.readouterr().err
    assert torch.equal(load_file("new.safetensors")["fc.weight"], torch.zeros(2, 16))
