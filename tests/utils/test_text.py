import unicodedata

import pytest
from hypothesis import given, strategies as st

from firstlight.utils.text import counted, duration, first_line, listed, one_line, printable


@given(st.text())
def test_one_line_whatever_it_was(text: str) -> None:
    for shown in (printable(text), first_line(ValueError(text)), one_line(ValueError(text))):
        assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in shown)
    assert printable(text) == text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("café.png", "café.png"), ("two\nlines", "two\\nlines"), ("\x1b[31m", "\\u001b[31m"), ("\udce9", "\\udce9")],
)
def test_examples(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "ValueError"), ("\nlater", "later"), ("first\nlater", "first"), ("x" * 300, "x" * 200 + "...")],
)
def test_first_line(text: str, shown: str) -> None:
    assert first_line(ValueError(text)) == shown


def test_first_line_may_name_the_kind():
    assert first_line(KeyError("a"), kind=True) == "KeyError: 'a'"
    assert first_line(ValueError("\n one\ntwo"), kind=True) == "ValueError: one"
    assert first_line(ValueError(), kind=True) == "ValueError"


@given(st.text(), st.integers(1, 300))
def test_what_is_cut_says_so(text: str, most: int):
    assert printable(text, most) == printable(text[:most]) + "..." * (len(text) > most)


@given(st.integers(0, 30), st.integers(1, 12))
def test_a_list_shows_the_first_and_counts_the_rest(count: int, most: int):
    text = listed([f"n{number}" for number in range(count)], most)
    assert text.split("; ")[:most] == [f"n{number}" for number in range(min(count, most))] or (count, text) == (0, "")
    assert text.endswith(f"; and {count - most} more") == (count > most)


def test_a_list_of_other_things_with_commas():
    assert listed([1, 2, 3], 2, ", ") == "1, 2, and 1 more"
    assert listed([], 2) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0 s"), (0.35, "0.3 s"), (9.94, "9.9 s"), (9.96, "10 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")],
)
def test_durations(seconds: float, shown: str):
    assert duration(seconds) == shown


def test_everything_that_an_error_says_on_one_line():
    assert one_line(ValueError("a\n  b\tc")) == "a b c"


def test_one_is_singular():
    assert [counted(count, "step") for count in (0, 1, 2, 1000)] == ["0 steps", "1 step", "2 steps", "1,000 steps"]
