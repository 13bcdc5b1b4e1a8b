"""Ends that nobody sees in daily use: readers that go away, devices for outputs, numbers that no image has."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firstlight.cli import main
from firstlight.errors import InputError
from firstlight.patches.geometry import PatchGeometry
from firstlight.utils.npz import write_npz

PROGRAM = [sys.executable, "-c", "import sys; from firstlight.cli import main; sys.exit(main())"]


@pytest.mark.parametrize("given", [["--help"], ["inspect", "--help"], ["--version"]])
def test_help_whose_reader_has_gone_is_no_check_that_failed(given):
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*PROGRAM, *given], stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit(1), GeneratorExit()])
def test_what_ends_a_program_without_a_word_is_told(error, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr("firstlight.cli.verbosity.Verbosity.apply", fail)
    assert main(["inspect", "none"]) == 2
    assert f"unexpected {type(error).__name__}" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="there is no such device")
def test_arrays_are_written_into_a_device():
    write_npz("/dev/null", {"one": np.arange(3), "other": np.ones((4, 4))})
    assert Path("/dev/null").is_char_device()


def test_a_stride_that_no_image_has_is_refused():
    with pytest.raises(InputError, match="stride is 9223372036854775808; expected at most"):
        PatchGeometry(3, 3, stride=1 << 63)


@pytest.mark.parametrize("lr", ["0", "-0.0", "nan", "inf"])
def test_eq_3_needs_a_learning_rate(lr, tmp_path, capsys):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    assert main(["theory", "--data", str(tmp_path / "images.npy"), "--lr", lr, "-q"]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert printed == [f"firstlight: error: lr is {float(lr)}; expected a positive number"]


def test_the_matrix_of_names_that_are_not_utf_8_is_written(tmp_path):
    first, second = tmp_path / os.fsdecode(b"\xff\xfe.npy"), tmp_path / "b.npy"
    try:
        np.save(first, np.random.default_rng(0).normal(size=(8, 3, 3, 3)))
    except OSError:
        pytest.skip("this file system has no such names")
    np.save(second, np.random.default_rng(1).normal(size=(8, 3, 3, 3)))
    assert main(["compare", str(first), str(second), "--csv", str(tmp_path / "matrix.csv"), "-q"]) == 0
    assert "\\udcff\\udcfe" in (tmp_path / "matrix.csv").read_text(encoding="utf-8")
