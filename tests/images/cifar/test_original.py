import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.images.originals import binary_batch, python2_batch, python3_batch

from firstlight.errors import SourceError
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.images.cifar.original import decode_binary, decode_python, join, read_folder


@pytest.fixture(scope="module")
def batch(splits: dict[str, Pixels]) -> Pixels:
    return splits["test"]


def assert_same(found: Pixels, expected: Pixels) -> None:
    assert np.array_equal(found.images, expected.images)
    assert np.array_equal(found.labels, expected.labels)
    assert found.images.dtype == found.labels.dtype == np.uint8
    assert found.images.flags.c_contiguous


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_binary(batch: Pixels, label_bytes: int) -> None:
    assert_same(decode_binary(binary_batch(batch, label_bytes), label_bytes), batch)


@pytest.mark.parametrize("cut", [1, 3072, None])
def test_binary_cut_off(batch: Pixels, cut: int | None) -> None:
    content = binary_batch(batch)
    with pytest.raises(SourceError, match="expected a multiple of 3073"):
        decode_binary(content[:-cut] if cut else b"", 1)


@pytest.mark.parametrize("write", [python2_batch, python3_batch])
@pytest.mark.parametrize("key", [b"labels", b"fine_labels"])
def test_python(batch: Pixels, write: Callable[[Pixels, bytes], bytes], key: bytes) -> None:
    assert_same(decode_python(write(batch, key), key), batch)


def test_the_handmade_python_2_batch_is_what_pickle_reads(batch: Pixels) -> None:
    content = python2_batch(batch).replace(b"numpy.core", b"numpy._core")  # where NumPy 2 has it
    found = pickle.loads(content, encoding="bytes")
    assert found[b"data"].shape == (50, 3072)
    assert found[b"labels"] == batch.labels.tolist()


class Planted:
    def __init__(self, call: Callable, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple:
        return self.call, self.arguments


@pytest.mark.parametrize("call", [os.system, os.mkdir, eval, getattr, np.load])
def test_planted_calls_are_refused_by_name(tmp_path: Path, call: Callable) -> None:
    mark = tmp_path / "mark"
    arguments = {os.system: (f"touch {mark}",), eval: (f"open({str(mark)!r}, 'w')",)}.get(call, (str(mark),))
    content = pickle.dumps({b"labels": [1], b"data": Planted(call, *arguments)}, protocol=2)
    with pytest.raises(SourceError, match=rf"the pickle names .*{call.__name__}, which no CIFAR batch needs"):
        decode_python(content, b"labels")
    assert not mark.exists()
    if call is os.mkdir:
        pickle.loads(content)
        assert mark.exists()  # the same pickle does its harm where it is let


def test_stand_ins_lead_nowhere(batch: Pixels) -> None:
    """Attributes of what is allowed cannot be reached: a dotted name is no allowed name."""
    content = b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93."
    with pytest.raises(SourceError, match=r"numpy\.ndarray\.dumps"):
        decode_python(content, b"labels")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable Python batch"),
        (b"hello", "not a readable Python batch"),
        (pickle.dumps([1, 2], protocol=2), "holds a list; expected a dictionary"),
        (pickle.dumps({b"labels": [1]}, protocol=2), "has no array b'data'"),
        (pickle.dumps({b"labels": [1], b"data": b"x"}, protocol=2), "has no array b'data'"),
        (pickle.dumps({b"data": np.zeros((1, 3072), "u1")}, protocol=2), "no list b'labels'"),
        (
            pickle.dumps({b"labels": [300], b"data": np.zeros((1, 3072), "u1")}, protocol=2),
            "not class numbers",
        ),
        (
            pickle.dumps({b"labels": ["x"], b"data": np.zeros((1, 3072), "u1")}, protocol=2),
            "not class numbers",
        ),
        (pickle.dumps({b"labels": [1], b"data": np.zeros((1, 3072), "i1")}, protocol=2), "not a uint8 array"),
        (pickle.dumps({b"labels": [1], b"data": np.zeros((1, 3071), "u1")}, protocol=2), "not a uint8 array"),
        (
            pickle.dumps({b"labels": [1], b"data": np.zeros((3072, 2), "u1", "F")}, protocol=2),
            "not a uint8 array",
        ),
    ],
)
def test_python_refusals(content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        decode_python(content, b"labels")
    assert "\n" not in str(caught.value)


@given(st.data())
def test_damaged_pickles_raise_nothing_else(splits: dict[str, Pixels], data: st.DataObject) -> None:
    few = Pixels(splits["test"].images[:1], splits["test"].labels[:1])
    content = bytearray(python2_batch(few))
    header = len(content) - 3072
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_python(bytes(content), b"labels")
    except SourceError:
        return
    assert found.images.shape[1:] == (32, 32, 3)


def test_join_keeps_the_order(batch: Pixels) -> None:
    halves = [Pixels(batch.images[:20], batch.labels[:20]), Pixels(batch.images[20:], batch.labels[20:])]
    assert_same(join(halves), batch)


def write_batches(folder: Path, pixels: Pixels, names: tuple[str, ...], write: Callable[[Pixels], bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        rows = np.array_split(np.arange(len(pixels.labels)), len(names))[index]
        (folder / name).write_bytes(write(Pixels(pixels.images[rows], pixels.labels[rows])))


@pytest.mark.parametrize("form", ["python", "binary"])
def test_folder(tmp_path: Path, small: CifarDefinition, splits: dict[str, Pixels], form: str) -> None:
    files = small.python_files if form == "python" else small.binary_files
    assert read_folder(small, tmp_path, "train") is None
    for split, pixels in splits.items():
        write_batches(tmp_path, pixels, files[split], python2_batch if form == "python" else binary_batch)
    for split, pixels in splits.items():
        found = read_folder(small, tmp_path, split)
        assert found is not None
        assert_same(found, pixels)
    (tmp_path / files["train"][3]).unlink()
    assert read_folder(small, tmp_path, "train") is None
    assert read_folder(small, tmp_path, "test") is not None


def test_folder_with_other_or_damaged_content(
    tmp_path: Path, small: CifarDefinition, splits: dict[str, Pixels]
) -> None:
    changed = splits["test"].images.copy()
    changed[7, 0, 0, 0] ^= 1
    write_batches(tmp_path, Pixels(changed, splits["test"].labels), ("test_batch.bin",), binary_batch)
    with pytest.raises(SourceError, match="these are not the CIFAR-10 images"):
        read_folder(small, tmp_path, "test")
    (tmp_path / "test_batch.bin").write_bytes(b"short")
    with pytest.raises(SourceError, match=r"test_batch\.bin: batch has 5 bytes"):
        read_folder(small, tmp_path, "test")
