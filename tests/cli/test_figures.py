"""`firstlight figures`: real processes, whatever the environment; the same bytes; nothing written for bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight import cli

NAME = "linear/regimes"
CHILD = "import sys; from firstlight.cli import main; code = main(); assert 'matplotlib.pyplot' not in sys.modules"


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{CHILD}; sys.exit(code)", "figures", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **env})


def test_the_same_results_give_the_same_bytes_whatever_the_environment(tmp_path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("figure.dpi: 33\nfont.size: 30\nlines.linewidth: 9\nsavefig.bbox: tight\nsvg.fonttype: none\n")
    formats = ("--format", "pdf", "--format", "svg", "--format", "png", "--format", "pdf")
    first = run(NAME, *formats, "--out", str(tmp_path / "a"), PYTHONHASHSEED="1")
    other = {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(settings), "PYTHONHASHSEED": "2", "DISPLAY": ":77"}
    second = run(NAME, *formats, "--out", str(tmp_path / "b"), "--quiet", **other)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    paths = [tmp_path / "b" / f"linear_regimes.{kind}" for kind in ("pdf", "svg", "png")]
    assert second.stdout.splitlines() == [str(path) for path in paths]  # and no hints
    assert second.stderr == ""
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()


def test_json_tells_captions_and_files(capsys, tmp_path):
    arguments = ["figures", NAME, "--style", "slides", "--out", str(tmp_path), "--json", "-", "--quiet"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    (figure,) = found["figures"]
    assert (found["style"], figure["name"], figure["inches"][0]) == ("slides", NAME, 12)
    assert figure["caption"]
    assert [Path(name).read_bytes()[:5] for name in figure["files"]] == [b"%PDF-"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["formla"], ["'formla'", "--list"]),
        (["no/such/folder", "formula"], ["no/such/folder"]),
        ([".", "formula"], ["reproduction.json"]),
        (["linear/regime"], ["'linear/regime'", "did you mean 'linear/regimes'?"]),
        (["linear", "formla/pairs"], ["'formla'", "did you mean 'formula'?"]),
        ([NAME, "--style", "poster"], ["poster", "paper"]),
        ([NAME, "--format", "eps"], ["eps", "pdf"]),
        ([NAME, "--out", "file"], ["file", "expected a folder"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, names, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert cli.main(["figures", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("firstlight: error: ")
    assert shown.err.count("\n") == 1
    assert all(name in shown.err for name in names), shown.err
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"
