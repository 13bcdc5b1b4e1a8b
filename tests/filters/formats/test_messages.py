"""Parts of messages: one line each, whatever somebody else's code said."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.errors import InputError, SourceError
from firstlight.filters.formats.messages import DAMAGE, first_line, joined, listed, named, refusing


@given(st.text())
def test_what_others_say_becomes_one_line(text: str):
    error = ValueError(text)
    for line in (joined(error), first_line(error)):
        assert len(line.splitlines()) <= 1
        assert len(line) <= 220
    assert joined(error).split() == text.split() or len(joined(error)) == 200


def test_first_line_names_the_kind():
    assert first_line(KeyError("a")) == "KeyError: 'a'"
    assert first_line(ValueError("\n one\ntwo")) == "ValueError: one"
    assert first_line(ValueError()) == "ValueError"


@given(st.integers(0, 30), st.integers(1, 12))
def test_a_list_shows_the_first_and_counts_the_rest(count: int, most: int):
    text = listed([f"n{number}" for number in range(count)], most)
    assert text.split("; ")[:most] == [f"n{number}" for number in range(min(count, most))] or (count, text) == (0, "")
    assert text.endswith(f"; and {count - most} more") == (count > most)


def test_a_list_of_other_things_with_commas():
    assert listed([1, 2, 3], 2, ", ") == "1, 2, and 1 more"
    assert listed([], 2) == ""


def test_named_adds_to_what_the_source_is_blamed_for():
    with pytest.raises(SourceError, match=r"^a: b: is empty$"), named("a"), named("b"):
        raise SourceError("is empty")
    with pytest.raises(InputError, match=r"^layer$"), named("a"):
        raise InputError("layer")


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind is not OSError])
def test_what_parsers_raise_becomes_a_line(kind: type[Exception]):
    with pytest.raises(SourceError) as caught, refusing("a.pt2", "a program"):
        raise kind("x\ny")
    expected = "'x\\ny'" if issubclass(kind, KeyError) else "x y"
    line = f"a.pt2: cannot be read as a program ({kind.__name__}: {expected}): it is damaged or cut off"
    assert str(caught.value) == line


def test_what_the_system_says_and_our_own_errors_pass():
    with (
        pytest.raises(SourceError, match=r"^a.pt2: cannot be read: Permission denied$"),
        refusing("a.pt2", "a program"),
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(InputError, match=r"^layer$"), refusing("a.pt2", "a program"):
        raise InputError("layer")
    with pytest.raises(ZeroDivisionError, match="x"), named("a"):
        raise ZeroDivisionError("x")
