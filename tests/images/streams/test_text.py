import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.utils.text import first_line, printable


@given(st.text())
def test_one_line_whatever_it_was(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()
    assert first_line(ValueError(text)).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("café.png", "café.png"), ("two\nlines", "two\\nlines"), ("\x1b[31m", "\\x1b[31m"), ("\udce9", "\\udce9")],
)
def test_examples(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "ValueError"), ("\nlater", "ValueError"), ("first\nlater", "first"), ("x" * 300, "x" * 200)],
)
def test_first_line(text: str, shown: str) -> None:
    assert first_line(ValueError(text)) == shown
