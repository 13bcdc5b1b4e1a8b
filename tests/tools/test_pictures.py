"""The pictures of README and docs are those that the recorded results give, and load nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.shown import picture_differences
from tools.pictures import TERMINAL, inspect_picture, pictures, write_pictures

from firstlight.reproduction.record import recorded

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture(scope="module")
def found():
    return recorded(["formula", "linear"], console=Console(quiet=True))


@pytest.mark.recorded
def test_the_pictures_of_the_readme_are_up_to_date(found):
    made = pictures(found)
    shown = re.findall(r"\]\(docs/figures/(\w+)\.svg\)", (ROOT / "README.md").read_text())
    assert TERMINAL in shown
    for name in shown:
        assert picture_differences(made[name], (FIGURES / f"{name}.svg").read_text()) == []


def test_pictures_have_a_background_and_load_nothing():
    paths = list(FIGURES.glob("*.svg"))
    assert len(paths) > 30
    for path in paths:
        text = path.read_text()
        assert not re.search(r"url\(.?https?:|href=.https?:|@import|@font-face", text), path
        if path.stem == TERMINAL:
            assert re.search(r'<rect fill="#[0-9a-f]{6}"', text)
        else:  # the first shape that is drawn is a white card
            assert re.search(r'<g id="patch_1">\s*<path[^>]*style="fill: #ffffff"', text), path


@pytest.mark.recorded
def test_the_terminal_shows_what_inspect_prints_of_these_weights(tmp_path, capsys, monkeypatch):
    from firstlight import cli

    rng = np.random.default_rng(0)
    weights = {"net": rng.standard_normal((8, 3, 3, 3)), "net-start": rng.standard_normal((8, 3, 3, 3))}
    for name, weight in weights.items():
        np.save(tmp_path / f"{name}.npy", weight.astype(np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "96")
    assert cli.main(["inspect", "net.npy", "--initial", "net-start.npy", "--quiet"]) == 0
    printed = capsys.readouterr().out.split()
    picture = inspect_picture(weights)
    drawn = re.sub(r"&#160;", " ", " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture)))
    for word in printed:
        assert word.replace("&", "&amp;").replace("'", "&#x27;") in drawn
    assert inspect_picture(weights) == picture


def test_pictures_that_are_no_longer_made_are_removed(found, tmp_path):
    (tmp_path / "old.svg").write_text("<svg/>")
    (tmp_path / "mine.txt").write_text("mine")
    write_pictures(found, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"formula_pairs.svg", "linear_regimes.svg", "inspect.svg", "mine.txt"} <= names
    assert "old.svg" not in names
