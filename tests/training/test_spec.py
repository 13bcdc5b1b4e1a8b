"""What decides a run: validation, the round trip, the hash, and the recorded steps."""

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.errors import InputError
from firstlight.training import RunSpec, record_steps

from .sets import TRAIN, make_spec

VALUES: dict[str, Any] = {
    "model": "vgg11",
    "data": "cifar10",
    "data_fingerprint": "ab12",
    "test_fingerprint": "cd34",
    "classes": 10,
    "channels": 3,
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.1],
    "steps": 100,
    "seed": 0,
    "lr": 0.01,
    "batch_size": 256,
    "train_images": None,
    "test_images": 1000,
    "format": 1,
}

numbers = st.floats(0.01, 10, allow_subnormal=False)
specs = st.builds(
    RunSpec,
    model=st.sampled_from(["vgg11", "resnet20"]),
    data=st.text(min_size=1),
    data_fingerprint=st.text("0123456789abcdef", min_size=1),
    test_fingerprint=st.text("0123456789abcdef", min_size=1),
    classes=st.integers(2, 1000),
    channels=st.just(2),
    mean=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    std=st.tuples(numbers, numbers),
    steps=st.integers(1, 10**7),
    seed=st.integers(0, 2**64),
    lr=numbers,
    batch_size=st.integers(2, 64),
    train_images=st.none() | st.integers(64, 10**6),
    test_images=st.integers(1, 10**5),
)


@given(specs)
def test_a_spec_survives_json_with_its_hash(spec):
    copy = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert copy == spec
    assert copy.hash == spec.hash


@given(specs, specs)
def test_hashes_are_equal_exactly_where_specs_are(one, other):
    assert (one.hash == other.hash) == (one == other)


def test_the_hash_does_not_depend_on_how_a_number_is_written():
    spec = RunSpec.from_dict(VALUES)
    same = replace(spec, steps=np.int64(100), lr=np.float64(0.01), mean=np.array([0.5, 0.4, 0.3]))  # type: ignore[arg-type]
    assert same.hash == spec.hash
    assert replace(spec, lr=1).hash == replace(spec, lr=1.0).hash
    assert replace(spec, mean=(0.0, 0, 1)).hash == replace(spec, mean=(-0.0, 0.0, 1.0)).hash


def test_the_hash_never_changes_between_versions():
    # Folders on users' disks have these names: a change here needs a new spec format.
    assert RunSpec.from_dict(VALUES).hash == "6495ce236eb66a09"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("model", "resnet20"),
        ("data", "cifar100"),
        ("data_fingerprint", "ab13"),
        ("test_fingerprint", "cd35"),
        ("classes", 11),
        ("mean", [0.5, 0.4, 0.2]),
        ("std", [0.2, 0.2, 0.2]),
        ("steps", 101),
        ("seed", 1),
        ("lr", 0.02),
        ("batch_size", 255),
        ("train_images", 50_000),
        ("test_images", 999),
    ],
)
def test_every_field_changes_the_hash(name, other):
    assert RunSpec.from_dict({**VALUES, name: other}).hash != RunSpec.from_dict(VALUES).hash


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", "vgg19", "'vgg19' is unknown: expected one of vgg11, resnet20"),
        ("data", "", "data=''"),
        ("data_fingerprint", 7, "data_fingerprint=7"),
        ("classes", 1, "classes=1: expected at least 2"),
        ("channels", 1, r"mean=\(0.5, 0.4, 0.3\): expected 1 numbers"),
        ("mean", [0.5, 0.4, "x"], "mean='x': expected a number"),
        ("std", [0.2, 0.2, 0.0], "expected positive numbers"),
        ("steps", 0, "steps=0: expected at least 1"),
        ("steps", 1.5, "steps=1.5: expected a whole number"),
        ("steps", True, "steps=True: expected a whole number"),
        ("seed", -1, "seed=-1: expected at least 0"),
        ("lr", 0.0, "lr=0.0: expected a positive number"),
        ("lr", float("nan"), "lr=nan: expected a finite number"),
        ("batch_size", 1, "batch_size=1: expected at least 2"),
        ("train_images", 255, "train_images=255: expected at least one batch of 256"),
        ("test_images", 0, "test_images=0: expected at least 1"),
        ("format", 2, "spec format 2 is not known: expected 1"),
    ],
)
def test_impossible_values_are_refused_by_name(name, value, message):
    with pytest.raises(InputError, match=message):
        RunSpec.from_dict({**VALUES, name: value})


def test_missing_and_unknown_keys_are_refused_by_name():
    with pytest.raises(InputError, match="spec lacks lr, seed"):
        RunSpec.from_dict({name: value for name, value in VALUES.items() if name not in ("lr", "seed")})
    with pytest.raises(InputError, match="spec has unknown momentum"):
        RunSpec.from_dict({**VALUES, "momentum": 0.9})
    with pytest.raises(InputError, match="spec is a list"):
        RunSpec.from_dict([])  # type: ignore[arg-type]


def test_a_data_set_describes_itself():
    spec = make_spec(lr=0.5)
    assert (spec.data, spec.data_fingerprint) == (TRAIN.name, TRAIN.fingerprint)
    assert (spec.classes, spec.channels, spec.mean, spec.std) == (4, 3, TRAIN.mean, TRAIN.std)
    assert spec.lr == 0.5


@given(st.integers(1, 10**8))
def test_recorded_steps_rise_from_0_to_the_last(steps):
    recorded = record_steps(steps)
    assert recorded[0] == 0
    assert recorded[-1] == steps
    assert all(isinstance(step, int) for step in recorded)
    for before, after in itertools.pairwise(recorded):
        assert before < after
        # No gap is wider than an eighth of a decade, but for the rounding to whole steps.
        assert after <= before * 10 ** (1 / 8) + 1
    assert len(recorded) <= 8 * np.log10(steps) + 3


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_shorter_runs_record_where_longer_ones_do(one, other):
    short, long = sorted((one, other))
    assert set(record_steps(short)[:-1]) <= set(record_steps(long))


def test_recorded_steps_of_a_short_run():
    assert record_steps(1) == [0, 1]
    assert record_steps(30) == [0, 1, 2, 3, 4, 6, 7, 10, 13, 18, 24, 30]
