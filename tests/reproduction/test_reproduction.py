"""`reproduce`, end to end: what it writes, that it resumes to the same bits, and what it refuses."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.small_data import TINY

import firstlight as fl
from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.schedule import SCHEDULES
from firstlight.images import load_splits
from firstlight.report.claims_data import claims_data
from firstlight.report.claims_pages import claims_markdown
from firstlight.reproduction import data as module, folder, reproduction
from firstlight.theory import AUTHORS_TAU
from firstlight.training import Run
from firstlight.utils.partials import PARTIAL

CHILD = Path(__file__).parents[1] / "reproduce_child.py"


def test_it_writes_what_it_found(found):
    written = json.loads((found.out / "claims.json").read_text())
    assert written == json.loads(json.dumps(claims_data(found)))
    assert {claim["id"] for claim in written["claims"]} >= {"F1", "F2", "F5", "F6", "E1.resnet20"}
    assert (found.out / "claims.md").read_text() == claims_markdown(found)
    fits = pd.read_csv(found.out / "tables" / "formula_fits.csv")
    assert sorted(set(zip(fits.network, fits.seed, strict=True))) == [
        (model, seed) for model in ("resnet20", "vgg11") for seed in (0, 1)
    ]
    assert fits.correlation.between(-1, 1).all()
    for kind in ("svg", "png"):
        names = {path.stem for path in (found.out / "figures").glob(f"*.{kind}")}
        assert names == {f"formula_{name}" for name in found.results[0].figures}
    assert len(names) > 5
    assert not list(found.out.rglob(f"{PARTIAL}*"))


def test_the_claimed_correlation_is_that_of_the_stored_filters(found, data):
    """From the run's files alone, by the public functions: the number in claims.json is what it says it is."""
    (claim,) = [claim for claim in found.claims if claim.id == "F2"]
    train_set = fl.load_images(data)
    basis = fl.PatchMoments(3, 3).update(train_set.images).basis(train_set.mean, train_set.std)
    runs = [Run.load(folder) for folder in (found.out / "runs").iterdir()]
    values = [
        fl.fit_formula(fl.energy_profile(run.final, basis, run.initial), basis, tau_range=AUTHORS_TAU).correlation
        for run in sorted(runs, key=lambda run: run.spec.seed)
        if run.spec.model == "resnet20"
    ]
    assert values == list(claim.values)


def test_again_costs_nothing_and_gives_the_same_bytes(found, data, monkeypatch):
    monkeypatch.setitem(SCHEDULES, "quick", TINY)
    monkeypatch.setattr("firstlight.training.loop._train", lambda *arguments: pytest.fail("trained again"))
    before = contents(found.out)
    fl.reproduce(["formula"], data=data, device="cpu", out=found.out, console=Console(quiet=True))
    assert contents(found.out) == before


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_says_how_to_repeat_it(found):
    text = found.report.read_text()
    page = Page(text)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert text.index(found.claims[0].title) < text.index('id="figure-formula-')
    for claim in found.claims:
        assert claim.measured in page.text
    assert found.about["command"] in page.text
    assert found.about["data_fingerprint"] in page.text
    assert "τ = lr × steps" in page.text


def contents(out: Path) -> dict[str, bytes]:
    """What must not depend on interruptions: everything but wall-clock times, locks and the page that shows them."""
    timed = {"run.json", "reproduction.json", "report.html", ".lock"}
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in timed}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_in_mid_training_it_goes_on_to_the_same_bits(found, data, tmp_path):
    command = [sys.executable, str(CHILD), "reproduce", "formula", "--data", str(data), "--device", "cpu", "--out"]
    runs = tmp_path / "out" / "runs"
    with subprocess.Popen(
        [*command, str(tmp_path / "out")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        # In the third of four trainings: two are finished, one has a checkpoint, one is not begun.
        while child.poll() is None and not (
            len(list(runs.glob("*/run.json"))) == 2 and list(runs.glob("*/checkpoint*"))
        ):
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(Run.load(folder).environment["resumed"] for folder in runs.iterdir()) == [0, 0, 0, 1]
    assert contents(tmp_path / "out") == contents(found.out)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits(found, data, tmp_path):
    pytest.importorskip("distributed")
    threads = Run.load(next((found.out / "runs").iterdir())).environment["threads"]
    command = [sys.executable, str(CHILD), "reproduce", "formula", "--data", data.name, "--device", "cpu"]
    done = subprocess.run(
        [*command, "--engine", "dask", "--workers", "2", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=data.parent,  # from which the workers find the data, wherever they are started
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    assert done.returncode == 0, done.stderr
    assert "training 4 networks on Dask on this machine, workers with 2 threads" in done.stderr
    assert contents(tmp_path / "out") == contents(found.out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiments": ["formla"]}, "experiment is 'formla'; expected one of formula, consistency, frequency, "),
        ({"preset": "fast"}, "preset is 'fast'; expected one of quick, standard, full"),
        ({"data": "cifar11"}, "cifar11"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(arguments, message, tmp_path):
    with pytest.raises(fl.InputError, match=re.escape(message)):
        fl.reproduce(**arguments, out=tmp_path / "out", console=Console(quiet=True))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_one_experiment_may_be_named_by_a_string():
    assert [experiment.name for experiment in reproduction.chosen_experiments("formula")] == ["formula"]
    assert [experiment.name for experiment in reproduction.chosen_experiments(())] == list(EXPERIMENTS)


def test_the_command_can_be_pasted(found, data):
    words = shlex.split(found.about["command"])
    assert words[:3] == ["firstlight", "reproduce", "formula"]
    assert {f"--data={data}", f"--out={found.out}", "--preset=quick", "--device=cpu"} <= set(words)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((255, 3, 32, 32), 3, "has 255 training images of 3 classes; expected at least 256"),
        ((300, 3, 32, 32), 1, "has 300 training images of 1 class;"),
        ((300, 1, 28, 28), 3, "has images of 28 x 28 pixels; expected at least 32 x 32"),
    ],
)
def test_data_on_which_these_networks_cannot_be_trained_are_refused_at_once(shape, classes, message, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(len(images)) % classes
    np.savez(tmp_path / "small.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    with pytest.raises(fl.InputError, match=message):
        fl.reproduce(data=tmp_path / "small.npz", out=tmp_path / "out", console=Console(quiet=True))
    assert not (tmp_path / "out").exists()


def test_data_without_labels_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 3, 32, 32), dtype=np.uint8)
    np.savez(tmp_path / "bare.npz", train_images=images, test_images=images)
    with pytest.raises(fl.InputError, match="has no labels"):
        fl.reproduce(data=tmp_path / "bare.npz", out=tmp_path / "out", console=Console(quiet=True))


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(fl.InputError, match="expected a folder that can be written"):
        fl.reproduce(data="photos", out=tmp_path / "out", console=Console(quiet=True))
    assert (tmp_path / "out").read_text() == "mine"


def test_without_cifar_it_says_so_and_goes_on_with_photographs(monkeypatch, capsys):
    def load(name: str, data_dir: Path | None = None) -> tuple[fl.ImageSet, fl.ImageSet]:
        if name == "cifar10":
            raise fl.SourceError("every source failed")
        return load_splits(name)

    monkeypatch.setattr(module, "load_splits", load)
    ((train_set, test_set),) = module.sets_of(None, None, [], Console(stderr=True))
    assert (train_set.name, train_set.split, test_set.split) == ("photos", "train", "test")
    said = capsys.readouterr().err
    assert "every source failed" in said
    assert "photos" in said
    with pytest.raises(fl.SourceError):
        module.sets_of("cifar10", None, [], Console(stderr=True))


def test_what_a_users_own_set_holds_and_how_it_is_normalised_is_said(data, capsys):
    ((train_set, _),) = module.sets_of(data, None, ["photos"], Console(stderr=True))[:1]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("crops.npz: 646 train and 130 test images of 3 x 32 x 32 in 5 classes")
    assert " ".join(f"{value:.4f}" for value in train_set.mean) in said


def test_a_pair_of_classes_with_too_few_images_is_not_trained(data):
    train_set, test_set = load_splits(data)
    sets = train_set.subset(300), test_set
    few, all_classes = (
        fl.RunSpec.for_data("vgg11", *sets, steps=1, seed=0, test_images=10, only=only) for only in (("0", "1"), None)
    )
    (reason,) = module.too_few([few, all_classes], {"crops.npz": sets}).values()
    assert reason.startswith("120 training images are left of 'crops.npz'; expected at least one batch of 256")
    assert module.too_few([few, all_classes], {"crops.npz": (train_set, test_set)}) == {}


def test_the_main_set_is_not_loaded_again_as_another(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "load_splits", lambda name, data_dir: asked.append(name) or load_splits("photos"))
    assert len(module.sets_of("crops/", None, ["photos"], Console(quiet=True))) == 1
    assert asked == ["crops/"]


def test_a_full_disk_loses_no_runs_and_is_one_line(found, data, monkeypatch):
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(SCHEDULES, "quick", TINY)
    monkeypatch.setattr(folder, "write_text", full)
    with pytest.raises(fl.RunError, match=r"No space left on device.*runs.*are safe") as caught:
        fl.reproduce(["formula"], data=data, device="cpu", out=found.out, console=Console(quiet=True))
    assert "\n" not in str(caught.value)
