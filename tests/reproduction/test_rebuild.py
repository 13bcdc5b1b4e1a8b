"""Folders that `reproduce` wrote: analysed again without images, refused in one line where something is missing."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import firstlight as fl
from firstlight.reproduction.folder import FORMAT
from firstlight.reproduction.rebuild import read_record, rebuild
from firstlight.reproduction.record import recorded

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> fl.Reproduction:
    """A folder as `reproduce` writes it (test_record.py has one that it wrote), from the recorded results."""
    folder = tmp_path_factory.mktemp("made") / "out"
    found = recorded("trajectory", console=QUIET)
    kept = json.loads((found.out / "record.json").read_text())
    about = {
        "format": FORMAT,
        **found.about["recorded"]["trajectory"],
        "experiments": ["trajectory"],
        "sets": kept["sets"],
        "failures": {},
        "runs": found.about["runs"],
    }
    for run in found.results[0].runs:
        shutil.copytree(run.path, folder / "runs" / run.spec.hash)
    shutil.copytree(found.out / "measurements", folder / "measurements")
    (folder / "reproduction.json").write_text(json.dumps(about))
    return fl.Reproduction(folder, found.results, about)


@pytest.fixture
def copied(made, tmp_path) -> Path:
    return Path(shutil.copytree(made.out, tmp_path / "copy"))


def again(folder: Path, names: list[str] | str = ()) -> fl.Reproduction:  # type: ignore[assignment]
    return rebuild(folder, names, command="test", console=QUIET)


def test_a_reproduction_is_rebuilt_from_its_folder_alone(made, copied):
    found = again(copied)
    assert found.claims == made.claims
    for before, after in zip(made.results, found.results, strict=True):
        assert {name: entry.svg for name, entry in before.figures.items()} == {
            name: entry.svg for name, entry in after.figures.items()
        }
    named = again(copied, "trajectory")
    assert [result.experiment for result in named.results] == ["trajectory"]
    assert recorded("trajectory", results=copied).claims == named.claims
    with pytest.raises(fl.InputError, match="experiment 'linear' is not recorded; expected one of trajectory"):
        again(copied, "linear")


@pytest.mark.parametrize(
    "lost", ["runs/*", "runs/*/filters.safetensors", "runs/*/run.json", "measurements/patch-moments-c19c*"]
)
def test_what_is_lost_is_said_in_one_line(copied, lost):
    path = sorted(copied.glob(lost))[0]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises((fl.RunError, fl.InputError)) as caught:
        again(copied)
    assert "\n" not in str(caught.value)
    assert path.name.split("-")[0] in str(caught.value)


def test_folders_without_results_say_what_was_expected(made, tmp_path):
    with pytest.raises(fl.InputError, match=r"is not a record; expected a folder with record.json, or .* reproduce"):
        again(tmp_path)
    (tmp_path / "reproduction.json").write_text(json.dumps({**made.about, "recorded": {}}))
    with pytest.raises(fl.InputError, match="holds no runs"):
        again(tmp_path)


def damaged(about: dict) -> list:
    """What the file may hold that is no such file: of other types, with parts missing, of other versions."""
    values: list = [None, 3, "text", [], {}, {"experiments": ["formula"]}, {**about, "sets": 3}]
    needed = ("preset", "sets", "failures", "runs")
    values += [{key: value for key, value in about.items() if key != lost} for lost in needed]
    for key, value in (("preset", "huge"), ("data", "elsewhere"), ("date", 7), ("failures", 3), ("experiments", 5)):
        values.append({**about, key: value})
    values.append({**about, "sets": {"crops": [{}, {}]}})
    values.append({**about, "experiments": ["unheard-of"]})
    return values


@pytest.mark.parametrize("index", range(16))
def test_whatever_the_file_holds_is_refused_in_one_line(made, tmp_path, index):
    (tmp_path / "reproduction.json").write_text(json.dumps(damaged(made.about)[index]))
    with pytest.raises((fl.RunError, fl.InputError)) as caught:
        again(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    for name in ("reproduction.json", "record.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(fl.RunError, match=name):
            read_record(tmp_path)
        (tmp_path / name).unlink()


@pytest.mark.parametrize(("key", "value"), [("device", None), ("seconds", "long"), ("threads", [1])])
def test_a_run_that_does_not_tell_of_its_machine_is_refused_in_one_line(made, tmp_path, key, value):
    out = tmp_path / "out"
    shutil.copytree(made.out, out)
    path = next((out / "runs").iterdir()) / "run.json"
    environment = json.loads(path.read_text())
    environment[key] = value
    path.write_text(json.dumps({name: told for name, told in environment.items() if told is not None}))
    with pytest.raises(fl.RunError, match=f"run.json has the {key} .*expected what was noted in training: train again"):
        again(out)
