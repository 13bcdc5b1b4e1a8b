"""Networks made by name: the user's own factories, however they behave, and libraries that are not there."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from firstlight.errors import InputError, SourceError
from firstlight.filters import load_filters

NETS = """
import sys
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.head = nn.Conv2d(8, 2, 1)
        self.first = nn.Conv2d(3, 8, 5, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.head(self.norm(self.first(x)))


def make():
    return Net()


def talkative():
    print("Loading weights ...")
    return Net()


def with_arguments(depth):
    return Net()


def failing():
    raise RuntimeError("no weights here\\nand a second line")


def silent_failure():
    raise KeyError


def leaving():
    sys.exit("usage: nets.py DEPTH")


def a_list():
    return [Net()]


def lazy_import():
    import a_module_that_nobody_has


def only_linear():
    return nn.Linear(3, 3)


class Makers:
    make = staticmethod(make)

    class Inner:
        make = staticmethod(make)


trained = Net(seed=1)
number = 3
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small package in the current folder, and the name of its module."""
    package = tmp_path / "small_project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(NETS)
    (package / "broken.py").write_text("def make(:\n")
    (package / "raising.py").write_text("raise ValueError('set DATA_DIR first')\n")
    (package / "leaving.py").write_text("import sys\nsys.exit(3)\n")
    (package / "needy.py").write_text("import a_module_that_nobody_has\n")
    (package / "lazy.py").write_text("def __getattr__(name):\n    raise ImportError('lazily')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in list(sys.modules):
        if name.partition(".")[0] == "small_project":
            monkeypatch.delitem(sys.modules, name)
    return "module:small_project.nets"


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch):
    """Leave no module of a test's folder behind."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "small_project":
            del sys.modules[name]


@pytest.mark.parametrize("factory", ["make", "Net", "Makers.make", "Makers.Inner.make", "talkative"])
def test_a_factory_of_the_current_folder_is_called(nets: str, factory: str):
    bank = load_filters(f"{nets}:{factory}")
    torch.manual_seed(0)
    torch.nn.Conv2d(8, 2, 1)
    expected = torch.nn.Conv2d(3, 8, 5, bias=False).weight.detach().double().numpy()
    np.testing.assert_array_equal(bank.weight, expected)
    assert (bank.source, bank.layer, bank.stride, bank.batch_norm) == (f"{nets}:{factory}", "first", (2, 2), "norm")


def test_a_network_that_is_there_already_is_taken_as_it_is(nets: str):
    made, trained = load_filters(f"{nets}:make"), load_filters(f"{nets}:trained")
    assert trained.layer == "first"
    assert not np.array_equal(made.weight, trained.weight)


def test_another_layer_can_be_named_and_an_example_given(nets: str):
    assert load_filters(f"{nets}:make", layer="head").weight.shape == (2, 8, 1, 1)
    assert load_filters(f"{nets}:make", example=torch.zeros(1, 3, 40, 40)).layer == "first"


def test_what_a_factory_prints_stays_out_of_the_results(nets: str, capsys: pytest.CaptureFixture[str]):
    load_filters(f"{nets}:talkative")
    assert capsys.readouterr() == ("", "Loading weights ...\n")


@pytest.mark.parametrize(
    ("factory", "kind", "says"),
    [
        ("with_arguments", SourceError, r"without arguments \(TypeError: .*'depth'"),
        ("failing", SourceError, r"failing\(\) fails; .*\(RuntimeError: no weights here\)$"),
        ("silent_failure", SourceError, r"\(KeyError\)$"),
        ("leaving", SourceError, r"\(SystemExit: usage: nets.py DEPTH\)$"),
        ("lazy_import", SourceError, "needs the module a_module_that_nobody_has, which is not installed"),
        ("a_list", InputError, "returned a list; expected a torch.nn.Module"),
        ("number", InputError, "is a int; expected a function"),
        ("nothing", InputError, "small_project.nets has no nothing; expected a function"),
        ("Makers.nothing", InputError, "has no Makers.nothing"),
        ("make.", InputError, "has no make."),
        ("only_linear", SourceError, "no first convolution found"),
    ],
)
def test_what_a_factory_cannot_give_is_said_in_one_line(nets: str, factory: str, kind: type, says: str):
    with pytest.raises(kind, match=says) as caught:
        load_filters(f"{nets}:{factory}")
    assert "\n" not in str(caught.value)
    assert f"{nets}:{factory}" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ("module:small_project.broken:make", SourceError, r"importing small_project.broken fails.*SyntaxError"),
        ("module:small_project.raising:make", SourceError, r"\(ValueError: set DATA_DIR first\)"),
        ("module:small_project.leaving:make", SourceError, r"\(SystemExit: 3\)"),
        ("module:small_project.needy:make", SourceError, "needs the module a_module_that_nobody_has"),
        ("module:small_project.lazy:make", SourceError, r"looking up make fails \(ImportError: lazily\)"),
        ("module:small_project.absent:make", SourceError, "needs the module small_project.absent"),
        ("module:.relative:make", SourceError, r"importing .relative fails.*TypeError"),
        ("module:small_project.nets", InputError, "names no factory; expected module:PACKAGE.MODULE:FACTORY"),
        ("module:small_project.nets:", InputError, "names no factory"),
        ("module::make", InputError, "names no factory"),
        ("module:", InputError, "names no network; expected module:NAME:FACTORY"),
        ("timm:", InputError, "names no network; expected timm:NAME$"),
    ],
)
@pytest.mark.usefixtures("nets")
def test_what_cannot_be_imported_is_said_in_one_line(source: str, kind: type, says: str):
    with pytest.raises(kind, match=says) as caught:
        load_filters(source)
    assert "\n" not in str(caught.value)
    assert repr(source) in str(caught.value)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_library_that_is_not_there_is_named(library: str):
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    with pytest.raises(SourceError, match=f"needs the module {library}, which is not installed: install it"):
        load_filters(f"{library}:resnet18")


def test_a_layer_that_is_not_there_is_said_with_the_source(nets: str):
    with pytest.raises(InputError, match=rf"{nets}:make.*layer is 'conv9'"):
        load_filters(f"{nets}:make", layer="conv9")
