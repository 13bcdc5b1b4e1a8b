"""What a spec needs to know of a set of images: the same facts before and after a file."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.errors import InputError
from firstlight.images import ImageSet, SetFacts

IMAGES = ImageSet(
    name="noise",
    split="test",
    images=np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5),
    labels=np.array([1, 0]),
    classes=("cat", "dog"),
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.6, 0.7),
)
FACTS = SetFacts.of(IMAGES)

numbers = st.lists(st.floats(-10, 10), max_size=4).map(tuple)
facts = st.builds(
    SetFacts,
    name=st.text(),
    split=st.sampled_from(["train", "test"]),
    fingerprint=st.text("0123456789abcdef"),
    count=st.integers(1),
    size=st.tuples(st.integers(1), st.integers(1)),
    channels=st.integers(1),
    classes=st.lists(st.text()).map(tuple),
    mean=numbers,
    std=numbers,
)


def test_facts_are_those_of_the_images():
    assert (FACTS.name, FACTS.split, FACTS.count, FACTS.size, FACTS.channels) == ("noise", "test", 2, (4, 5), 3)
    assert FACTS.fingerprint == IMAGES.fingerprint
    assert FACTS.classes == ("cat", "dog")
    assert (FACTS.mean, FACTS.std) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    assert SetFacts.of(replace(IMAGES, labels=None, classes=())).classes == ()


@given(facts)
def test_facts_survive_json(described):
    assert SetFacts.from_dict(json.loads(json.dumps(asdict(described)))) == described


@pytest.mark.parametrize("name", [field.name for field in fields(SetFacts)])
def test_a_missing_fact_is_refused_by_name(name):
    values = asdict(FACTS)
    del values[name]
    with pytest.raises(InputError, match=f"damaged .*{name}.*; expected the fields of SetFacts"):
        SetFacts.from_dict(values)


@pytest.mark.parametrize(
    ("values", "message"), [({**asdict(FACTS), "age": 3}, "'age'"), ({7: 7}, "damaged"), ([], "list"), (None, "None")]
)
def test_what_is_no_description_is_refused(values: Any, message):
    with pytest.raises(InputError, match=message) as caught:
        SetFacts.from_dict(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("count", value) for value in (None, True, 0, 1.5)),
        *(("size", value) for value in ([32], 3, [8, None])),
        *(("channels", "3"), ("name", []), ("classes", "ab"), ("classes", [1])),
        *(("mean", value) for value in (None, ["x", 0, 0], [float("nan"), 0, 0], [10**400, 0, 0])),
    ],
)
def test_fields_that_hold_what_no_set_has_are_refused(field, value):
    right = {"name": "a", "split": "train", "fingerprint": "0", "count": 9, "size": [8, 8], "channels": 3}
    right |= {"classes": ["x"], "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}
    assert SetFacts.from_dict(right).count == 9
    with pytest.raises(InputError, match="the description of a data set is damaged"):
        SetFacts.from_dict({**right, field: value})
