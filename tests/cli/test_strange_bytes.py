"""Names and files of any bytes, given to the command line: a result, or one line that was foreseen."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import firstlight as fl
from firstlight.cli import main
from firstlight.cli.output import give_json
from firstlight.errors import InputError


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path / "cache"))
    np.save("w.npy", np.random.default_rng(0).normal(size=(8, 3, 3, 3)))
    return tmp_path


def moments(**provenance: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 9, 9), dtype=np.uint8)
    fl.PatchMoments(3, 3).update(images).save("m.npz", data="x", **provenance)


def says(capsys, *arguments: str) -> str:
    """What a command that fails says, which is one line without surprise."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("firstlight: error: ")
    assert printed.err.count("\n") == 1
    assert "unexpected" not in printed.err
    return printed.err


def test_a_name_that_is_no_utf_8_is_in_json_what_it_is_and_on_the_page_to_be_read(here: Path):
    name = os.fsdecode(b"caf\xe9.npy")
    os.rename("w.npy", name)
    assert main(["inspect", name, "--json", "x.json", "--html", "x.html", "--csv", "x.csv"]) == 0
    assert json.loads(Path("x.json").read_text())[0]["source"] == name
    assert "caf\\udce9.npy" in Path("x.html").read_text()
    assert "caf\\udce9.npy" in Path("x.csv").read_text()
    assert main(["compare", name, name, "--html", "c.html", "--json", "c.json"]) == 0


@pytest.mark.parametrize("name", ["~model.npy", "./~", "~root"])
def test_files_that_are_called_like_home_folders(name: str, here: Path, capsys):
    os.rename("w.npy", name)
    assert main(["inspect", name]) == 0


def test_a_home_of_nobody_does_not_exist(here: Path, capsys):
    assert "~nobody_such/x does not exist" in says(
        capsys, "moments", "~nobody_such/x", "--kernel-size", "3", "--out", "x.npz"
    )
    assert "~nobody_such/x does not exist" in says(capsys, "inspect", "~nobody_such/x")


def test_a_truth_value_is_no_size(here: Path, capsys):
    torch.save({"conv1.weight": torch.randn(8, 1, 3, 3)}, "a.pt")
    with zipfile.ZipFile("a.pt") as whole, zipfile.ZipFile("b.pt", "w") as changed:
        for name in whole.namelist():
            size = pickle.BININT1 + b"\x08" + pickle.BININT1 + b"\x01" + pickle.BININT1 + b"\x03"
            truth = pickle.BININT1 + b"\x08" + pickle.NEWTRUE + pickle.BININT1 + b"\x03"
            changed.writestr(name, whole.read(name).replace(size, truth, 1))
    assert "a tensor whose size makes no sense" in says(capsys, "inspect", "b.pt")


def test_an_array_that_declares_more_than_there_is(here: Path, capsys):
    head = io.BytesIO()
    shape = (2 * 10**9, 32, 32, 3)
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile("large.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + b"\0" * 1000)
    for command in (
        ["moments", "large.npz", "--kernel-size", "3", "--out", "x.npz"],
        ["inspect", "w.npy", "--data", "large.npz"],
        ["reproduce", "label-correlation", "--data", "large.npz", "--out", "r"],
    ):
        assert "large.npz cannot be read" in says(capsys, *command)


def test_deep_json_and_numbers_that_overflow_in_moments(here: Path, capsys):
    moments(mean="[" * 5000, std="[1,1,1]")
    assert main(["inspect", "w.npy", "--data", "m.npz"]) == 0  # as if it said nothing of the pixels
    capsys.readouterr()
    moments(mean="[0.5,0.5,0.5]", std="[1e308,1e308,1e308]")
    assert "std" in says(capsys, "inspect", "w.npy", "--data", "m.npz", "--json", "x.json")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_json_has_no_number_that_is_not_finite(value: float, here: Path):
    with pytest.raises(InputError, match="--json is given, but the results are not finite"):
        give_json(Path("x.json"), {"a": [value]})
    assert not Path("x.json").exists()
