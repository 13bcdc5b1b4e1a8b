"""What a command tells on the way: notes as a rule, nothing but warnings with --quiet, the whole log with --verbose."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firstlight.cli import main
from firstlight.cli.verbosity import Verbosity, log_on_stderr


@pytest.fixture
def network(tmp_path, monkeypatch) -> str:
    monkeypatch.delenv("FIRSTLIGHT_LOG", raising=False)
    path = tmp_path / "net.npz"
    np.savez(path, **{"conv1.weight": np.random.default_rng(0).normal(size=(8, 3, 3, 3)), "fc.weight": np.ones((2, 8))})
    return str(path)


def test_verbose_tells_what_was_read_and_taken_and_the_result_is_the_same(network, capsys):
    assert main(["inspect", network]) == 0
    usual = capsys.readouterr()
    assert usual.err == ""
    assert main(["inspect", network, "-v"]) == 0
    verbose = capsys.readouterr()
    assert verbose.out == usual.out
    lines = verbose.err.splitlines()
    assert all(line.startswith("firstlight.") for line in lines)
    assert any(line.startswith("firstlight.filters.formats.detect: ") and network in line for line in lines)
    assert any("1 may be filters; those of a first layer, likeliest first: conv1 8 x 3" in line for line in lines)
    assert any("took FilterBank" in line and "float64" in line for line in lines)


def test_verbose_tells_what_the_data_are_and_whether_their_sums_come_from_the_cache(network, tmp_path, capsys):
    images = tmp_path / "images.npy"
    np.save(images, np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), np.uint8))
    arguments = ["inspect", network, "--data", str(images), "--data-dir", str(tmp_path), "-v"]
    assert main(arguments) == 0
    first = capsys.readouterr().err
    assert f"firstlight.images.recognise: {images} is a .npy file" in first
    assert "9 images (3, 8, 8), uint8: summed by lags" in first
    assert main(arguments) == 0
    second = capsys.readouterr().err
    assert f"sums from the cache, {tmp_path / 'moments'}" in second
    assert "summed by lags" not in second


@pytest.mark.parametrize("name", ["debug", "DEBUG"])
def test_the_environment_asks_for_the_log_as_well(name, network, capsys, monkeypatch):
    monkeypatch.setenv("FIRSTLIGHT_LOG", name)
    assert main(["inspect", network]) == 0
    assert "took FilterBank" in capsys.readouterr().err
    assert main(["inspect", network, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "variable", "error"),
    [
        (["-q", "-v"], "", "--quiet was given with --verbose; expected one of them: drop the other"),
        ([], "loud", "FIRSTLIGHT_LOG is 'loud'; expected one of debug, info, warning, error"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments, variable, error, network, capsys, monkeypatch):
    monkeypatch.setenv("FIRSTLIGHT_LOG", variable)
    assert main(["inspect", network, *arguments]) == 2
    assert capsys.readouterr().err == f"firstlight: error: {error}\n"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (Verbosity(quiet=True), ["firstlight: warned", "firstlight: not ours"]),
        (Verbosity(), ["firstlight: noted", "firstlight: warned", "firstlight: not ours"]),
        (
            Verbosity(verbose=True),
            [*(f"firstlight.a.b: {word}" for word in ("looked", "noted", "warned")), "x: not ours"],
        ),
    ],
)
def test_levels_are_those_of_firstlight_alone_and_end_with_the_command(options, shown, capsys, monkeypatch):
    monkeypatch.delenv("FIRSTLIGHT_LOG", raising=False)
    ours, theirs, root = logging.getLogger("firstlight.a.b"), logging.getLogger("x"), logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("firstlight").level
    with log_on_stderr():
        options.apply()
        ours.debug("looked")
        ours.info("noted")
        ours.warning("warned")
        theirs.info("never shown")
        theirs.warning("not ours")
    ours.error("afterwards")
    assert capsys.readouterr().err.splitlines() == shown
    assert (root.handlers, root.level, logging.getLogger("firstlight").level) == before


def test_the_library_prints_nothing_and_sets_nothing(network, tmp_path):
    code = f"""
import logging, firstlight as fl
logging.getLogger("firstlight.filters").warning("nobody asked")
fl.load_filters({network!r})
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert [type(one) for one in logging.getLogger("firstlight").handlers] == [logging.NullHandler]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_room_has_a_logger_of_its_own():
    root = Path(__file__).parents[2] / "src/firstlight"
    lines = [line for path in root.rglob("*.py") for line in path.read_text().splitlines()]
    loggers = [line for line in lines if line.startswith("logger =")]
    assert len(loggers) > 8
    assert set(loggers) == {"logger = logging.getLogger(__name__)"}
