"""Every kind of file that firstlight 0.1.0 wrote is read today, with the same content."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import features

import firstlight as fl
from firstlight.cli import main
from firstlight.experiments.schedule import FIRST_VERSION, SCHEDULES, Schedule, Training
from firstlight.images.cifar import CIFAR

from .fixtures.version_0_1_0.content import (
    CHECKPOINT_STEP,
    MTIME_NS,
    SHARDS_DONE,
    STATES,
    moments_command,
    patterns,
    read_lags,
    read_moments,
    read_run,
    read_states,
    shrink_vgg5,
    specs,
    training_sets,
)

WRITTEN = Path(__file__).parent / "fixtures" / "version_0_1_0"
EXPECTED: dict[str, Any] = json.loads((WRITTEN / "expected.json").read_text())
# Of what `firstlight moments` notes in its file, that which tells who wrote it.
# Provenance of who wrote a file, and what only later versions tell.
WRITERS = {"files", "firstlight", "written", "numpy", "pillow", "python"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all, as the working folder of the machine that wrote it: its time stamps, its decoders of images."""
    for name in ("cache", "data", "finished", "out", "states"):
        shutil.copytree(WRITTEN / name, tmp_path / name)
    for path in (tmp_path / "data").rglob("*.*"):
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("PIL.__version__", EXPECTED["pillow"])
    monkeypatch.setattr(features, "version", EXPECTED["decoders"].get)
    return tmp_path


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", EXPECTED["moments"])
def test_moments_hold_the_same_sums(name: str):
    assert read_moments(WRITTEN / name) == EXPECTED["moments"][name]


@pytest.mark.parametrize("name", EXPECTED["lags"])
def test_lags_hold_the_same_sums(name: str):
    assert read_lags(WRITTEN / name) == EXPECTED["lags"][name]


@pytest.mark.parametrize("name", STATES)
def test_an_interrupted_sum_goes_on_to_the_same_file(name: str, place: Path, capsys: pytest.CaptureFixture[str]):
    out = place / "states" / f"{name}.npz"
    state = out.with_name(f"{name}.npz.part")
    expected = contents(out)
    out.unlink()

    assert main(moments_command(name)) == 0

    assert f"{SHARDS_DONE} of " in capsys.readouterr().err
    assert contents(out) == expected
    assert not state.exists()


def test_a_state_goes_on_to_standard_errors_of_the_same_blocks(place: Path):
    command = [*moments_command("blocks"), "--json", "errors.json"]
    assert main(command) == 0
    resumed = json.loads((place / "errors.json").read_text())["errors"]

    assert main(command) == 0  # from the beginning: the state is gone

    assert json.loads((place / "errors.json").read_text())["errors"] == resumed


def test_inspect_finds_its_statistics_in_the_cache(place: Path):
    before = {path: path.read_bytes() for path in sorted(Path("cache").rglob("*.*"))}
    inspect = ["inspect", "data/filters.npy", "--data-dir", "cache", "--data"]
    assert main([*inspect, "data/images.npz", "--json", "inspection.json"]) == 0
    assert main([*inspect, "data/folder"]) == 0
    fl.inspect(fl.FilterBank(np.load("data/filters.npy"), dilation=(2, 2)), data="data/images.npz", data_dir="cache")

    assert {path: path.read_bytes() for path in sorted(Path("cache").rglob("*.*"))} == before
    agree_with_inspection(Path("inspection.json"))


def test_inspect_takes_what_moments_wrote(place: Path):
    assert main(["inspect", "data/filters.npy", "--data", "states/array.npz", "--json", "inspection.json"]) == 0
    agree_with_inspection(Path("inspection.json"))


def test_cifar_is_read_from_the_cache(place: Path, monkeypatch: pytest.MonkeyPatch):
    small = replace(CIFAR["cifar10"], counts={"train": 1, "test": 1}, classes=("a",), digests={})
    monkeypatch.setitem(CIFAR, "cifar10", small)
    for split, expected in zip(("train", "test"), patterns(2, 3, 32), strict=True):
        found = fl.load_images("cifar10", split, data_dir="cache")
        assert np.array_equal(found.images, expected[None])
        assert found.labels is not None
        assert found.labels.tolist() == [0]


@pytest.mark.parametrize("name", EXPECTED["runs"])
def test_finished_runs_hold_the_same_numbers(name: str):
    assert read_run(WRITTEN / name) == EXPECTED["runs"][name]


@pytest.mark.parametrize("path", sorted(WRITTEN.rglob("spec.json")), ids=lambda path: path.parent.name)
def test_specs_have_the_same_hash(path: Path):
    noted = json.loads(path.read_text())
    spec = fl.RunSpec.from_dict(noted["spec"])
    assert spec.hash == noted["hash"] == path.parent.name
    assert json.loads(json.dumps(spec.to_dict())) == noted["spec"]


def test_runs_are_listed_in_the_same_states(place: Path):
    assert read_states(Path("out"), place / "runs.json") == EXPECTED["states"]


def test_a_finished_run_is_not_trained_again(place: Path):
    spec = specs()["later"]
    before = {path.name: path.read_bytes() for path in (place / "out" / "runs" / spec.hash).iterdir()}
    run = fl.train(spec, *training_sets(), "out/runs", device="cpu")
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_failed_run_is_not_tried_again(place: Path):
    spec = specs()["failed"]
    with pytest.raises(fl.RunError, match=f"after step 1 of 9 .*{EXPECTED['last_finite_loss']}"):
        fl.train(spec, *training_sets(), "out/runs", device="cpu", on_progress=lambda progress: pytest.fail("trained"))


def test_an_unfinished_run_goes_on_from_its_checkpoint(place: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch):
    # A checkpoint of another machine would be begun anew.
    monkeypatch.setattr(torch, "__version__", type(torch.__version__)(EXPECTED["torch"]))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: EXPECTED["cpu"])
    shrink_vgg5(monkeypatch)
    spec, sets = specs()["unfinished"], training_sets()
    finished = fl.Run.load(place / "finished" / spec.hash)

    resumed = fl.train(spec, *sets, "out/runs", device="cpu")

    assert resumed.environment["resumed"] == 1
    kept = finished.steps <= CHECKPOINT_STEP
    assert np.array_equal(resumed.filters[kept], finished.filters[kept])
    assert resumed.metrics[kept].equals(finished.metrics[kept])
    np.testing.assert_allclose(resumed.filters, finished.filters, rtol=0, atol=1e-5)
    np.testing.assert_allclose(resumed.metrics["train_loss"], finished.metrics["train_loss"], rtol=1e-4)
    # Where this machine rounds as the one that wrote the checkpoint did, to the same bits.
    fresh = fl.train(spec, *sets, "anew", device="cpu")
    if np.array_equal(fresh.filters, finished.filters):
        assert np.array_equal(resumed.filters, finished.filters)
        assert resumed.metrics.equals(finished.metrics)


@pytest.fixture(params=["reproduction", "record"])
def results(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, as `reproduce` wrote it, or as a record; of a schedule of one step."""
    trainings = {name: Training(1) for name in ("vgg11", "resnet20")}
    monkeypatch.setitem(SCHEDULES, f"quick{FIRST_VERSION}", Schedule((0,), trainings, 16))
    folder = tmp_path / request.param
    shutil.copytree(WRITTEN / "reproduction", folder)
    if request.param == "record":
        (folder / "reproduction.json").unlink()
        shutil.copy(WRITTEN / "record.json", folder)
    return folder


def test_results_are_judged_by_the_criteria_of_today_and_shown_as_what_they_are(results: Path):
    found = fl.recorded(results=results)
    written = json.loads((WRITTEN / "reproduction" / "claims.json").read_text())["claims"]
    before = {was["name"]: was["values"] for was in written}
    claims = {claim.id: claim for claim in found.claims}

    assert found.about["first_version"]
    assert claims["F6"].values == pytest.approx(before["formula/vgg11/no-exact-match"], rel=1e-6)
    assert claims["T1"].values == pytest.approx(before["label-correlation/energy/about-zero"], rel=1e-6)
    # One step has taught nothing, whatever the criteria of that time said of it.
    assert {claim.verdict for claim in found.claims if claim.reached} == {"not tested"}
    assert claims["F1"].reason.startswith("untrained: VGG11 is at ")
    assert claims["F3"].reason.startswith("no run: the preset quick (first version) does not train")
    about = json.loads((WRITTEN / "reproduction" / "reproduction.json").read_text())
    assert {name: found.about[name] for name in ("data", "date", "data_fingerprint", "seeds", "runs")} == {
        name: about[name] for name in ("data", "date", "data_fingerprint", "seeds", "runs")
    }
    assert found.about["preset"] == f"{about['preset']}{FIRST_VERSION}"


@pytest.mark.parametrize("results", ["reproduction"], indirect=True)
def test_results_are_drawn_and_shown(results: Path):
    assert main(["figures", str(results), "label-correlation", "--format", "svg"]) == 0
    drawn = sorted(path.name for path in (results / "figures-paper").iterdir())
    assert drawn
    assert all(name.startswith("label-correlation") for name in drawn)
    assert "patterns.npz" in fl.Report(fl.recorded("label-correlation", results=results)).html


def contents(path: Path) -> dict[str, Any]:
    """A file of moments, with lags or without, but for who wrote it and when."""
    found = fl.PatchMoments.load(path)
    known = {name: text for name, text in found.provenance.items() if name not in WRITERS}
    without = {name: value for name, value in read_moments(path).items() if name != "provenance"}
    lags = read_lags(path) if path.stem == "lags" else {}
    lags.pop("provenance", None)
    return {**without, "provenance": known, "lags": lags}


def agree_with_inspection(path: Path) -> None:
    """All measures are those of then; random banks have the norms of the filters now, and findings other words."""
    (now,), (then,) = (json.loads(one.read_text()) for one in (path, WRITTEN / "inspection.json"))
    for name in ("random_banks", "findings", "filters"):
        del then[name]
    agree(now, then)


def agree(now: Any, then: Any) -> None:
    """All that was said then is said now, numbers to rounding."""
    if isinstance(then, dict):
        for name, value in then.items():
            agree(now[name], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            agree(one, other)
    elif isinstance(then, float):
        assert math.isclose(now, then, rel_tol=1e-6, abs_tol=1e-9)
    else:
        assert now == then
