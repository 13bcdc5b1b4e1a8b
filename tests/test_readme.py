"""The README's example runs, and what it links to exists."""

import re
from pathlib import Path

import pytest

import firstlight as fl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.recorded
def test_the_example_runs(capsys):
    try:
        fl.load_images("cifar10")
    except fl.SourceError as error:
        pytest.skip(f"CIFAR-10 cannot be had: {error}")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert re.fullmatch(r"peak at component \d+; eq. 3 at tau = \S+: r = \d\.\d\d\n", capsys.readouterr().out)


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
