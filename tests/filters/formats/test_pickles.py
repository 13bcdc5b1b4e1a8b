"""Pickles read as inert data: the same containers as pickle makes, and nothing that they name is ever called."""

import contextlib
import copyreg
import io
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import types
from collections import Counter, OrderedDict

import pytest
from hypothesis import given, strategies as st

from firstlight.errors import SourceError
from firstlight.filters.formats.torch.pickle_values import Call, Global, Mapping
from firstlight.filters.formats.torch.pickles import MAX_OPCODES, read_pickle

KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.binary(max_size=5)
VALUES = st.recursive(
    KEYS | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=20,
)


def read(data, allowed=lambda found: False, **options):
    return read_pickle(io.BytesIO(data), "ckpt.pt", allowed, **options)


def plain(value):
    """What was read, or was written, with every mapping as a dict."""
    if isinstance(value, Mapping | dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, Call):  # up to protocol 2, bytes are written as a call
        return value.args[0].encode(value.args[1]) if value.args else b""
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


@given(VALUES, st.integers(2, 5))
def test_containers_and_numbers_are_those_that_pickle_makes(value, protocol):
    found = read(pickle.dumps(value, protocol), lambda found: found.path == "builtins.bytes")
    assert repr(plain(found)) == repr(plain(value))  # tells 1 from True and from 1.0


@pytest.mark.parametrize("protocol", range(2, 6))
def test_order_of_keys_and_sharing_are_kept(protocol):
    shared = [1]
    value = read(pickle.dumps(OrderedDict(z=shared, a=shared, m=Counter("aab")), protocol))
    keys, items = zip(*value.items(), strict=True)
    assert keys == ("z", "a", "m")
    assert items[0] is items[1]
    assert dict(items[2].items()) == {"a": 2, "b": 1}


def test_an_ordered_dict_as_python_2_wrote_it():
    value = read(b"\x80\x02ccollections\nOrderedDict\n](](U\x01bK\x01e](U\x01aK\x02ee\x85R.")
    assert list(value.items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_sets_are_read_as_lists(protocol):
    value = read(pickle.dumps([{1}, frozenset([2])], protocol), lambda found: found.name == "frozenset")
    assert value[0] == [1] if protocol > 3 else value[0].args == ([1],)


def test_one_pickle_after_the_other():
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps([2], 4) + b"numbers")
    assert [read_pickle(stream, "ckpt.pt") for _ in range(2)] == [1, [2]]
    assert stream.read() == b"numbers"


def test_calls_are_recorded_with_their_state():
    value = read(b"\x80\x02ctorch\nSize\nK\x05\x85R}K\x01K\x02sb.", lambda found: found.path == "torch.Size")
    assert isinstance(value, Call)
    assert (value.function.path, value.args, list(value.state.items())) == ("torch.Size", (5,), [(1, 2)])


def test_persistent_ids_become_what_they_stand_for():
    assert read(b"\x80\x02K\x07\x85Q.", persistent=lambda identity: ("stands for", identity)) == ("stands for", (7,))


# What runs code, each as an expression of pickle opcodes that makes the folder when `pickle` reads it.
def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


ATTACKS = {
    "REDUCE": lambda path: b"cos\nmkdir\n" + text(path) + b"\x85R",
    "REDUCE of a shell": lambda path: b"cos\nsystem\n" + text(f"mkdir {path}") + b"\x85R",
    "REDUCE of eval": lambda path: b"cbuiltins\neval\n" + text(f"__import__('os').mkdir({path!r})") + b"\x85R",
    "eval of Python 2": lambda path: b"c__builtin__\neval\n" + text(f"__import__('os').mkdir({path!r})") + b"\x85R",
    "STACK_GLOBAL": lambda path: text("os") + text("mkdir") + b"\x93" + text(path) + b"\x85R",
    "INST": lambda path: b"(" + text(path) + b"ios\nmkdir\n",
    "OBJ": lambda path: b"(csubprocess\nPopen\n](" + text("mkdir") + text(path) + b"eo",
    "NEWOBJ": lambda path: b"cplanting\nMaker\n" + text(path) + b"\x85\x81",
    "NEWOBJ_EX": lambda path: b"cplanting\nMaker\n" + text(path) + b"\x85}\x92",
    "EXT1": lambda path: b"\x82\xf0" + text(path) + b"\x85R",
    "EXT2": lambda path: b"\x83\xf0\x00" + text(path) + b"\x85R",
    "EXT4": lambda path: b"\x84\xf0\x00\x00\x00" + text(path) + b"\x85R",
    "in a list": lambda path: b"](K\x01cos\nmkdir\n" + text(path) + b"\x85Re",
    "as a key": lambda path: b"}cos\nmkdir\n" + text(path) + b"\x85RK\x01s",
    "in BUILD": lambda path: b"ccollections\nOrderedDict\n)R}" + text("_m") + b"cos\nmkdir\n" + text(path) + b"\x85Rsb",
    "behind what is taken off": lambda path: b"cos\nmkdir\n" + text(path) + b"\x85R0N",
    "an argument of an allowed call": lambda path: b"cbuiltins\nset\n](cos\nmkdir\n" + text(path) + b"\x85Re\x85R",
}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A folder that must not appear, and a class that makes it when it is constructed."""

    class Maker:
        def __new__(cls, path):
            os.mkdir(path)
            return object.__new__(cls)

    monkeypatch.setitem(sys.modules, "planting", types.SimpleNamespace(Maker=Maker))
    copyreg.add_extension("os", "mkdir", 0xF0)
    yield tmp_path / "appeared"
    copyreg.remove_extension("os", "mkdir", 0xF0)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_code_is_run(name, planted):
    data = b"\x80\x02" + ATTACKS[name](str(planted)) + b"."
    with pytest.raises(SourceError, match=r"^ckpt\.pt [^\n]+$"):
        read(data)
    assert not planted.exists()
    result = pickle.loads(data)  # the attack is real: with pickle itself it succeeds
    if isinstance(result, subprocess.Popen):
        result.wait()
    assert planted.exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"cos\nsystem\n", r"os\.system"),
        (b"]X\4\0\0\0os\n\x1bX\1\0\0\0A\x93", r"os\\n\\u001b\.A"),
        (b"X\x0b\0\0\0collectionsX\x14\0\0\0OrderedDict.fromkeys\x93", r"collections\.OrderedDict\.fromkeys"),
        (b"cbuiltins\ngetattr\ncpathlib\nPath\nX\5\0\0\0touch\x86R)R", r"pathlib\.Path\.touch"),
    ],
)
def test_refusals_name_what_is_refused_in_one_line_with_the_remedy(data, says):
    with pytest.raises(
        SourceError, match=rf"^ckpt\.pt names {says}, which[^\n]*; expected [^\n]+: load it nowhere[^\n]+$"
    ):
        read(b"\x80\x04" + data + b".", lambda found: found.path in ("builtins.getattr", "pathlib.Path"))


MALFORMED = {
    "empty": b"",
    "no stop": b"\x80\x02K\x01",
    "nothing left": b"\x80\x02.",
    "unknown opcode": b"\x80\x02\xff.",
    "stack underflow": b"\x80\x02\x87.",
    "unopened mark": b"\x80\x02t.",
    "unclosed mark": b"\x80\x02K\x01(.",
    "object of nothing": b"\x80\x02(o.",
    "unknown memo": b"\x80\x02h\x05.",
    "memo of nothing": b"\x80\x02q\x05.",
    "memo index in text": b"\x80\x02)p1\n.",
    "string in text": b"\x80\x02S'\\o'\n.",
    "append to a number": b"\x80\x02K\x01K\x02a.",
    "append to a tuple": b"\x80\x02)K\x02a.",
    "key of a list": b"\x80\x02]K\x01K\x02s.",
    "key without a value": b"\x80\x02}(K\x01u.",
    "call of a number": b"\x80\x02K\x01)R.",
    "call with a list": b"\x80\x02cbuiltins\nset\n]R.",
    "call with keywords": b"\x80\x04cbuiltins\nset\n)}K\x01K\x02s\x92.",
    "state of a number": b"\x80\x02K\x01}b.",
    "state of a name": b"\x80\x02cbuiltins\nset\n}b.",
    "ordered dict of a number": b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
    "ordered dict of numbers": b"\x80\x02ccollections\nOrderedDict\n](K\x01K\x02e\x85R.",
    "name of numbers": b"\x80\x04K\x01K\x02\x93.",
    "persistent id": b"\x80\x02K\x01Q.",
    "persistent id in text": b"\x80\x02Pos.system\n.",
    "buffer from outside": b"\x80\x05\x97.",
    "bad UTF-8": b"\x80\x02X\1\0\0\0\xff.",
    "string beyond the end": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.",
    "bytes beyond the end": b"\x80\x04\x8e" + struct.pack("<Q", (1 << 64) - 1) + b"abc.",
    "frame cut off": b"\x80\x04\x95\x01.",
    "long integer": b"\x80\x04\x8b" + struct.pack("<i", 3_000_000) + b"\x7f" * 3_000_000 + b".",
    "long decimal": b"\x80\x02L" + b"9" * 3_000_000 + b"L\n.",
    "long name": b"\x80\x02c" + b"o" * 3_000_000 + b"\nsystem\n.",
    "ordered dict copied often": b"\x80\x04ccollections\nOrderedDict\n\x940]\x94("
    + b"))\x86" * 5_000
    + b"e0]("
    + b"h\0h\1\x85R" * 5_000
    + b"e.",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_pickles_are_refused_in_bounded_time_and_memory(name):
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(SourceError, match=r"^ckpt\.pt [^\n]+$"):
            read(MALFORMED[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 10
    assert peak < 1 << 28


def test_a_pickle_of_too_many_opcodes_is_refused():
    with pytest.raises(SourceError, match="over 1,000,000 opcodes"):
        read(b"\x80\x02](" + b"N" * MAX_OPCODES + b"e.")


def test_depth_is_no_matter():
    value, depth = read(b"\x80\x02)" + b"\x85" * 300_000 + b"."), 0
    while value:
        (value,), depth = value, depth + 1
    assert depth == 300_000


def test_a_memo_index_costs_nothing():
    tracemalloc.start()
    assert read(b"\x80\x02]r\xff\xff\xff\xff0j\xff\xff\xff\xff.") == []
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_keys_that_collide_when_hashed_take_no_longer_than_others():
    count = 40_000
    colliding = [((1 << 61) - 1) * n for n in range(count)]
    assert len({hash(key) for key in colliding[1:10]}) == 1
    keys = b"".join(b"\x8a\x0a" + key.to_bytes(10, "little") + b"N" for key in colliding)
    begin = time.process_time()
    value = read(b"\x80\x02}(" + keys + b"u.")
    assert time.process_time() - begin < 3  # in a dict it would be minutes
    assert len(list(value.items())) == count


@given(st.binary(max_size=60), st.integers(2, 5))
def test_random_opcodes_end_in_a_value_or_a_source_error(data, protocol):
    with contextlib.suppress(SourceError):
        read(b"\x80" + bytes([protocol]) + data, lambda found: True, persistent=lambda identity: identity)


def test_an_allowed_name_stays_a_name():
    found = read(b"\x80\x02cos\nsystem\n.", lambda found: True)
    assert isinstance(found, Global)
    assert found.path == "os.system"
