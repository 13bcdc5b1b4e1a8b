"""What decides a run: validation, the round trip, the hash, and the recorded steps."""

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.training.sets import TEST, TRAIN, make_spec

from firstlight.errors import InputError
from firstlight.images import SetFacts
from firstlight.models import MODELS
from firstlight.training import RunSpec, record_steps
from firstlight.training.spec import LATER
from firstlight.training.spec_values import label_component

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

# Every later field at another value than its default, in one of these: not all go together.
CHANGED: dict[str, Any] = {
    **VALUES,
    "classes": 2,
    "width": 16,
    "stride": 3,
    "frozen": True,
    "only": ["cat", "dog"],
    "labels": "energy:4",
    "scaled_component": 5,
    "scale": 3.0,
    "precision": "bfloat16",
}
MODERN: dict[str, Any] = {
    **VALUES,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "schedule": "cosine",
    "augmentation": "flip+crop",
}
ADAM: dict[str, Any] = {**MODERN, "optimizer": "adam", "momentum": 0.0}

numbers = st.floats(0.01, 10, allow_subnormal=False)


@st.composite
def specs(draw: st.DrawFn) -> RunSpec:
    model = draw(st.sampled_from(list(MODELS)))
    classes = draw(st.integers(2, 1000))
    component = draw(st.none() | st.integers(1, 18))
    optimizer = draw(st.sampled_from(["sgd", "adam"]))
    names = st.lists(st.text(), min_size=classes, max_size=classes, unique=True) if classes < 5 else st.nothing()
    return RunSpec(
        model=model,
        data=draw(st.text(min_size=1)),
        data_fingerprint=draw(st.text("0123456789abcdef", min_size=1)),
        test_fingerprint=draw(st.text("0123456789abcdef", min_size=1)),
        classes=classes,
        channels=2,
        mean=draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))),
        std=draw(st.tuples(numbers, numbers)),
        steps=draw(st.integers(1, 10**7)),
        seed=draw(st.integers(0, 2**64)),
        lr=draw(numbers),
        batch_size=draw(st.integers(2, 64)),
        train_images=draw(st.none() | st.integers(64, 10**6)),
        test_images=draw(st.integers(1, 10**5)),
        width=draw(st.none() | (st.integers(1, 512) if model.startswith("vgg") else st.just(MODELS[model].filters))),
        stride=draw(st.integers(1, 5)) if component is None else 3,
        frozen=draw(st.booleans()),
        only=draw(st.none() | names),  # type: ignore[arg-type]
        labels=draw(st.sampled_from(["true", "random"]) | st.integers(1, 18).map("energy:{}".format)),
        scaled_component=component,
        scale=1.0 if component is None else draw(numbers.filter(lambda scale: scale != 1)),
        precision=draw(st.sampled_from(["float32", "bfloat16"])),
        first_layer=draw(st.sampled_from(["default", "pca", "eq3:4", "eq3:0.5", "orthogonal", "spectrum"])),
        optimizer=optimizer,
        momentum=draw(st.floats(0, 1, exclude_max=True)) if optimizer == "sgd" else 0.0,
        weight_decay=draw(st.floats(0, 1)),
        schedule=draw(st.sampled_from(["constant", "cosine"])),
        augmentation=draw(st.sampled_from(["none", "flip", "crop", "flip+crop"])) if component is None else "none",
    )


@given(specs())
def test_a_spec_survives_json_with_its_hash(spec):
    copy = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert copy == spec
    assert copy.hash == spec.hash


@given(specs(), specs(), st.data())
def test_hashes_are_equal_exactly_where_specs_are(one, other, data):
    assert (one.hash == other.hash) == (one == other)
    # Nearly equal ones too: two independent specs hardly ever are.
    names = ["frozen", "precision", "labels", "seed", "lr", "mean", "weight_decay", "schedule"]
    name = data.draw(st.sampled_from(names))
    near = replace(one, **{name: getattr(other, name)})
    assert (one.hash == near.hash) == (one == near) == (getattr(one, name) == getattr(other, name))


def test_the_hash_does_not_depend_on_how_a_number_is_written():
    spec = RunSpec.from_dict(VALUES)
    same = replace(spec, steps=np.int64(100), lr=np.float64(0.01), mean=np.array([0.5, 0.4, 0.3]))  # type: ignore[arg-type]
    assert same.hash == spec.hash
    assert replace(spec, lr=1).hash == replace(spec, lr=1.0).hash
    assert replace(spec, mean=(0.0, 0, 1)).hash == replace(spec, mean=(-0.0, 0.0, 1.0)).hash
    changed = RunSpec.from_dict(CHANGED)
    same = replace(changed, only=("cat", "dog"), scale=np.float32(3), width=np.int8(16), stride=np.int64(3))  # type: ignore[arg-type]
    assert same == changed
    assert same.hash == changed.hash


def test_the_hash_never_changes_between_versions():
    # Folders on users' disks have these names: a change here needs a new spec format.
    assert RunSpec.from_dict(VALUES).hash == "6495ce236eb66a09"
    assert RunSpec.from_dict(CHANGED).hash == "dc47b809a642c02c"
    assert RunSpec.from_dict(MODERN).hash == "f3f52eabc69d0330"
    assert RunSpec.from_dict(ADAM).hash == "9162113888b195e0"


def test_later_fields_are_left_out_where_they_change_nothing():
    spec = RunSpec.from_dict(VALUES)
    assert spec.to_dict() == {**VALUES, "mean": tuple(VALUES["mean"]), "std": tuple(VALUES["std"])}
    assert RunSpec.from_dict({**VALUES, **LATER}) == spec
    assert RunSpec.from_dict({**VALUES, **LATER}).hash == spec.hash
    changed = [
        RunSpec.from_dict(values).to_dict() for values in (CHANGED, MODERN, ADAM, {**VALUES, "first_layer": "pca"})
    ]
    assert set().union(*changed) == set(VALUES) | set(LATER)
    assert RunSpec.from_dict(CHANGED).to_dict()["only"] == ("cat", "dog")


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
        ("width", 32),
        ("stride", 2),
        ("frozen", True),
        ("only", list("abcdefghij")),
        ("labels", "random"),
        ("labels", "energy:1"),
        ("precision", "bfloat16"),
        ("optimizer", "adam"),
        ("momentum", 0.9),
        ("weight_decay", 5e-4),
        ("schedule", "cosine"),
        ("augmentation", "flip"),
        ("augmentation", "crop"),
        ("augmentation", "flip+crop"),
    ],
)
def test_every_field_changes_the_hash(name, other):
    assert RunSpec.from_dict({**VALUES, name: other}).hash != RunSpec.from_dict(VALUES).hash


@pytest.mark.parametrize(
    ("name", "other"),
    [("only", ["dog", "cat"]), ("labels", "energy:5"), ("scaled_component", 6), ("scale", 3.5), ("width", 17)],
)
def test_every_value_of_a_later_field_changes_the_hash(name, other):
    assert RunSpec.from_dict({**CHANGED, name: other}).hash != RunSpec.from_dict(CHANGED).hash


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", ["vgg11"], r"model is \['vgg11'\]; expected text"),
        ("model", "vgg19", "'vgg19' is unknown; expected one of vgg5, .*, resnet18"),
        ("data", "", "data is ''"),
        ("data_fingerprint", 7, "data_fingerprint is 7"),
        ("classes", 1, "classes is 1; expected at least 2"),
        ("channels", 1, r"mean is \(0.5, 0.4, 0.3\); expected 1 number,"),
        ("mean", [0.5, 0.4, "x"], "mean is 'x'; expected a number"),
        ("mean", 0.5, "mean is 0.5; expected a list"),
        ("mean", "0.5", "mean is '0.5'; expected a list"),
        ("std", None, "std is None; expected a list"),
        ("std", [0.2, 0.2, 0.0], "expected positive numbers"),
        ("steps", 0, "steps is 0; expected at least 1"),
        ("steps", 1.5, "steps is 1.5; expected a whole number"),
        ("steps", True, "steps is True; expected a whole number"),
        ("seed", -1, "seed is -1; expected at least 0"),
        ("lr", 0.0, "lr is 0.0; expected a positive number"),
        ("lr", float("nan"), "lr is nan; expected a finite number"),
        ("lr", 10**400, "lr is 10+; expected a number"),
        ("batch_size", 1, "batch_size is 1; expected at least 2"),
        ("train_images", 255, "train_images is 255; expected at least a batch of 256"),
        ("test_images", 0, "test_images is 0; expected at least 1"),
        ("format", 2, "spec format 2 is not known; expected 1: update firstlight"),
        ("format", 0, "spec format 0 is not known; expected 1: update firstlight"),
        ("format", -1, "spec format -1 is not known; expected 1: update firstlight"),
        ("format", True, "spec format True is not known; expected 1: update firstlight"),
        ("format", "1", "spec format '1' is not known; expected 1: update firstlight"),
        ("format", [1], r"spec format \[1\] is not known; expected 1: update firstlight"),
        ("format", 1.0, "format is 1.0; expected a whole number"),
        ("width", 0, "width is 0; expected at least 1"),
        ("width", 16.0, "width is 16.0; expected a whole number"),
        ("width", "16", "width is '16'; expected a whole number"),
        ("stride", 0, "stride is 0; expected at least 1"),
        ("stride", True, "stride is True; expected a whole number"),
        ("stride", None, "stride is None; expected a whole number"),
        ("frozen", 1, "frozen is 1; expected True or False"),
        ("frozen", "false", "frozen is 'false'; expected True or False"),
        ("only", "abcdefghij", "only is 'abcdefghij'; expected a list"),
        ("only", 7, "only is 7; expected a list"),
        ("only", [], r"only is \(\); expected 10 different class names"),
        ("only", ["cat", "dog"], r"only is \('cat', 'dog'\); expected 10 different class names"),
        ("only", [*"abcdefghij", "a"], "expected 10 different class names"),
        ("only", [*"abcdefghi", "a"], "expected 10 different class names"),
        ("only", list(range(10)), "expected 10 different class names"),
        ("only", [["a"], *"bcdefghij"], "expected 10 different class names"),
        ("labels", None, "labels is None; expected one of true, random, energy:N, N a component from 1"),
        ("labels", ["true"], r"labels is \['true'\]; expected one of true, random, energy:N"),
        ("labels", "True", "labels is 'True'; expected one of true, random, energy:N"),
        ("labels", "energy", "labels is 'energy'; expected one of true, random, energy:N"),
        ("labels", "energy:N", "labels is 'energy:N'; expected one of true, random, energy:N"),
        ("labels", "energy:0", "labels is 'energy:0'; expected one of true, random, energy:N, N a component from 1"),
        ("labels", "energy:28", "labels is 'energy:28'; expected component 1 to 27, as many as a patch has numbers"),
        ("labels", "energy:" + "9" * 5000, "labels is 'energy:9+'; expected"),
        ("labels", "energy:²", "labels is 'energy:²'; expected one of true, random, energy:N"),
        ("labels", "energy:٣", "labels is 'energy:٣'; expected one of true, random, energy:N"),
        ("labels", "energy:-1", "labels is 'energy:-1'; expected one of true, random, energy:N"),
        # Another spelling of the same would be another hash for the same run.
        ("labels", "energy:01", "labels is 'energy:01'; expected one of true, random, energy:N"),
        ("labels", "energy: 1", "labels is 'energy: 1'; expected one of true, random, energy:N"),
        ("labels", "energy:1\n", r"labels is 'energy:1\\n'; expected one of true, random, energy:N"),
        ("scaled_component", 5, "scaled_component is 5, scale 1.0; expected both, or neither"),
        ("scale", 2.0, "scaled_component is None, scale 2.0; expected both, or neither"),
        ("scale", 0, "scale is 0.0; expected a positive number"),
        ("scale", "x", "scale is 'x'; expected a number"),
        ("precision", "float16", "precision is 'float16'; expected one of float32, bfloat16"),
        ("precision", None, "precision is None; expected one of float32, bfloat16"),
        ("optimizer", "adamw", "optimizer is 'adamw'; expected one of sgd, adam"),
        ("momentum", 1, "momentum is 1.0; expected at least 0 and below 1"),
        ("momentum", -0.1, "momentum is -0.1; expected at least 0 and below 1"),
        ("momentum", float("nan"), "momentum is nan; expected a finite number"),
        ("weight_decay", -1e-4, "weight_decay is -0.0001; expected at least 0"),
        ("weight_decay", None, "weight_decay is None; expected a number"),
        ("schedule", "step", "schedule is 'step'; expected one of constant, cosine"),
        ("schedule", ["cosine"], r"schedule is \['cosine'\]; expected one of constant, cosine"),
        ("augmentation", "crop+flip", "augmentation is 'crop\\+flip'; expected one of none, flip, crop, flip\\+crop"),
        ("augmentation", None, "augmentation is None; expected one of none, flip"),
    ],
)
def test_impossible_values_are_refused_by_name(name, value, message):
    with pytest.raises(InputError, match=message):
        RunSpec.from_dict({**VALUES, name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scaled_component": 28}, "scaled_component is 28; expected component 1 to 27"),
        ({"scaled_component": 0}, "scaled_component is 0; expected component 1 to 27"),
        ({"scaled_component": "5"}, "scaled_component is '5'; expected a whole number"),
        ({"scaled_component": None}, "scaled_component is None, scale 3.0; expected both, or neither"),
        ({"scale": 1}, "scaled_component is 5, scale 1.0; expected both, or neither"),
        ({"scale": -3.0}, "scale is -3.0; expected a positive number"),
        ({"stride": 1}, "stride is 1, scaled_component 5; expected stride 3, whose patches share no pixel"),
        ({"stride": 2}, "stride is 2, scaled_component 5; expected stride 3"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is 0.9, optimizer 'adam'; expected momentum 0, or sgd"),
        ({"augmentation": "flip"}, "augmentation is 'flip', scaled_component 5; expected 'none'"),
        ({"model": "resnet32", "width": 32}, "width is 32; expected 16, the only one of resnet32"),
        ({"model": "resnet18"}, "width is 16; expected 64, the only one of resnet18"),
    ],
)
def test_values_that_do_not_go_together_are_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        RunSpec.from_dict({**CHANGED, **changes})


def test_components_are_those_of_the_images_patches():
    gray = {**CHANGED, "channels": 1, "mean": [0.5], "std": [0.2]}
    assert RunSpec.from_dict({**gray, "labels": "energy:9", "scaled_component": 9}).scaled_component == 9
    for name, value in (("labels", "energy:10"), ("scaled_component", 10)):
        with pytest.raises(InputError, match=f"{name} is {value!r}; expected component 1 to 9"):
            RunSpec.from_dict({**gray, name: value})


def test_the_component_of_labels():
    assert label_component("energy:27") == 27
    assert [label_component(labels) for labels in ("true", "random", "energy:", "energy:0")] == [None] * 4


def test_missing_and_unknown_keys_are_refused_by_name():
    with pytest.raises(InputError, match="spec lacks lr, seed"):
        RunSpec.from_dict({name: value for name, value in VALUES.items() if name not in ("lr", "seed")})
    with pytest.raises(InputError, match=r"spec lacks test_fingerprint.*older versions named no test set.*train again"):
        RunSpec.from_dict({name: value for name, value in VALUES.items() if name != "test_fingerprint"})
    with pytest.raises(InputError, match="spec has unknown nesterov"):
        RunSpec.from_dict({**VALUES, "nesterov": True})
    with pytest.raises(InputError, match="spec is a list"):
        RunSpec.from_dict([])  # type: ignore[arg-type]


def test_a_data_set_describes_itself():
    spec = make_spec(lr=0.5)
    assert (spec.data, spec.data_fingerprint) == (TRAIN.name, TRAIN.fingerprint)
    assert (spec.classes, spec.channels, spec.mean, spec.std) == (4, 3, TRAIN.mean, TRAIN.std)
    assert spec.lr == 0.5


def test_facts_of_a_data_set_are_enough():
    facts = RunSpec.for_data("vgg5", SetFacts.of(TRAIN), SetFacts.of(TEST), steps=5, seed=1, only=("c", "a"))
    images = RunSpec.for_data("vgg5", TRAIN, TEST, steps=5, seed=1, only=["c", "a"])
    assert facts == images
    assert facts.classes == 2
    assert facts.test_fingerprint == TEST.fingerprint


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
