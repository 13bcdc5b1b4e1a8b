"""The README's example runs, and what it links to exists."""

import re
from pathlib import Path

import pytest

from firstlight.cli import main

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT.parent / "shared" / "data" / "checkpoints" / "resnet20-12fca82f.th"
README = (ROOT / "README.md").read_text()


def test_it_is_read_in_a_minute_or_three():
    assert len(README.split()) <= 900


@pytest.mark.recorded
def test_the_example_prints_what_is_said(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    (said,) = re.findall(r"It prints `(.*?)`", README)
    assert capsys.readouterr().out == f"{said}\n"


def test_the_inspection_is_what_the_command_prints(capsys, monkeypatch):
    if not CHECKPOINT.exists():
        pytest.skip("the published checkpoint is not beside the repository")
    monkeypatch.chdir(CHECKPOINT.parent)
    monkeypatch.setenv("COLUMNS", "80")
    (said,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    command, _, printed = said.partition("\n")
    assert main(command.removeprefix("$ firstlight ").split()) == 0
    assert re.sub(r" +\n", "\n", capsys.readouterr().out).strip("\n") == printed.strip("\n")


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
