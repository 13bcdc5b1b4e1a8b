"""The names that a checkpoint may hold are those that torch.load(weights_only=True) accepts."""

import pytest
import torch
from torch._weights_only_unpickler import _get_allowed_globals

from firstlight.filters.formats.torch.globals import ELEMENT_SIZES, STORAGES, allowed, is_hostile, is_script
from firstlight.filters.formats.torch.pickle_values import Global
from firstlight.filters.formats.torch.pickles import PLAIN

TORCH = set(_get_allowed_globals())


def accepted(path):
    module, _, name = path.rpartition(".")
    return path in PLAIN or allowed(Global(module, name))


@pytest.mark.parametrize("path", sorted(TORCH))
def test_what_torch_accepts_is_accepted(path):
    assert accepted(path)


def test_nothing_else_is_accepted():
    from firstlight.filters.formats.torch.globals import _ALLOWED

    assert (_ALLOWED | PLAIN) <= TORCH
    assert not any(
        accepted(path)
        for path in ("os.system", "builtins.eval", "torch.load", "torch.hub.load", "torch.jit.load", "__torch__.Net")
    )
    assert not is_script(Global("__torch__evil", "load"))


ATTACKS = "os.system posix.mkdir builtins.eval builtins.exec builtins.print builtins.open builtins.__import__ "
ATTACKS += "builtins.apply subprocess.Popen torch.load torch.hub.load torch.jit.load runpy.run_path pickle.loads "
ATTACKS += "importlib.import_module socket.socket shutil.rmtree operator.attrgetter types.FunctionType"


@pytest.mark.parametrize("path", ATTACKS.split())
def test_what_only_an_attack_names_is_hostile(path):
    module, _, name = path.rpartition(".")
    assert is_hostile(Global(module, name))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("argparse", "Namespace"),
        ("numpy._core.multiarray", "scalar"),
        ("datetime", "datetime"),
        ("pathlib._local", "PosixPath"),
        ("builtins", "getattr"),
        ("builtins", "slice"),
        ("builtins", "unicode"),
        ("types", "SimpleNamespace"),
        ("urllib.parse", "ParseResult"),
        ("re", "_compile"),
        ("zoneinfo", "ZoneInfo._unpickle"),
        ("code.models", "Net.Options"),
    ],
)
def test_classes_and_what_makes_their_values_are_not(module, name):
    assert not is_hostile(Global(module, name))


def test_a_method_of_a_harmless_class_is_hostile():
    assert is_hostile(Global("pathlib", "Path.unlink"))


def test_sizes_are_those_of_torch():
    for name, size in ELEMENT_SIZES.items():
        assert getattr(torch, name).itemsize == size
    for path, name in STORAGES.items():
        if not path.startswith("torch.storage."):
            assert torch.storage._get_dtype_from_pickle_storage_type(path.rpartition(".")[2]) == getattr(torch, name)
