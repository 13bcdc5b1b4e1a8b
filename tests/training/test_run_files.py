"""JSON and sealed tensors."""

import numpy as np
import pytest

from firstlight.errors import RunError
from firstlight.training.run_files import read_json, read_tensors, write_json, write_tensors


def test_tensors_come_back_with_their_shapes_types_and_layouts(tmp_path):
    tensors = {
        "scalar": np.array(7, dtype=np.int64),
        "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "none": np.zeros((0, 3)),
    }
    write_tensors(tmp_path / "t", tensors, {"loss": 1 / 3, "rows": [{"a": None}]})
    read, values = read_tensors(tmp_path / "t")
    assert values == {"loss": 1 / 3, "rows": [{"a": None}]}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        np.testing.assert_array_equal(read[name], tensor, strict=True)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_truncated_tensors_are_refused(fraction, tmp_path):
    path = tmp_path / "t"
    write_tensors(path, {"a": np.arange(1000)}, {})
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(RunError, match="cannot be read"):
        read_tensors(path)


def test_every_flipped_bit_of_tensors_is_found(tmp_path):
    path = tmp_path / "t"
    tensors, values = {"a": np.arange(4, dtype=np.int16)}, {"step": 5}
    write_tensors(path, tensors, values)
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(RunError):
            read_tensors(path)


def test_json_that_is_not_an_object_is_refused(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    path.write_text("[1]")
    with pytest.raises(RunError, match="holds a list; expected a JSON object"):
        read_json(path)
    with pytest.raises(RunError, match="cannot be read"):
        read_json(tmp_path / "b.json")
    path.write_text("[" * 100_000)
    with pytest.raises(RunError, match="cannot be read"):
        read_json(path)
