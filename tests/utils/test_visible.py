import io
import json

import pandas as pd
import pytest
from hypothesis import given, strategies as st
from rich.table import Table
from rich.text import Text

from firstlight.utils.csv_text import csv_text
from firstlight.utils.visible import VisibleStream, visible
from firstlight.utils.visible_console import VisibleConsole

_SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
KEPT = [
    "naïve",
    "漢字",
    "e\u0301",
    "👩\u200d🔬",
    "❤\ufe0f\u200d🔥",
    "می\u200cخواهم",
    "क\u094d\u200dष",
    _SCOTLAND,
    "a\tb\nc\r\nd",
]
ESCAPED = [*"\x1b\r\x00\x7f\x85\x9b\u200b\u200d\u200e\u202e\u2066\u2028\ufeff\udcff\U000e0041"]
ESCAPED += ["a\u200db", "\u200c本", "🏴\U000e0041"]


@pytest.mark.parametrize("text", KEPT, ids=ascii)
def test_ordinary_text_stays(text: str):
    assert visible(text) == text


@pytest.mark.parametrize("text", ESCAPED, ids=ascii)
def test_what_is_not_seen_is_escaped(text: str):
    shown = visible(text)
    assert shown != text
    assert json.loads(f'"{shown}"') == text
    assert visible(shown) == shown


@given(st.text())
def test_the_value_of_json_is_kept(text: str):
    shown = visible(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    shown.encode()


def test_a_stream_and_a_console_show_it_and_keep_their_own_colours(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", VisibleStream(stream))
    print("a\x1b[31m")
    table = Table("b\x1b[32m")
    table.add_row(Text("c\u202e", style="red"))
    VisibleConsole(force_terminal=True, color_system="standard", width=60).print(table)
    assert stream.getvalue().startswith("a\\u001b[31m\n")
    assert "\x1b[31mc\\u" in stream.getvalue()
    assert "\u202e" not in stream.getvalue()
    VisibleConsole(force_terminal=True, color_system="standard", width=60).print("a\u202e[red]b\u202ec[/red]d")
    assert stream.getvalue().endswith("a\\u202e\x1b[31mb\\u202ec\x1b[0md\n")
    VisibleConsole(width=60, force_terminal=True, color_system=None).print(Text("c\u202ed", no_wrap=True))
    assert stream.getvalue().endswith("\nc\\u202ed\n")


def test_no_cell_is_a_formula_and_numbers_keep_their_digits():
    table = pd.DataFrame({"=a": ["=1+1", "+cmd", "-x", "@y", "-1.5e-3", "two\nlines\x1b", None], "n": [-0.1] * 7})
    first, *lines = csv_text(table, index=False).splitlines()
    assert first == "'=a,n"
    assert [line.removesuffix(",-0.1") for line in lines] == [
        *("'=1+1", "'+cmd", "'-x", "'@y", "-1.5e-3", "two\\nlines\\u001b", "")
    ]
    assert csv_text(table.set_index("=a"), index_label="@i").splitlines()[:2] == ["@i,n", "'=1+1,-0.1"]
    mixed = pd.DataFrame({"m": pd.Series([1, None, "a"], dtype=object)})
    assert csv_text(mixed, index=False) == 'm\n1\n""\na\n'
