"""The README's example runs, and what it links to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_it_is_read_in_a_minute_or_three():
    assert len(README.split()) <= 900


@pytest.mark.recorded
def test_the_example_prints_what_is_said(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    (said,) = re.findall(r"It prints `(.*?)`", README)
    assert capsys.readouterr().out == f"{said}\n"


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
