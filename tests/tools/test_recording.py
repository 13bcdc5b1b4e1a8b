"""Recording trainings: whole or not at all, each run once, and never another one of the same spec in its place."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from rich.console import Console
from tests.small_data import write_data
from tools import record

import firstlight as fl
from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.context import Sets
from firstlight.experiments.schedule import SCHEDULES, Schedule, Training
from firstlight.training import RunSpec
from firstlight.training.run_files import write_json

QUIET = Console(quiet=True)
NAMES = ("labels", "trajectory")
TINY = Schedule((0, 1), {"resnet20": Training(2, batch_size=32)}, test_images=50)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCHEDULES, "quick", TINY)
        patch.setattr(record, "EXPERIMENTS", {name: EXPERIMENTS[name] for name in NAMES})  # others measure for long
        yield


@pytest.fixture(scope="module")
def made(data, tmp_path_factory) -> Path:
    """What `reproduce` wrote, two runs."""
    out = tmp_path_factory.mktemp("made") / "out"
    fl.reproduce(["trajectory"], data=data, device="cpu", out=out, console=QUIET)
    return out


@pytest.fixture(scope="module")
def kept(made, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "results"
    record.add_to_record(made, folder)
    return folder


def copy(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images(data: Path) -> Sets:
    return fl.load_images(data, "train"), fl.load_images(data, "test")


def refused(folder: Path, said: str, act) -> None:
    """An act fails in one line that says so, and leaves a record as it was and nothing beside it."""
    before = contents(folder) if folder.exists() else None
    with pytest.raises((fl.RunError, fl.InputError), match=said) as caught:
        act()
    assert "\n" not in str(caught.value)
    assert (contents(folder) if folder.exists() else None) == before
    assert not list(folder.parent.glob(".part-*"))


def test_every_run_carries_its_seal(kept):
    found = json.loads((kept / "record.json").read_text())
    assert found["format"] == 2
    assert len(found["runs"]) == 2
    for name, digest in found["runs"].items():
        assert sha256((kept / "runs" / name / "run.json").read_bytes()).hexdigest() == digest


def test_what_no_experiment_uses_any_more_is_dropped_and_the_rest_kept(made, kept, tmp_path):
    results = copy(kept, tmp_path / "results")
    (results / "measurements" / "stale-0.npz").write_bytes(b"old")
    copy(next((results / "runs").iterdir()), results / "runs" / "0123456789abcdef")
    record.add_to_record(made, results)
    assert contents(results) == contents(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_run_that_is_missing_is_missing_from_the_record(made, kept, tmp_path):
    out = copy(made, tmp_path / "out")
    name = sorted(path.name for path in (out / "runs").iterdir() if path.is_dir())[0]
    shutil.rmtree(out / "runs" / name)
    record.add_to_record(out, tmp_path / "results")
    assert name not in json.loads((tmp_path / "results" / "record.json").read_text())["runs"]
    reasons = {claim.reason for claim in record.recorded(results=tmp_path / "results", console=QUIET).claims}
    assert any(reason.startswith("no run: ") and reason.endswith("is not trained yet") for reason in reasons)
    record.add_to_record(made, tmp_path / "results")
    assert contents(tmp_path / "results") == contents(kept)


def test_another_run_of_the_same_spec_is_refused(made, kept, tmp_path):
    out = copy(made, tmp_path / "out")
    name = json.loads((kept / "record.json").read_text())["runs"].popitem()[0]
    seal = json.loads((out / "runs" / name / "run.json").read_text())
    write_json(out / "runs" / name / "run.json", {**seal, "seconds": 7.0})
    results = copy(kept, tmp_path / "results")
    refused(results, f"run {name} of .*out/runs is another than that of", lambda: record.add_to_record(out, results))


def test_another_data_set_of_the_same_name_is_refused(made, kept, tmp_path):
    out, results = copy(made, tmp_path / "out"), copy(kept, tmp_path / "results")
    text = (out / "reproduction.json").read_text()
    (fingerprint,) = {re.findall(r'"fingerprint": "(\w+)"', text)[0]}
    (out / "reproduction.json").write_text(text.replace(fingerprint, "0" * 64))
    refused(results, "data 'crops.npz' of .* is another than that of", lambda: record.add_to_record(out, results))


@pytest.mark.parametrize("name", ["filters.safetensors", "metrics.csv", "spec.json"])
def test_a_run_whose_files_were_changed_is_refused(made, kept, tmp_path, name):
    out, results = copy(made, tmp_path / "out"), copy(kept, tmp_path / "results")
    for path in (out / "runs").glob(f"*/{name}"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    refused(results, re.escape(name), lambda: record.add_to_record(out, results))


def test_a_folder_that_is_no_record_is_left_alone(made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("mine")
    refused(tmp_path / "mine", "is not a record", lambda: record.add_to_record(made, tmp_path / "mine"))
    with pytest.raises(fl.InputError, match="is not a record"):
        record.recorded(results=tmp_path / "mine")


def test_failing_halfway_leaves_the_old_record(made, kept, tmp_path, monkeypatch):
    results = copy(kept, tmp_path / "results")

    def fail(*_: object) -> None:
        raise fl.RunError("the disk is full")

    monkeypatch.setattr(record, "write_text", fail)
    refused(results, "the disk is full", lambda: record.add_to_record(made, results))


def test_a_record_that_was_being_replaced_is_put_back(made, kept, tmp_path):
    copy(kept, tmp_path / ".part-old-results")
    record.add_to_record(made, tmp_path / "results")
    assert contents(tmp_path / "results") == contents(kept)
    assert not list(tmp_path.glob(".part-*"))


def add(runs: Path, folder: Path, data: Path) -> list[str]:
    return record.add_runs(runs, folder, "quick", "crops.npz", "2026-11-27", load=lambda name: images(data))


def test_runs_that_were_trained_elsewhere_are_recorded(made, data, tmp_path):
    """For all experiments, with what they measure on the images; the same claims as where they were trained."""
    runs, results = copy(made / "runs", tmp_path / "runs"), tmp_path / "results"
    assert add(runs, results, data) == []
    found = json.loads((results / "record.json").read_text())
    assert tuple(found["experiments"]) == NAMES
    assert found["experiments"]["labels"] == {
        "preset": "quick",
        "data": "crops.npz",
        "date": "2026-11-27",
        "command": "firstlight reproduce --preset=quick --data=crops.npz",
    }
    assert len(found["runs"]) == 2
    again = record.recorded("trajectory", results=results, console=QUIET)
    assert again.claims == record.recorded("trajectory", results=made, console=QUIET).claims
    before = contents(results)
    assert add(runs, results, data) == []  # what is there is neither another record nor measured again
    assert contents(results) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: (run / "run.json").unlink(), "holds no finished run"),
        (lambda run: (run / "filters.safetensors").unlink(), "filters.safetensors"),
        (lambda run: run.rename(run.with_name("0" * 16)), "has the hash"),
        (lambda run: renamed_model(run), "'vgg99'"),
    ],
)
def test_a_folder_with_a_run_that_is_none_is_refused(made, data, kept, tmp_path, change, said):
    runs, results = copy(made / "runs", tmp_path / "runs"), copy(kept, tmp_path / "results")
    change(next(path for path in sorted(runs.iterdir()) if path.is_dir()))
    refused(results, said, lambda: add(runs, results, data))
    refused(tmp_path / "new", said, lambda: add(runs, tmp_path / "new", data))


def renamed_model(run: Path) -> None:
    """As a later version might have written it: whole in itself, of a model that this one does not know."""
    spec = json.loads((run / "spec.json").read_text())["spec"] | {"model": "vgg99"}
    write_json(run / "spec.json", {"hash": run.name, "spec": spec})
    seal = json.loads((run / "run.json").read_text())
    seal["files"]["spec.json"] = sha256((run / "spec.json").read_bytes()).hexdigest()
    write_json(run / "run.json", seal)


def test_runs_of_another_protocol_are_left_out_by_name(made, data, tmp_path, monkeypatch):
    runs = copy(made / "runs", tmp_path / "runs")
    monkeypatch.setitem(SCHEDULES, "quick", Schedule((0,), TINY.trainings, TINY.test_images))
    left = add(runs, tmp_path / "results", data)
    specs = [RunSpec.from_dict(json.loads((runs / name / "spec.json").read_text())["spec"]) for name in left]
    assert [spec.seed for spec in specs] == [1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "nowhere", "--date", "2026-11-27", "results", "README.md", "docs"], "nowhere holds no runs"),
        (
            ["--runs", "x", "--date", "2026-11-27", "--preset", "huge", "a", "b", "c"],
            "preset is 'huge'; expected one of",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, said):
    with pytest.raises(fl.InputError, match=said):
        record.main(arguments)


@pytest.mark.parametrize(
    "arguments", [["a", "b", "c"], ["--runs", "x", "a", "b", "c"], ["--runs", "x", "--date", "soon", "a", "b", "c"]]
)
def test_arguments_that_do_not_fit_are_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        record.main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m tools.record" in capsys.readouterr().err


def test_results_of_the_first_version_do_not_replace_those_of_the_second(made, kept, tmp_path):
    old = copy(made, tmp_path / "old")
    about = json.loads((old / "reproduction.json").read_text())
    del about["format"]
    write_json(old / "reproduction.json", about)
    results = copy(kept, tmp_path / "results")
    with pytest.raises(fl.InputError, match="is of the first version of the criteria; expected what this"):
        record.add_to_record(old, results)
    assert contents(results) == contents(kept)
