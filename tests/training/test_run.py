"""A run on disk: everything that can be wrong with it is found and named when it is read."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from firstlight.errors import RunError
from firstlight.training import Run, RunSpec, record_steps
from firstlight.training.run import COLUMNS, write_run
from firstlight.training.run_files import read_tensors, write_tensors

SPEC = RunSpec("vgg11", "cifar10", "ab12", "cd34", 10, 3, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), steps=20, seed=0)
STEPS = record_steps(SPEC.steps)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / SPEC.hash
    folder.mkdir()
    weight = np.random.default_rng(0).normal(size=(len(STEPS), 4, 3, 3, 3)).astype(np.float32)
    rows = [{**dict.fromkeys(COLUMNS), "step": step, "epoch": step / 7, "train_loss": 1 / 3} for step in STEPS]
    write_run(folder, SPEC, weight, rows, {"threads": 2})
    return folder


def reseal(folder: Path) -> None:
    """Make the digests in run.json those of the files, as if the files had been written so."""
    seal = json.loads((folder / "run.json").read_text())
    seal["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in seal["files"]}
    (folder / "run.json").write_text(json.dumps(seal))


def test_a_run_is_read_as_it_was_written(folder):
    run = Run.load(folder)
    assert run.spec == SPEC
    assert run.path == folder
    assert run.environment == {"threads": 2}
    assert run.steps.tolist() == STEPS
    assert run.filters.dtype == np.float64
    np.testing.assert_array_equal(run.filters, read_tensors(folder / "filters.safetensors")[0]["weight"])
    np.testing.assert_array_equal(run.initial, run.filters[0])
    np.testing.assert_array_equal(run.final, run.filters[-1])
    assert run.metrics["epoch"].tolist() == [step / 7 for step in STEPS]  # to the last bit
    assert run.metrics["test_loss"].isna().tolist() == [True] * len(STEPS)
    assert repr(run) == f"Run(vgg11 on cifar10, seed 0, 20 steps, {folder})"


def test_equal_runs_have_equal_bytes(folder, tmp_path):
    tensors, _ = read_tensors(folder / "filters.safetensors")
    other = tmp_path / "again"
    other.mkdir()
    rows = [{**dict.fromkeys(COLUMNS), "step": step, "epoch": step / 7, "train_loss": 1 / 3} for step in STEPS]
    write_run(other, SPEC, tensors["weight"], rows, {"threads": 2})
    for path in folder.iterdir():
        assert (other / path.name).read_bytes() == path.read_bytes()


def test_an_unfinished_run_is_refused(folder):
    (folder / "run.json").unlink()
    with pytest.raises(RunError, match=r"holds no finished run; expected run.json"):
        Run.load(folder)


@pytest.mark.parametrize("name", ["spec.json", "filters.safetensors", "metrics.csv"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RunError, match=rf"{name} cannot be read .*: train again, or delete"):
        Run.load(folder)


@pytest.mark.parametrize("name", ["spec.json", "filters.safetensors", "metrics.csv"])
def test_one_changed_bit_is_found(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name} is damaged"):
        Run.load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": {"spec.json": "0"}}'])
def test_a_damaged_seal_is_named(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        Run.load(folder)


def test_a_folder_of_another_name_is_refused(folder):
    other = shutil.copytree(folder, folder.with_name("best-run"))
    with pytest.raises(RunError, match=f"has the hash {SPEC.hash}; expected the folder's name"):
        Run.load(other)


def test_a_spec_that_is_not_its_hash_is_refused(folder):
    spec = json.loads((folder / "spec.json").read_text())
    spec["spec"]["seed"] = 1
    (folder / "spec.json").write_text(json.dumps(spec))
    reseal(folder)
    with pytest.raises(RunError, match=rf"spec\.json says hash '{SPEC.hash}'; expected"):
        Run.load(folder)


def test_a_spec_of_another_format_is_refused(folder):
    spec = json.loads((folder / "spec.json").read_text())
    spec["spec"]["format"] = 9
    (folder / "spec.json").write_text(json.dumps(spec))
    reseal(folder)
    with pytest.raises(RunError, match=r"spec\.json: spec format 9 is not known"):
        Run.load(folder)


STEPS_ARRAY = np.array(STEPS)
WEIGHT = np.zeros((len(STEPS), 4, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": WEIGHT}, "holds weight; expected steps and weight"),
        ({"steps": STEPS_ARRAY + 1, "weight": WEIGHT}, "other steps than a run of 20 records"),
        ({"steps": STEPS_ARRAY, "weight": WEIGHT[1:]}, "has weights of shape"),
        ({"steps": STEPS_ARRAY, "weight": WEIGHT[:, :, :2]}, "has weights of shape"),
        ({"steps": STEPS_ARRAY, "weight": WEIGHT[0]}, "has weights of shape"),
        ({"steps": STEPS_ARRAY, "weight": np.full_like(WEIGHT, np.inf)}, "weights that are not finite"),
    ],
)
def test_filters_that_do_not_belong_to_the_spec_are_refused(folder, tensors, message):
    write_tensors(folder / "filters.safetensors", tensors, {})
    reseal(folder)
    with pytest.raises(RunError, match=rf"filters\.safetensors .*{message}"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "has the columns"),
        (lambda text: text.replace("epoch", "age"), "has the columns step, age"),
        (lambda text: text + "21,,,,,\n", "has other steps"),
        (lambda text: text + "x,,,,,\n", "cannot be read"),
        (lambda text: text + "1\n", "has rows that are cut short"),
        (lambda text: text.replace(text.splitlines()[2], "1,0.1,2.3,7,,"), "has the train_accuracy 7.0; expected"),
        (lambda text: text.replace(text.splitlines()[2], "1,0.1,inf,0.1,,"), "has the train_loss inf; expected"),
    ],
)
def test_metrics_that_do_not_belong_to_the_spec_are_refused(folder, change, message):
    path = folder / "metrics.csv"
    path.write_text(change(path.read_text()))
    reseal(folder)
    with pytest.raises(RunError, match=rf"metrics\.csv .*({message})"):
        Run.load(folder)


def test_metrics_that_are_no_text_are_refused(folder):
    (folder / "metrics.csv").write_bytes(b"\xff\xfe\x00")
    reseal(folder)
    with pytest.raises(RunError, match=r"metrics\.csv cannot be read .*expected text"):
        Run.load(folder)
