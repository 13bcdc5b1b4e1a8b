import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import header_of, open_npz, write_npz

ARRAYS = {"a": np.arange(6, dtype=np.int64).reshape(2, 3), "b": np.array([1 / 3, -0.0])}
HEADER = {"format": 1, "names": ["é", None]}


def contents(path: Path) -> tuple[object, dict[str, tuple[str, bytes]]]:
    with open_npz(path) as stored:
        return header_of(stored), {name: (stored[name].dtype.str, stored[name].tobytes()) for name in ARRAYS}


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_and_header_come_back_to_the_bit(tmp_path: Path, compressed: bool):
    path = tmp_path / "new" / "any name"
    write_npz(path, ARRAYS, HEADER, compressed=compressed)
    assert contents(path) == (HEADER, {name: (array.dtype.str, array.tobytes()) for name, array in ARRAYS.items()})
    assert [entry.name for entry in path.parent.iterdir()] == ["any name"]


def test_objects_are_neither_written_nor_read(tmp_path: Path):
    objects = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npz(tmp_path / "x.npz", {"a": objects})
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "x.npz", a=objects)
    with pytest.raises(ValueError, match="allow_pickle"), open_npz(tmp_path / "x.npz") as stored:
        _ = stored["a"]


@pytest.mark.parametrize("compressed", [True, False])
def test_what_a_damaged_file_raises_is_in_the_list(tmp_path: Path, compressed: bool):
    path = tmp_path / "x.npz"
    write_npz(path, ARRAYS, HEADER, compressed=compressed)
    whole, raw = contents(path), path.read_bytes()
    raised = set()
    for position in range(len(raw)):
        for flip in (0x01, 0x20, 0x80):
            data = bytearray(raw)
            data[position] ^= flip
            path.write_bytes(data)
            try:
                with warnings.catch_warnings(action="ignore"):  # NumPy takes a damaged header for Python 2's
                    found = contents(path)
            except DAMAGE as error:
                raised.add(type(error))
            else:
                assert found == whole, f"byte {position} changed the content unnoticed"
    assert len(raised) > 3


def test_a_header_that_no_parser_follows_is_damage(tmp_path: Path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (((\n"
    with (tmp_path / "x.npy").open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(DAMAGE):
        np.load(tmp_path / "x.npy")
