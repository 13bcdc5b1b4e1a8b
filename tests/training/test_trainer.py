"""The fields of a spec that change the network: what they change, and what they leave alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.sets import TEST, TRAIN, make_set, make_spec

from firstlight.training import Run, RunSpec, train
from firstlight.training.batches import DeviceImages
from firstlight.training.prepared import Prepared
from firstlight.training.run_files import read_tensors
from firstlight.training.trainer import Trainer, first_layer

RECORDED = Path(__file__).parents[2] / "results"
# What the initial weights depend on.
DECISIVE = ("model", "seed", "classes", "channels", "width", "stride")


def recorded_runs() -> list[Path]:
    """One of the recorded runs for each initialisation of a network that is built in no time."""
    runs: dict[Any, Path] = {}
    for path in sorted(RECORDED.glob("runs/*/spec.json")):
        spec = json.loads(path.read_text())["spec"]
        if spec["model"] in ("vgg11", "resnet20"):
            runs.setdefault(tuple(spec.get(name) for name in DECISIVE), path.parent)
    return list(runs.values())


def trainer_of(spec: RunSpec) -> Trainer:
    return Trainer(spec, Prepared.of(spec, TRAIN, TEST, torch.device("cpu")), 1)


def updated(spec: RunSpec, steps: int = 2) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The network's parameters before and after some updates."""
    trainer = trainer_of(spec)
    named = dict(trainer.model.named_parameters())
    before = {name: parameter.detach().numpy().copy() for name, parameter in named.items()}
    for _ in range(steps):
        trainer.update(trainer.step)
        trainer.step += 1
    return before, {name: parameter.detach().numpy().copy() for name, parameter in named.items()}


def train_here(spec: RunSpec, store: Path) -> Run:
    return train(spec, TRAIN, TEST, store, device="cpu")


def test_both_networks_are_among_the_recorded_runs():
    assert {json.loads((run / "spec.json").read_text())["spec"]["model"] for run in recorded_runs()} == {
        "vgg11",
        "resnet20",
    }


@pytest.mark.parametrize("folder", recorded_runs(), ids=lambda folder: folder.name)
def test_recorded_runs_began_as_the_same_spec_begins_now(folder):
    run = Run.load(folder)
    spec = run.spec
    # The images do not matter, but there must be some to train on.
    images = make_set("train", spec.batch_size, channels=spec.channels)
    on_device = DeviceImages(images, torch.device("cpu"))
    trainer = Trainer(spec, Prepared(images, on_device, on_device), 1)
    weight = first_layer(trainer.model).weight.detach().numpy()
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, run.initial)


def test_a_frozen_first_layer_stays_and_everything_else_moves():
    spec = make_spec(model="vgg5")  # its first layer has a bias
    frozen = replace(spec, frozen=True)
    before, after = updated(frozen)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert set(before) - moved == {"features.0.weight", "features.0.bias"}
    free_before, free_after = updated(spec)
    assert all(np.array_equal(free_before[name], before[name]) for name in before)
    assert all(not np.array_equal(free_before[name], free_after[name]) for name in before)


def test_a_frozen_run_records_its_initial_filters_throughout(tmp_path):
    run = train_here(make_spec(frozen=True), tmp_path)
    assert (run.filters == run.initial).all()
    assert run.metrics["train_loss"].iloc[-1] < run.metrics["train_loss"].iloc[1]
    free = train_here(make_spec(), tmp_path)
    np.testing.assert_array_equal(free.initial, run.initial)
    assert not np.array_equal(free.final, run.final)


# Batch normalisation of a few pixels, behind many layers, makes more of a rounding.
@pytest.mark.parametrize(("model", "least"), [("resnet20", 0.7), ("vgg5", 0.99)])
def test_bfloat16_products_change_the_run_a_little_and_the_weights_stay_float32(model, least, tmp_path):
    spec = make_spec(model=model)
    single, half = (train_here(replace(spec, precision=name), tmp_path) for name in ("float32", "bfloat16"))
    recorded = read_tensors(half.path / "filters.safetensors")[0]["weight"]
    assert recorded.dtype == np.float32
    weight = torch.from_numpy(recorded[-1].copy())
    assert (weight != weight.bfloat16().float()).float().mean() > 0.5
    metrics = half.metrics
    assert np.isfinite(metrics[["train_loss", "train_accuracy"]][1:]).all(axis=None)
    assert np.isfinite(metrics[["test_loss", "test_accuracy"]].iloc[-1]).all()
    np.testing.assert_array_equal(half.initial, single.initial)
    assert not np.array_equal(half.final, single.final)
    changes = [(run.final - run.initial).ravel() for run in (single, half)]
    assert np.corrcoef(changes)[0, 1] > least
    np.testing.assert_allclose(metrics["train_loss"][1:], single.metrics["train_loss"][1:], rtol=0.2)


def test_width_and_stride_make_the_first_layer(tmp_path):
    run = train_here(make_spec(model="vgg5", width=5, stride=3, steps=2), tmp_path)
    assert run.filters.shape == (len(run.steps), 5, 3, 3, 3)
    assert not np.array_equal(run.initial, run.final)


@pytest.mark.parametrize(
    "changes",
    [{"labels": "random"}, {"labels": "energy:2"}, {"stride": 3}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_changes_the_data_or_the_stride_changes_the_run_but_not_its_beginning(changes, tmp_path):
    spec = make_spec(model="vgg5", steps=1)
    plain, changed = (train_here(run, tmp_path) for run in (spec, make_spec(model="vgg5", steps=1, **changes)))
    np.testing.assert_array_equal(plain.initial, changed.initial)
    assert not np.array_equal(plain.final, changed.final)


def test_a_strided_run_on_a_scaled_component_sees_other_images(tmp_path):
    spec = make_spec(steps=2, stride=3)
    plain, scaled = (train_here(run, tmp_path) for run in (spec, replace(spec, scaled_component=2, scale=3.0)))
    np.testing.assert_array_equal(plain.initial, scaled.initial)
    assert not np.array_equal(plain.final, scaled.final)
