"""Images on the device, made once for all trainings that see the same."""

from dataclasses import replace

import pytest
import torch
from tests.training.sets import CLASSES, TEST, TRAIN, make_spec

from firstlight.training import RunSpec, prepared
from firstlight.training.prepare import prepare
from firstlight.training.prepared import Preparation, what_is_seen
from firstlight.training.spec import LATER

SPEC = make_spec(model="vgg5")
# One change of every field that may change what is seen, and of every other.
SEEN = {
    "classes": 3,
    "train_images": 60,
    "test_images": 20,
    "only": CLASSES[:2],
    "labels": "energy:3",
    "mean": (0.4, 0.4, 0.4),
    "std": (0.2, 0.2, 0.2),
}
UNSEEN = {
    "model": "vgg8",
    "seed": 4,
    "steps": 3,
    "lr": 0.3,
    "batch_size": 20,
    "frozen": True,
    "stride": 3,
    "width": 7,
    "precision": "bfloat16",
    "first_layer": "pca",
    "optimizer": "adam",
    "momentum": 0.9,
    "weight_decay": 0.1,
    "schedule": "cosine",
    "augmentation": "flip",
}


def made_of(spec: RunSpec) -> list[object]:
    """What `prepare` makes, to be compared."""
    sets = prepare(spec, TRAIN, TEST)
    arrays = [array.tobytes() for part in sets for array in (part.images, part.labels) if array is not None]
    return [*arrays, sets[0].mean, sets[0].std]


@pytest.mark.parametrize("name", [*SEEN, *UNSEEN])
def test_what_is_seen_is_equal_where_the_images_are(name):
    changes = {name: {**SEEN, **UNSEEN}[name]}
    if name == "only":
        changes["classes"] = 2
    other = replace(SPEC, **changes)
    assert (what_is_seen(other) == what_is_seen(SPEC)) == (name in UNSEEN)
    if name != "classes":
        assert (made_of(other) == made_of(SPEC)) == (name in UNSEEN)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"labels": "random"}, {"labels": "random", "seed": 4}),
        ({"stride": 3, "scaled_component": 2, "scale": 3.0}, {"stride": 3, "scaled_component": 2, "scale": 4.0}),
        ({"stride": 3, "scaled_component": 2, "scale": 3.0}, {"stride": 3, "scaled_component": 3, "scale": 3.0}),
    ],
)
def test_what_a_change_needs_counts_only_with_it(first, second):
    one, other = (replace(SPEC, **changes) for changes in (first, second))
    assert what_is_seen(one) != what_is_seen(other)
    assert made_of(one) != made_of(other)


def test_every_field_of_a_spec_is_known_to_be_seen_or_not():
    """A new one must be decided upon here."""
    known = {*SEEN, *UNSEEN, "data", "data_fingerprint", "test_fingerprint", "channels", "format"}
    assert known | {"scaled_component", "scale"} == {*RunSpec.__dataclass_fields__}
    assert LATER.keys() <= RunSpec.__dataclass_fields__.keys()


def test_what_is_held_or_was_last_is_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(prepared, "prepare", lambda spec, *sets: made.append(spec.labels) or prepare(spec, *sets))
    preparation = Preparation(torch.device("cpu"))
    held = preparation(SPEC, TRAIN, TEST)
    assert preparation(replace(SPEC, seed=9, model="vgg8"), TRAIN, TEST) is held
    preparation(replace(SPEC, labels="random"), TRAIN, TEST)
    preparation(replace(SPEC, labels="random"), TRAIN, TEST)
    assert preparation(SPEC, TRAIN, TEST) is held
    assert made == ["true", "random"]
    del held
    preparation(replace(SPEC, labels="energy:3"), TRAIN, TEST)
    preparation(SPEC, TRAIN, TEST)
    assert made == ["true", "random", "energy:3", "true"]
