"""Descriptions of tensors and containers that torch.save would not write: refused, in bounded time."""

import io
import pickle
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import _utils

from firstlight.errors import SourceError
from firstlight.filters.formats.torch.reader import read_torch

EIGHT = ("storage", torch.FloatStorage, "0", "cpu", 8)
NO_HOOKS = OrderedDict()
INT8 = ("storage", torch.QInt8Storage, "q", "cpu", 8)


class Stored:
    """Pickles as a persistent id."""

    def __init__(self, identity):
        self.identity = identity


class Rebuilt:
    """Pickles as a call of this function, with this state for the result."""

    def __init__(self, function, *args, state=None):
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.call


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, Stored) else None


def archive(path, value):
    """A zip archive with this object, and one storage of eight numbers."""
    data = value
    if not isinstance(value, bytes):
        file = io.BytesIO()
        Pickler(file, 2).dump(value)
        data = file.getvalue()
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("net/data.pkl", data)
        new.writestr("net/data/0", np.arange(8, dtype=np.float32).tobytes())
        new.writestr("net/data/q", np.arange(-4, 4, dtype=np.int8).tobytes())
    return path


def tensor(offset: object = 0, size: object = (8,), strides: object = (1,), storage: object = EIGHT):
    return Rebuilt(_utils._rebuild_tensor_v2, Stored(storage), offset, size, strides, False, NO_HOOKS)


def quantised(*quantizer, size=(2, 4)):
    return Rebuilt(_utils._rebuild_qtensor, Stored(INT8), 0, size, (4, 1), quantizer, False, NO_HOOKS)


@pytest.mark.filterwarnings("ignore:TypedStorage:UserWarning", "ignore:torch.quantize_per:UserWarning")
def test_what_these_helpers_write_is_what_torch_reads(tmp_path):
    weight = tensor(1, (3, 2), (2, 1))
    path = archive(tmp_path / "ckpt.pt", {"weight": weight, "q": quantised(torch.per_tensor_affine, 0.5, 1)})
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("net/version", "3")
    wanted = torch.load(path, weights_only=True)
    first, second = read_torch(path, "ckpt.pt").entries
    np.testing.assert_array_equal(first.read(), wanted["weight"].double().numpy())
    np.testing.assert_array_equal(second.read(), wanted["q"].dequantize().double().numpy())


@pytest.mark.parametrize(
    "value",
    [
        tensor(offset=-1),
        tensor(offset=1 << 70),
        tensor(offset=0.0),
        tensor(size=(-8,)),
        tensor(size=(1 << 63,)),
        tensor(size=(8.0,)),
        tensor(size=8),
        tensor(size=(1,) * 65, strides=(1,) * 65),
        tensor(strides=(-1,)),
        tensor(strides=(1, 1)),
        tensor(storage="a name"),
        tensor(storage=7),
        tensor(storage=()),
        tensor(storage=("module", 1, 2, 3)),
        tensor(storage=("storage", torch.Size, "0", "cpu", 8)),
        tensor(storage=("storage", torch.FloatStorage, 0, "cpu", 8)),
        tensor(storage=("storage", torch.FloatStorage, "0", "cpu", -8)),
        tensor(storage=("storage", torch.FloatStorage, "0", "cpu", "8")),
        tensor(storage=("storage", torch.FloatStorage, "0", "cpu", 8, ("view", 4, 5))),
        tensor(storage=("storage", torch.FloatStorage, "0", "cpu", 8, ("view", -1, 5))),
        tensor(storage=("storage", torch.FloatStorage, "0", "cpu", 8, None, None)),
        Rebuilt(_utils._rebuild_tensor_v2),
        Rebuilt(_utils._rebuild_tensor_v2, 1, 2, 3, 4, 5, 6),
        Rebuilt(_utils._rebuild_tensor_v2, *range(11)),
        Rebuilt(_utils._rebuild_tensor_v3, Stored(EIGHT), 0, (8,), (1,), False, NO_HOOKS, "float32"),
        Rebuilt(_utils._rebuild_tensor_v3, Stored(EIGHT), 0, (8,), (1,), False, NO_HOOKS, torch.Size),
        Rebuilt(_utils._rebuild_sparse_tensor, 1, (None, True)),
        Rebuilt(_utils._rebuild_meta_tensor_no_storage, torch.float32, -1, (1,), False),
        {"a" * 300: {"b" * 300: tensor()}},
    ],
)
def test_descriptions_that_make_no_sense_refuse_the_file(tmp_path, value):
    with pytest.raises(SourceError, match=r"^ckpt\.pt is damaged, or torch\.save did not write it: it has [^\n]+$"):
        read_torch(archive(tmp_path / "ckpt.pt", {"weight": value}), "ckpt.pt")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (tensor(offset=1), "reaches beyond its storage"),
        (tensor(size=(3, 3), strides=(3, 1)), "reaches beyond its storage"),
        (tensor(size=(2,), strides=(1 << 62,)), "reaches beyond its storage"),
        (tensor(size=(1 << 62, 1 << 62), strides=(0, 0)), "at most 16,777,216"),
        (tensor(size=(0, 1 << 62), strides=(0, 0)), "larger than any first layer"),
        (tensor(storage=("storage", torch.FloatStorage, "0", "cpu", 9), offset=1), "has only 32 bytes"),
        (tensor(storage=("storage", torch.FloatStorage, "1", "cpu", 8)), "record net/data/1 is missing"),
        (tensor(storage=("storage", torch.FloatStorage, "../../../etc/passwd", "cpu", 8)), "is missing"),
        (
            tensor(size=(2,), strides=(1 << 40,), storage=("storage", torch.FloatStorage, "0", "cpu", 1 << 41)),
            "more than are read at once",
        ),
        (tensor(storage=("storage", torch.QUInt4x2Storage, "0", "cpu", 8)), "quint4x2"),
        (quantised(torch.per_tensor_affine, "a", 0), "scale and zero point"),
        (quantised(torch.per_tensor_affine, 0.5, 1 << 2000), "scale and zero point"),
        (quantised(torch.per_channel_affine, [0.1, 0.2], [0, 1], 2), "scale and zero point"),
        (quantised(torch.per_channel_affine, [0.1, 0.2, 0.3], [0, 1], 0), "not one a channel"),
        (quantised(torch.per_channel_affine, [0.1, "a"], [0, 1], 0), "not one a channel"),
        (quantised(torch.per_channel_affine, [0.1, 0.2], [0, 1 << 2000], 0), "not one a channel"),
        (quantised(torch.per_channel_affine, tensor(size=(-1,)), [0, 1], 0), "size makes no sense"),
        (quantised(torch.per_channel_affine, tensor(size=(9,)), [0, 1], 0), "not one a channel"),
    ],
)
def test_tensors_that_the_file_does_not_hold_are_refused_when_read(tmp_path, value, says):
    file = read_torch(archive(tmp_path / "ckpt.pt", {"weight": value, "good": tensor()}), "ckpt.pt")
    with pytest.raises(SourceError, match=rf"^[^\n]*{says}[^\n]*$"):
        file.entries[0].read()
    np.testing.assert_array_equal(file.entries[-1].read(), np.arange(8))


def test_dimensions_of_one_or_no_elements_may_have_any_stride(tmp_path):
    value = {"one": tensor(7, (1, 1), (1 << 62, 1 << 62)), "none": tensor(8, (0, 3), (5, 5))}
    one, none = read_torch(archive(tmp_path / "ckpt.pt", value), "ckpt.pt").entries
    np.testing.assert_array_equal(one.read(), [[7]])
    assert none.read().shape == (0, 3)


def test_names_are_shown_without_control_characters(tmp_path):
    value = {"a\nb\x1b[0m": tensor(), ("k", 1): tensor(), (1,) * 1000: tensor(), "\ud800": tensor()}
    names = [entry.name for entry in read_torch(archive(tmp_path / "ckpt.pt", value), "ckpt.pt").entries]
    assert names == ["a\\nb\\u001b[0m", "('k', 1)", "tuple", "\\ud800"]


def test_containers_that_hold_themselves_end(tmp_path):
    inner: dict = {"weight": tensor()}
    inner["self"] = inner
    inner["list"] = [inner, [inner]]
    found = read_torch(archive(tmp_path / "ckpt.pt", inner), "ckpt.pt")
    assert [entry.name for entry in found.entries] == ["weight"]


def test_a_container_in_several_places_is_listed_once(tmp_path):
    state = {"weight": tensor()}
    found = read_torch(archive(tmp_path / "ckpt.pt", {"a": state, "b": [state]}), "ckpt.pt")
    assert [entry.name for entry in found.entries] == ["a.weight"]


TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\x08tQK\0K"
)
TENSOR += b"\x08\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"]q\0" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(90)) + b".", "holds no tensors"),
        (b")" + b"\x85" * 200_000 + b".", "deep"),
        (b"]" * 200_000 + b"a" * 199_999 + b".", "deep"),
        (TENSOR + b"q\x010" + b"]h\1a" * 50_000 + b"a" * 49_999 + b".", "deep"),
        (TENSOR + b"q\x010](" + b"h\1" * 150_000 + b"e.", "too many tensors"),
        (
            b"ctorch._utils\n_rebuild_parameter\nq\x010" + TENSOR + b"q\x020" + b"h\1h\2\x85Rq\x020" * 20 + b"h\2.",
            "wrap",
        ),
    ],
)
def test_nesting_without_end_is_refused_soon(tmp_path, data, says):
    path = archive(tmp_path / "ckpt.pt", b"\x80\x02" + data)
    begin = time.process_time()
    with pytest.raises(SourceError, match=rf"^ckpt\.pt [^\n]*{says}"):
        read_torch(path, "ckpt.pt")
    assert time.process_time() - begin < 5


def test_the_tensor_of_these_pickles_is_one(tmp_path):
    path = archive(tmp_path / "ckpt.pt", b"\x80\x02" + TENSOR + b".")
    np.testing.assert_array_equal(read_torch(path, "ckpt.pt").entries[0].read(), np.arange(8))
