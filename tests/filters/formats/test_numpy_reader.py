import io
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from firstlight.errors import InputError, SourceError
from firstlight.filters.choice.tensors import TensorFile
from firstlight.filters.formats.numpy.reader import read_numpy

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(4, 3, 5, 5)).astype(np.float32)
NUMBERS = st.one_of(
    arrays.floating_dtypes(endianness="?"),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.boolean_dtypes(),
)


def npy(header: str | dict[str, Any], data: bytes = b"", version: bytes = b"\1\0", length: int | None = None) -> bytes:
    """A file by hand, so that it can be wrong."""
    text = (header if isinstance(header, str) else repr(header)).encode()
    form = "<H" if version == b"\1\0" else "<I"
    return b"\x93NUMPY" + version + struct.pack(form, len(text) if length is None else length) + text + data


def good(**other: Any) -> dict[str, Any]:
    return {"descr": "<f4", "fortran_order": False, "shape": (2, 3), **other}


def read_all(file: TensorFile) -> dict[str, np.ndarray]:
    return {entry.name: entry.read() for entry in file.entries}


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_all(read_numpy(path, "the file"))
    message = str(caught.value)
    assert message.startswith("the file: ")
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    return message


@given(arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_numpy_saved_is_read_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, fortran: bool
):
    if fortran:
        array = np.asfortranarray(array)
    folder = tmp_path_factory.mktemp("saved")
    np.save(folder / "a b.npy", array)
    np.savez(folder / "a.npz", x=array, y=WEIGHT)
    np.savez_compressed(folder / "c.npz", x=array, y=WEIGHT)
    single = read_numpy(folder / "a b.npy", "a")
    assert [(entry.name, entry.shape, entry.dtype) for entry in single.entries] == [
        ("a b", array.shape, array.dtype.name)
    ]
    with np.errstate(invalid="ignore"):
        expected = array.astype(np.float64)
    np.testing.assert_array_equal(single.entries[0].read(), expected)
    for name in ("a.npz", "c.npz"):
        found = read_all(read_numpy(folder / name, name))
        assert found["x"].dtype == np.float64
        np.testing.assert_array_equal(found["x"], expected)
        np.testing.assert_array_equal(found["y"], WEIGHT)


def test_arrays_are_in_the_order_in_which_they_were_saved(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **{"z/conv1": WEIGHT, "a": WEIGHT[0], "m.fc": WEIGHT[0, 0]})
    file = read_numpy(tmp_path / "a.npz", "the file")
    assert (file.source, file.ordered, file.notes) == ("the file", True, ())
    assert [(entry.name, entry.shape) for entry in file.entries] == [
        ("z/conv1", (4, 3, 5, 5)),
        ("a", (3, 5, 5)),
        ("m.fc", (5, 5)),
    ]
    assert read_numpy(tmp_path / "a.npz", "a").entries[0].dtype == "float32"


def test_files_that_are_no_arrays_are_passed_over(tmp_path: Path):
    np.savez(tmp_path / "a.npz", w=WEIGHT)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "hello")
    assert list(read_all(read_numpy(tmp_path / "a.npz", "a"))) == ["w"]
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("README.txt", "hello")
    assert "an archive without a .npy file in it" in refusal(tmp_path / "b.npz")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path):
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "b.npz", good=WEIGHT, bad=trap)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(trap))
    assert "the file: a: holds Python objects, which are never unpickled" in refusal(tmp_path / "a.npy")
    assert "the file: bad: holds Python objects, which are never unpickled" in refusal(tmp_path / "b.npz")
    refusal(tmp_path / "c.npy")
    assert not (tmp_path / "sprung").exists()
    pickle.loads((tmp_path / "c.npy").read_bytes())
    assert (tmp_path / "sprung").exists()  # the trap is a real one


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (WEIGHT.astype(ml_dtypes.bfloat16), "holds raw items of 2 bytes, which is what NumPy makes of bfloat16"),
        (WEIGHT.astype(ml_dtypes.float8_e4m3fn), "holds raw items of 1 byte,"),
        (WEIGHT.astype(ml_dtypes.float8_e5m2), "header of the array is damaged, or of a type that NumPy lacks"),
        (WEIGHT * 1j, "the numbers are complex .complex64.; expected real ones"),
        (np.array(["a", "bc"]), "holds str"),
        (np.array([b"a"]), "holds bytes"),
        (np.zeros(3, "M8[s]"), "holds datetime64"),
        (np.zeros(3, [("a", "f4"), ("b", "i8")]), "holds void"),
        (np.zeros(3, [("a", "f4"), ("b", "O")]), "holds Python objects"),
        (np.zeros(3, [("ä€", "f4")]), "is of version 3.0 of NumPy's format"),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_arrays_of_something_else_than_numbers(tmp_path: Path, array: np.ndarray, message: str):
    np.save(tmp_path / "a.npy", array)
    assert re.search(message, refusal(tmp_path / "a.npy"))


def test_a_format_that_python_2_wrote(tmp_path: Path):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}"
    (tmp_path / "a.npy").write_bytes(npy(text, np.arange(6, dtype="<f4").tobytes()))
    np.testing.assert_array_equal(read_all(read_numpy(tmp_path / "a.npy", "a"))["a"], [[0, 1, 2], [3, 4, 5]])
    (tmp_path / "a.npy").write_bytes(npy(good(), np.arange(6, dtype="<f4").tobytes(), b"\2\0"))
    np.testing.assert_array_equal(read_all(read_numpy(tmp_path / "a.npy", "a"))["a"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(good(), bytes(23)), "holds 23 bytes where float32 of shape (2, 3) needs 24: it is cut off"),
        (npy(good(shape=(2**30, 2**10))), "holds 0 bytes where float32"),
        (npy(good(shape=(-2, -3)), bytes(24)), "no array has the shape"),
        (npy(good(shape=(True, 6)), bytes(24)), "no array has the shape"),
        (npy(good(shape=(1,) * 65), bytes(4)), "no array has the shape"),
        (npy(good(shape=(0, 2**62))), "no array has the shape"),
        (npy(good(shape=(2**4000,))), "no array has the shape"),
        (npy(good(shape=[2, 3])), "damaged"),
        (npy(good(shape=(2.0,))), "damaged"),
        (npy(good(fortran_order=1)), "damaged"),
        (npy(good(descr="<f3")), "damaged"),
        (npy(good(descr=None)), "damaged"),
        (npy(good(descr=[("a", "f4"), 3])), "damaged"),
        (npy(good(descr="S999999999999999")), "damaged"),
        (npy(good(descr=("f4", (2**40, 2**40)))), "damaged"),
        (npy(good(descr="f4," * 1000)), "where void32000 of shape"),
        (npy(good(more=1)), "damaged"),
        (npy("[" * 3000), "damaged"),
        (npy("-" * 4000 + "1"), "damaged"),
        (npy("(" * 90 + "1" + ")" * 90), "damaged"),
        (npy("{'descr': __import__('os').system('touch x')}"), "damaged"),
        (npy("{"), "damaged"),
        (npy("{'a': 'b"), "damaged"),
        (npy("\x00"), "damaged"),
        (npy(" " * 5000), "damaged"),
        (npy(good(), length=60000), "damaged"),
        (npy(good(), version=b"\2\0", length=2**32 - 1), "damaged"),
        (npy(good(), version=b"\3\0"), "is of version 3.0"),
        (npy(good(), version=b"\x09\x09"), "is of version 9.9"),
        (b"\x93NUMPY", "damaged"),
        (b"", "cannot be read as a file of numpy.save or numpy.savez (BadZipFile: "),
        (b"PK\5\6" + bytes(18), "an archive without a .npy file"),
        (b"something else", "cannot be read as a file of numpy.save or numpy.savez (BadZipFile: "),
    ],
)
def test_files_that_are_damaged(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "a.npy").write_bytes(content)
    assert message in refusal(tmp_path / "a.npy")


def test_files_that_cannot_be_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "none", "No such file"),
        (tmp_path / "pipe", "it is a named pipe"),
        (tmp_path, "it is a folder"),
    ):
        assert message in refusal(path)


def member(data: bytes, method: int = zipfile.ZIP_DEFLATED, name: str = "w.npy") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def test_bombs(tmp_path: Path):
    path = tmp_path / "a.npz"
    path.write_bytes(member(npy(good(shape=(2**24, 4)), bytes(2**28))))  # 256 MiB in 260 kB
    assert "w declares 67,108,864 numbers; expected at most" in refusal_of_read(path)
    path.write_bytes(member(npy(good(), bytes(2**26), b"\2\0", length=2**32 - 1)))
    assert "damaged" in refusal(path)
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        path.write_bytes(member(npy(good(), bytes(24)), method))
        assert "w: is packed in a way that NumPy does not use" in refusal(path)


def refusal_of_read(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_numpy(path, "a").entries[0].read()
    return str(caught.value)


def test_archives_of_very_many_files(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for i in range(5001):
            archive.writestr(f"{i}.npy", b"")
    assert "an archive of 5,001 files; expected at most 5,000 arrays" in refusal(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_with_impossible_names(tmp_path: Path):
    for name in ("w.npy", "a\nb.npy"):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr(name, npy(good(), bytes(24)))
            archive.writestr(name, npy(good(), bytes(24)))
        assert "twice, or that is no name" in refusal(tmp_path / "a.npz")


def test_the_checksum_is_verified(tmp_path: Path):
    content = bytearray(member(npy(good(), bytes(24)), zipfile.ZIP_STORED))
    content[30 + len("w.npy") + 90] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    assert "w: cannot be read as a file of numpy.save or numpy.savez (BadZipFile: Bad CRC-32" in refusal(
        tmp_path / "a.npz"
    )


def test_an_encrypted_member(tmp_path: Path):
    content = bytearray(member(npy(good(), bytes(24))))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    assert "is encrypted" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["npy", "stored", "deflated"])
def test_thousands_of_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path, kind: str):
    out = io.BytesIO()
    small = np.asfortranarray(RNG.normal(size=(2, 3, 2, 2)))
    if kind == "npy":
        np.save(out, small)
    else:
        (np.savez if kind == "stored" else np.savez_compressed)(out, a=small, b=np.arange(3))
    content, path, messages = out.getvalue(), tmp_path / "a", []
    for _ in range(1000):
        data = bytearray(content)
        for _ in range(RNG.integers(1, 4)):
            at = int(RNG.integers(0, max(1, len(data))))
            match RNG.integers(0, 5):
                case 0 | 1:
                    data[at : at + 1] = bytes([RNG.integers(0, 256)])
                case 2:
                    del data[at:]
                case 3:
                    del data[at : at + int(RNG.integers(1, 30))]
                case 4:
                    data[at:at] = data[max(0, at - int(RNG.integers(1, 99))) : at]
        path.write_bytes(data)
        try:
            read_all(read_numpy(path, "a"))
        except (SourceError, InputError) as error:
            messages.append(str(error))
    assert 300 < len(messages) < 1000
    assert all(len(message.splitlines()) == 1 for message in messages)
