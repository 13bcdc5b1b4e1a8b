"""The recorded runs are what they say: named by their specs, whole, and begun at the filters of their seeds."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from firstlight.models import build_model
from firstlight.training import Run, RunSpec
from firstlight.training.random_numbers import INITIALISATION, default_generators, seed_generators
from firstlight.training.trainer import first_layer

FOLDERS = sorted((Path(__file__).parents[2] / "results" / "runs").iterdir())


@cache
def initial_filters(model: str, seed: int, classes: int, channels: int, width: int | None, stride: int) -> np.ndarray:
    """The first layer as a training on a CPU begins with it; nothing else of a spec decides it."""
    parts = {"classes": classes, "channels": channels, "width": width, "stride": stride}
    data = {"data": "any", "data_fingerprint": "any", "test_fingerprint": "any"}
    normalisation = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    spec = RunSpec(model=model, seed=seed, steps=1, **data, **normalisation, **parts)
    seed_generators(spec, INITIALISATION, 0, default_generators(torch.device("cpu")))
    return first_layer(build_model(model, **parts)).weight.detach().numpy().copy()


def initial_filters_of(spec: RunSpec) -> np.ndarray:
    return initial_filters(spec.model, spec.seed, spec.classes, spec.channels, spec.width, spec.stride)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_run_is_named_by_its_spec_and_its_files_are_those_that_were_written(folder: Path):
    spec = json.loads((folder / "spec.json").read_text())["spec"]
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == folder.name
    assert RunSpec.from_dict(spec).to_dict() == json.loads(json.dumps(spec), object_hook=_tuples)
    digests = json.loads((folder / "run.json").read_text())["files"]
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) == {*digests, "run.json"}
    for name, digest in digests.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest


def _tuples(values: dict) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_initial_filters_of_a_run_follow_from_its_seed_bit_for_bit(folder: Path):
    run = Run.load(folder)
    assert run.steps[0] == 0
    assert np.array_equal(run.initial, initial_filters_of(run.spec))
    if run.spec.frozen:
        assert (run.filters == run.initial).all()
    else:
        assert (run.final != run.initial).any()


def test_every_seed_has_filters_of_its_own():
    """A run of another seed, or of ResNet20 in place of ResNet20-B, would be told."""
    one = initial_filters("resnet20b", 0, 10, 3, None, 1)
    others = [initial_filters("resnet20b", 1, 10, 3, None, 1), initial_filters("resnet20", 0, 10, 3, None, 1)]
    assert not any(np.array_equal(one, other) for other in others)


def test_runs_of_every_network_of_the_paper_are_among_them():
    seeds = {("vgg11", 0), ("resnet20", 0), ("resnet18", 0), *(("resnet20b", seed) for seed in (0, 1, 2))}
    specs = [json.loads((folder / "spec.json").read_text())["spec"] for folder in FOLDERS]
    assert seeds <= {(spec["model"], spec["seed"]) for spec in specs if spec.get("precision") == "bfloat16"}
