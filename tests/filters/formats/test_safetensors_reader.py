import json
import os
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings, strategies as st

from firstlight.errors import InputError, SourceError
from firstlight.filters.choice.tensors import TensorFile
from firstlight.filters.formats.safetensors.header import parse_header
from firstlight.filters.formats.safetensors.reader import read_index, read_safetensors

TORCH_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "float8_e4m3fnuz": torch.float8_e4m3fnuz,
    "float8_e5m2fnuz": torch.float8_e5m2fnuz,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "uint16": torch.uint16,
    "int32": torch.int32,
    "uint32": torch.uint32,
    "int64": torch.int64,
    "uint64": torch.uint64,
    "bool": torch.bool,
}
GOOD = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def write(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file by hand, so that it can be wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def read_all(file: TensorFile) -> dict[str, np.ndarray]:
    return {entry.name: entry.read() for entry in file.entries}


@given(
    st.dictionaries(
        st.sampled_from(["a", "conv1.weight", "ß 3", "x" * 900]),
        st.tuples(st.sampled_from(list(TORCH_DTYPES)), st.lists(st.integers(0, 4), max_size=5), st.integers(0, 99)),
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_what_torch_saved_is_read_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, spec: dict[str, Any]):
    tensors, expected = {}, {}
    for name, (dtype, shape, seed) in spec.items():
        size = torch.empty((), dtype=TORCH_DTYPES[dtype]).element_size() * int(np.prod(shape))
        raw = np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 256, size, dtype=np.uint8)
        tensors[name] = torch.empty(shape, dtype=TORCH_DTYPES[dtype])
        if size:
            tensors[name].view(-1).view(torch.uint8).copy_(torch.from_numpy(raw))
        # torch knows unsigned integers beyond 8 bits as types, but converts too few of them to rely on.
        numpy_type = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
        with np.errstate(invalid="ignore"):
            expected[name] = raw.view(numpy_type).astype(np.float64).reshape(shape)
    path = tmp_path_factory.mktemp("saved") / "a.safetensors"
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    file = read_safetensors(path, "a")
    assert {entry.name: (entry.dtype, entry.shape) for entry in file.entries} == {
        name: (dtype, tuple(shape)) for name, (dtype, shape, _) in spec.items()
    }
    for name, values in read_all(file).items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int8])
def test_values_are_those_that_torch_upcasts_to(tmp_path: Path, dtype: torch.dtype):
    weight = (torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 20).to(dtype)
    safetensors.torch.save_file({"conv.weight": weight}, tmp_path / "a")
    (entry,) = read_safetensors(tmp_path / "a", "a").entries
    np.testing.assert_array_equal(entry.read(), weight.to(torch.float64).numpy())


def test_what_numpy_saved_in_the_order_of_the_data(tmp_path: Path):
    arrays = {"b": np.arange(6, dtype=np.int64), "a": np.ones((2, 2), np.float32), "c": np.zeros((), np.float16)}
    safetensors.numpy.save_file(arrays, tmp_path / "a", metadata={"a": "b"})
    file = read_safetensors(tmp_path / "a", "the file")
    assert (file.source, file.ordered, file.notes) == ("the file", False, ())
    header = json.loads((tmp_path / "a").read_bytes()[8:].split(b"}}")[0] + b"}}")
    offsets = [header[entry.name]["data_offsets"][0] for entry in file.entries]
    assert len(offsets) == 3
    assert offsets == sorted(offsets)
    for name, values in read_all(file).items():
        np.testing.assert_array_equal(values, arrays[name])


def test_only_the_header_and_the_tensor_are_read(tmp_path: Path):
    """Of a file of 20 GB, of which the disk holds a few kilobytes."""
    size = 4 * 5000 << 20
    header = {"big": {"dtype": "F32", "shape": [1 << 20, 5000], "data_offsets": [0, size]}}
    header["conv1.weight"] = {"dtype": "F32", "shape": [2], "data_offsets": [size, size + 8]}
    path = write(tmp_path / "a", header)
    start = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start + size)
        file.write(np.array([1.5, -2], "<f4").tobytes())
    big, weight = read_safetensors(path, "a").entries
    np.testing.assert_array_equal(weight.read(), [1.5, -2])
    with pytest.raises(SourceError, match=r"big declares 5,242,880,000 numbers; expected at most"):
        big.read()


@pytest.mark.parametrize(("dtype", "bits"), [("F4", 4), ("F6_E2M3", 6), ("C64", 64), ("Q3_K", 7)])
def test_types_that_no_weight_has_are_listed_and_refused_when_read(tmp_path: Path, dtype: str, bits: int):
    header = {"a.weight": {"dtype": dtype, "shape": [4, 2], "data_offsets": [0, bits]}}
    (entry,) = read_safetensors(write(tmp_path / "a", header, bytes(bits)), "a").entries
    assert entry.shape == (4, 2)
    with pytest.raises(SourceError, match=r"^a: a\.weight: numbers of type \w+ are not supported; expected one of"):
        entry.read()


def fields(**other: Any) -> dict[str, Any]:
    return {"w": {**GOOD, **other}}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "does not begin with '{'"),
        (b" " + json.dumps(fields()).encode(), "does not begin with '{'"),
        (b"{", "the header is not valid JSON"),
        (b"{}}", "the header is not valid JSON"),
        (b'{"a":"\xff"}', "the header is not valid JSON"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a":' + b'{"b":' * 100_000, "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "the header is not valid JSON"),
        (b'{"w":1,"w":1}', "the header has the key 'w' twice"),
        (b'{"w":{"dtype":"F32","dtype":"F32"}}', "the header has the key 'dtype' twice"),
        (b'{"w":[' + b'{"":[' * 750_001, "larger than any network's"),
        (b'{"w":[' + b"0," * 1_500_001 + b"0]}", "larger than any network's"),
        (b'{"a\\nb":1}', r"a tensor is called 'a\\nb'; expected a printable name"),
        (b'{"\\ud800":1}', "expected a printable name"),
        (b'{"":1}', "expected a printable name"),
        ({"x" * 1001: GOOD}, r"a tensor is called 'x+\.\.\.'; expected a printable name"),
        ({"w": 1}, "w: the header says .*; expected dtype, shape and data_offsets"),
        ({"w": {}}, "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(dtype=1), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(dtype="F\n"), "w: the numbers are of type 'F\\\\n'"),
        (fields(shape=None), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape="23"), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[2, 3.0]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[2, -3]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[True, 6]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[1] * 65), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[2**64]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(shape=[2**62, 2**62]), "w: no array has the shape"),
        (fields(shape=[0, 2**62], data_offsets=[0, 0]), "w: no array has the shape"),
        (fields(data_offsets=[0]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(data_offsets=[0, 24, 48]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(data_offsets=[-24, 0]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(data_offsets=[float("nan"), 24]), "w: the header says .*; expected dtype, shape and data_offsets"),
        (fields(data_offsets=[24, 0]), "w: F32 of shape .2, 3. does not fit into its bytes 24 to 0"),
        (fields(data_offsets=[0, 23]), "w: F32 of shape .2, 3. does not fit into its bytes 0 to 23"),
        (fields(dtype="F4", data_offsets=[0, 4]), "w: F4 of shape .2, 3. does not fit"),
        (fields(data_offsets=[8, 32]), "w: its bytes 8 to 32 lie outside the 24 bytes of data"),
        ({"v": GOOD, "w": GOOD}, "w: its bytes overlap another tensor's"),
        ({"v": GOOD, "w": {"dtype": "U8", "shape": [1], "data_offsets": [23, 24]}}, "w: its bytes overlap"),
    ],
)
def test_headers_that_contradict_themselves(tmp_path: Path, header: Any, message: str):
    with pytest.raises(SourceError, match=message) as caught:
        read_safetensors(write(tmp_path / "a", header, bytes(24)), "the file")
    assert str(caught.value).startswith("the file: ")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_the_same_header_is_good_when_nothing_is_wrong(tmp_path: Path):
    header = {"__metadata__": {"format": "pt"}, **fields(), "empty": {**GOOD, "shape": [0], "data_offsets": [24, 24]}}
    assert set(read_all(read_safetensors(write(tmp_path / "a", header, bytes(24)), "a"))) == {"w", "empty"}
    assert parse_header(b"{}", 0) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x10\0\0\0\0\0\0", "ends after 7 bytes"),
        (
            struct.pack("<Q", 2**63),
            "declares a header of 9,223,372,036,854,775,808 bytes; expected at most 100,000,000",
        ),
        (struct.pack("<Q", 3) + b"{}", "declares a header of 3 bytes, and has 10 in all: it is cut off"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "is a Git LFS pointer"),
        (b"PK\x03\x04 a zip archive", "no safetensors file"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_safetensors(tmp_path / "a", "a")


def test_files_that_cannot_be_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, message in (("none", "No such file"), ("pipe", "it is a named pipe"), ("circle", "cannot be read")):
        with pytest.raises(SourceError, match=message):
            read_safetensors(tmp_path / name, name)
    with pytest.raises(SourceError, match="it is a folder"):
        read_safetensors(tmp_path, "folder")


def test_a_file_that_shrinks_after_its_header_was_read(tmp_path: Path):
    path = write(tmp_path / "a", fields(), bytes(24))
    (entry,) = read_safetensors(path, "a").entries
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(SourceError, match=r"^a: w: holds 23 bytes where float32 of shape \(2, 3\) needs 24"):
        entry.read()


def refusal(path: Path) -> str:
    """Why a file is not read, or nothing when all of it is."""
    try:
        read_all(read_safetensors(path, "a"))
    except (SourceError, InputError) as error:
        return str(error)
    return ""


def mutated(seed: int, content: bytes) -> bytes:
    """Flip, cut, double or insert, mostly within the header."""
    rng = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, min(len(data), 400) if rng.random() < 0.9 else len(data)))
        match rng.integers(0, 6):
            case 0:
                data[at] ^= 1 << rng.integers(0, 8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + int(rng.integers(1, 60))]
            case 3:
                del data[at : at + int(rng.integers(1, 20))]
            case 4:
                data[at : at + 1] = b'0123456789-[]{},:"\\.eE'[rng.integers(0, 22) :][:1]
            case 5:
                data[at:at] = [b"99999999999999999999", b"null", b"-1", b"1e400", b'"', b"\xff\xfe"][rng.integers(0, 6)]
        if not data:
            break
    return bytes(data)


def test_thousands_of_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path):
    rng = np.random.default_rng(0)
    tensors = {
        f"{i}.weight": torch.from_numpy(rng.normal(size=(2, 3, 3))).to(dtype)
        for i, dtype in enumerate([torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.int8])
    }
    content = safetensors.torch.save(tensors)
    path, refused = tmp_path / "a", 0
    for seed in range(3000):
        path.write_bytes(mutated(seed, content))
        message = refusal(path)
        assert len(message.splitlines()) <= 1, seed
        refused += message != ""
    assert 1500 < refused < 3000


def sharded(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    arrays = {f"layer{i}.weight": np.full((2, 2), i, np.float32) for i in range(4)}
    names = list(arrays)
    weight_map = {}
    for shard, held in enumerate((names[:1], names[1:])):
        file = f"model-{shard + 1:05}-of-00002.safetensors"
        safetensors.numpy.save_file({name: arrays[name] for name in held}, folder / file)
        weight_map |= dict.fromkeys(held, file)
    index = folder / "model.safetensors.index.json"
    weight_map = dict(sorted(weight_map.items(), reverse=True))
    index.write_text(json.dumps({"metadata": {"total_size": 64}, "weight_map": weight_map}))
    return index, {name: arrays[name] for name in weight_map}


def test_shards_are_one_model_in_the_order_of_the_index(tmp_path: Path):
    index, arrays = sharded(tmp_path)
    file = read_index(index, "model")
    assert [entry.name for entry in file.entries] == list(arrays)
    assert not file.ordered
    for name, values in read_all(file).items():
        np.testing.assert_array_equal(values, arrays[name])


def test_shards_in_the_cache_of_the_hub_are_links_into_its_store(tmp_path: Path):
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    _, arrays = sharded(blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", file.name))
    file = read_index(snapshot / "model.safetensors.index.json", "model")
    assert set(read_all(file)) == set(arrays)


@pytest.mark.parametrize(
    "file",
    [
        "../a.safetensors",
        "/a.safetensors",
        "x/../../a.safetensors",
        "..\\a.safetensors",
        "C:a.safetensors",
        "a.h5",
        "",
    ],
)
def test_an_index_that_names_a_file_elsewhere_is_refused(tmp_path: Path, file: str):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": file}}))
    with pytest.raises(
        SourceError, match=r"model: the index names .*; expected a \.safetensors or \.bin[^\n]* file in its own folder"
    ):
        read_index(index, "model")


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    index, _ = sharded(tmp_path / "inside")
    first = tmp_path / "inside" / "model-00001-of-00002.safetensors"
    first.rename(tmp_path / "moved.safetensors")
    with pytest.raises(SourceError, match=r"^model: model-00001-of-00002.safetensors: cannot be read \(No such file"):
        read_index(index, "model")
    first.symlink_to(tmp_path / "moved.safetensors")
    with pytest.raises(SourceError, match="is a link that leads out of the index's folder"):
        read_index(index, "model")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "has no weight_map"),
        ("{}", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": {"a": 1}}', "has no weight_map"),
        ('{"weight_map": {"a": "b", "a": "b"}}', "the index has the key 'a' twice"),
        ("{", "the index is not valid JSON"),
        (json.dumps({"weight_map": {str(i): f"{i}.safetensors" for i in range(1001)}}), "names 1,001 files"),
        (json.dumps({"weight_map": {"no": "model-00001-of-00002.safetensors"}}), "holds 'no', but it does not"),
    ],
)
def test_an_index_that_is_damaged(tmp_path: Path, content: str, message: str):
    index, _ = sharded(tmp_path)
    index.write_text(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_index(index, "model")
    assert len(str(caught.value).splitlines()) == 1
