"""Measurements: made once, read back exactly, and never taken from a damaged file."""

import numpy as np
import pytest

from firstlight.errors import RunError
from firstlight.experiments.measurements import Measurements

KEY = {"train": "ab12", "stride": 1}
ARRAYS = {"second": np.arange(6, dtype=np.int64).reshape(2, 3), "first": np.array([1 / 3, -0.0, 1e300])}


def refuse() -> dict:
    pytest.fail("measured again")


def test_what_was_measured_is_not_measured_again(tmp_path):
    store = Measurements(tmp_path / "new")
    first = store.get("patch-moments", KEY, lambda: ARRAYS)
    again = Measurements(tmp_path / "new", recorded=True).get("patch-moments", KEY, refuse)
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        assert again[name].tobytes() == array.tobytes() == first[name].tobytes()
    assert store.used == {path.name for path in (tmp_path / "new").iterdir()}


@pytest.mark.parametrize(
    ("name", "key"), [("other", KEY), ("patch-moments", {**KEY, "stride": 3}), ("patch-moments", {})]
)
def test_another_question_has_another_answer(tmp_path, name, key):
    store = Measurements(tmp_path)
    store.get("patch-moments", KEY, lambda: ARRAYS)
    assert store.get(name, key, lambda: {"x": np.array(7)})["x"] == 7
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "swap", "text"])
def test_a_damaged_file_is_measured_again_but_refused_in_a_record(tmp_path, damage, caplog):
    Measurements(tmp_path).get("a", KEY, lambda: ARRAYS)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "swap":  # a whole file, under another's name
        path.unlink()
        Measurements(tmp_path).get("a", {}, lambda: ARRAYS)
        (other,) = tmp_path.iterdir()
        other.rename(path)
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:-40], "flip": flipped, "empty": b"", "text": b"mine"}[damage])
    with pytest.raises(RunError, match=rf"{path.name} is damaged"):
        Measurements(tmp_path, recorded=True).get("a", KEY, refuse)
    again = Measurements(tmp_path).get("a", KEY, lambda: ARRAYS)
    assert again["first"].tobytes() == ARRAYS["first"].tobytes()
    assert "damaged" in caplog.text
    assert path.read_bytes() != b"mine"


def test_a_record_is_never_added_to(tmp_path):
    with pytest.raises(RunError, match="the record has no a-"):
        Measurements(tmp_path / "none", recorded=True).get("a", KEY, refuse)
    assert not (tmp_path / "none").exists()
