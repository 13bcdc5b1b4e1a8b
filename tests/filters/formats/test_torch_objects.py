"""Checkpoints with objects beside the tensors: those are read, and nothing of the classes of these is run."""

import argparse
import collections
import datetime
import enum
import pathlib
import pickle
import subprocess
import sys
import types
import zoneinfo
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from firstlight.errors import SourceError
from firstlight.filters.formats.torch.reader import read_torch

WEIGHT = torch.arange(8.0).reshape(2, 4)


class Mode(enum.Enum):
    TRAIN = "train"


class Flags(enum.Flag):
    A = 1
    B = 2


class Config(dict):
    """With its keys as attributes, as several packages have it."""

    def __init__(self, **values):
        super().__init__(values)
        self.__dict__ = self


class Lists(list):
    pass


@dataclass
class Options:
    rate: float = 0.1
    steps: list = field(default_factory=lambda: [1, 2])


Pair = collections.namedtuple("Pair", ["first", "second"])
Many = collections.namedtuple("Many", [f"n{i}" for i in range(12)])

NET = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1, bias=False)))

OBJECTS = {
    "NumPy scalar": np.float64(0.9),
    "array": np.arange(3.0),
    "array of objects": np.array([None, "a"], dtype=object),
    "generator": np.random.default_rng(0),
    "random state": np.random.RandomState(0).get_state(),
    "Namespace": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/x")),
    "SimpleNamespace": types.SimpleNamespace(a=1),
    "path": pathlib.Path("/x"),
    "datetime": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    "time zone": datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    "timedelta": datetime.timedelta(1),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "deque": collections.deque([1, 2]),
    "enum": {Mode.TRAIN: Mode.TRAIN},
    "flags": Flags.A | Flags.B,
    "dataclass": Options(),
    "dict's subclass": Config(a=1),
    "list's subclass": Lists([1, 2]),
    "named tuple": Pair(1, 2),
    "named tuple of many": Many(*range(12)),
    "class": Options,
    "function": collections.namedtuple,
    "method": Options().__repr__,
    "slice": slice(1, 2),
    "range": range(3),
    "exception": ValueError("a"),
    "tensor's attributes": nn.Parameter(WEIGHT),
}


def names(value, path, **options):
    torch.save(value, path, **options)
    return {entry.name: entry.read() for entry in read_torch(path, "ckpt.pt").entries}


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_cost_no_tensors(tmp_path, name, protocol, in_zip):
    value = {"other": OBJECTS[name], "model": {"conv1.weight": WEIGHT}, "args": [OBJECTS[name]]}
    found = names(value, tmp_path / "a", pickle_protocol=protocol, _use_new_zipfile_serialization=in_zip)
    np.testing.assert_array_equal(found["model.conv1.weight"], WEIGHT)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (argparse.Namespace(model={"w": WEIGHT}), "model.w"),
        (types.SimpleNamespace(model=[WEIGHT]), "model.0"),
        (collections.defaultdict(list, model=[WEIGHT]), "model.0"),
        (Config(model=Config(w=WEIGHT)), "model.w"),
        (Lists([{"w": WEIGHT}]), "0.w"),
        (collections.deque([WEIGHT]), "0"),
        (Pair(1, {"w": WEIGHT}), "1.w"),
        (Options(WEIGHT), "rate"),  # pyright: ignore[reportArgumentType]
    ],
    ids=lambda value: type(value).__name__,
)
def test_tensors_within_objects_are_read(tmp_path, value, name):
    found = names(value, tmp_path / "a")
    assert found.keys() == {name}
    np.testing.assert_array_equal(found[name], WEIGHT)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_whole_network_is_read_as_its_state_dict(tmp_path, in_zip, protocol):
    options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": in_zip}
    found = names(NET, tmp_path / "a", **options)
    assert list(found) == list(NET.state_dict())
    for name, value in NET.state_dict().items():
        np.testing.assert_array_equal(found[name], value)
    within = names({"epoch": 3, "model": NET.half()}, tmp_path / "a", **options)
    NET.float()
    assert list(within) == [f"model.{name}" for name in NET.state_dict()]


def test_what_was_not_run_is_noted_by_its_package(tmp_path):
    value = {"w": WEIGHT, "other": [np.float64(1), argparse.Namespace(), collections.defaultdict(list)]}
    torch.save(value, tmp_path / "a")
    assert read_torch(tmp_path / "a", "ckpt.pt").notes == (
        "the file holds objects of numpy, argparse: only the tensors in them were read, and nothing of theirs was run",
    )
    torch.save({"w": WEIGHT, "other": collections.defaultdict(list)}, tmp_path / "a")
    assert read_torch(tmp_path / "a", "ckpt.pt").notes == ()


class Attack:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize(
    ("function", "args", "name"),
    [
        (eval, ("open('appeared', 'w')",), "builtins.eval"),
        (exec, ("open('appeared', 'w')",), "builtins.exec"),
        (open, ("appeared", "w"), "open"),
        (subprocess.Popen, (["touch", "appeared"],), "Popen"),
        (pathlib.Path.touch, (pathlib.Path("appeared"),), "Path.touch"),
        (pickle.loads, (b"N.",), "loads"),
    ],
)
def test_attacks_beside_and_within_objects_are_refused(tmp_path, monkeypatch, function, args, name, in_zip):
    monkeypatch.chdir(tmp_path)
    value = {"w": WEIGHT, "args": argparse.Namespace(a=[Attack(function, *args)])}
    torch.save(value, "a", _use_new_zipfile_serialization=in_zip)
    with pytest.raises(SourceError, match=rf"^ckpt\.pt names [^ ,]*{name}, which [^\n]+$"):
        read_torch(tmp_path / "a", "ckpt.pt")
    assert not (tmp_path / "appeared").exists()


def test_no_class_is_imported_or_made(tmp_path, monkeypatch):
    """The classes' module tells whether anybody imports it; torch.load, which does, makes it tell."""
    (tmp_path / "planted.py").write_text(
        "print('imported')\nclass Thing(dict):\n    def __new__(cls, **values):\n        print('made')\n"
        "        return dict.__new__(cls)\n    def __setstate__(self, state):\n        print('given')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import planted  # pyright: ignore[reportMissingImports]

    thing = planted.Thing(w=WEIGHT)
    thing.more = 1
    torch.save(thing, tmp_path / "a")
    read = "import sys; from pathlib import Path; from firstlight.filters.formats.torch.reader import read_torch; "
    read += "file = read_torch(Path('a'), 'a'); assert file.entries[0].read().shape == (2, 4); "
    for program, printed in (
        (read + "assert 'planted' not in sys.modules", ""),
        ("import torch; torch.load('a', weights_only=False)", "imported\nmade\ngiven\n"),
    ):
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == printed
