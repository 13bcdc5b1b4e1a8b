"""One line for a damaged file, whatever somebody else's code said."""

import errno
import os

import pytest

from firstlight.errors import InputError, MachineError, NonFiniteWeights, SourceError
from firstlight.filters.formats.refusals import named, readable, refusing
from firstlight.utils.damage import DAMAGE


def test_named_adds_to_what_the_source_is_blamed_for():
    with pytest.raises(SourceError, match=r"^a: b: is empty$"), named("a"), named("b"):
        raise SourceError("is empty")
    with pytest.raises(SourceError, match=r"^a.pth is empty$"), named("a.pth"):
        raise SourceError("a.pth is empty")
    with pytest.raises(InputError, match=r"^layer is 'x', which a.pth does not have$"), named("a.pth"):
        raise InputError("layer is 'x', which a.pth does not have")
    with pytest.raises(NonFiniteWeights, match=r"^a: layer$"), named("a"):
        raise NonFiniteWeights("layer")


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind not in (OSError, MemoryError)])
def test_what_parsers_raise_becomes_a_line(kind: type[Exception]):
    with pytest.raises(SourceError) as caught, named("a.pt2"), refusing("a program"):
        raise kind("x\ny")
    expected = "'x\\ny'" if issubclass(kind, KeyError) else "x"
    line = f"a.pt2: cannot be read as a program ({kind.__name__}: {expected}): it is damaged or cut off"
    assert str(caught.value) == line


def test_what_the_system_says_and_our_own_errors_pass():
    with (
        pytest.raises(SourceError, match=r"^a.pt2: cannot be read \(Permission denied\)$"),
        named("a.pt2"),
        refusing("a program"),
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with (
        pytest.raises(MachineError, match=r"^a.pt2: .*cannot be read on this machine .out of memory.: "),
        named("a.pt2"),
        refusing("a program"),
    ):
        raise MemoryError
    with pytest.raises(InputError, match=r"^a.pt2: layer$"), named("a.pt2"), refusing("a program"):
        raise InputError("layer")
    with pytest.raises(ZeroDivisionError, match="x"), named("a"):
        raise ZeroDivisionError("x")


def test_what_the_system_says_alone():
    with pytest.raises(SourceError, match=r"^cannot be read \(Permission denied\)$"), readable():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(SourceError, match=r"^cannot be read \(short\)$"), readable():
        raise OSError("short")
    with pytest.raises(ValueError, match=r"^x$"), readable():
        raise ValueError("x")
