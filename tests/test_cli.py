"""The command line: quick to answer, one line and exit code 2 for bad input, real output for good."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import firstlight
from firstlight import cli, theory
from firstlight.experiments import EXPERIMENTS


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("firstlight")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"firstlight {firstlight.__version__}\n")


def test_help_names_every_command():
    done = run("--help")
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in ("reproduce", "theory", "data"))


def test_the_help_of_reproduce_says_what_the_presets_train_and_how_long_that_takes():
    text = " ".join((cli.reproduce.__doc__ or "").split())
    for experiment in EXPERIMENTS.values():
        assert f"**{experiment.name}**" in text
        for preset, cost in experiment.costs.items():
            assert f"- {preset}: {cost}" in text
    assert "2 to 4 minutes" in run("reproduce", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["reproduce", "formla"], ["'formla'", "formula"]),
        (["reproduce", "--preset", "fast"], ["fast", "quick"]),
        (["reproduce", "--data", "no-such-set"], ["'no-such-set'", "cifar10"]),
        (["reproduce", "--data", "/no/such/file.npz"], ["/no/such/file.npz"]),
        (["reproduce", "--data", "photos", "--device", "tpu"], ["'tpu'", "cpu"]),
        (["reproduce", "--out", "/proc/here"], ["/proc/here", "folder"]),
        (["theory", "--data", "photos", "--lr", "-1"], ["-1", "positive"]),
        (["theory", "--data", "photos", "--kernel-size", "64"], ["64 x 64", "32 x 32"]),
        (["theory", "--data", "photos", "--kernel-size", "0"], ["kernel_size is 0"]),
        (["theory", "--data", "photos", "--steps", "1.5"], ["1.5", "whole"]),
        (["theory", "--data", "photos", "--steps", "ten"], ["ten"]),
        (["theory", "--data", "photos", "--lr", "0.5", "--steps", "inf"], ["less than 2"]),
        (["data", "fetch", "cifar"], ["'cifar'", "cifar10"]),
        (["no-such-command"], ["no-such-command"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, names, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("firstlight: error: ")
    assert done.stderr.count("\n") == 1
    assert all(name in done.stderr for name in names)
    assert "Traceback" not in done.stderr
    assert not [path for path in (tmp_path / "firstlight-out").rglob("*") if path.is_file()]


def test_theory_prints_and_writes_eq_3(tmp_path):
    done = run(
        "theory", "--data", "photos", "--steps", "1", "1000", "inf", "--lr", "0.02", "--out", str(tmp_path / "t")
    )
    assert done.returncode == 0, done.stderr
    assert "converging" in done.stdout
    frame = pd.read_csv(tmp_path / "t" / "theory.csv")
    for steps in (1, 1000, float("inf")):
        expected = theory.linear_cnn_profile(frame["variance"], lr=0.02, steps=steps)
        assert frame[f"energy_after_{steps:g}_steps"].to_numpy() == pytest.approx(expected, rel=1e-12)
    assert frame["variance"].is_monotonic_decreasing
    assert (tmp_path / "t" / "theory.svg").read_text().count("<svg") == 1
    assert (tmp_path / "t" / "theory.png").read_bytes().startswith(b"\x89PNG")


def test_theory_of_a_users_own_gray_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    np.save(tmp_path / "gray.npy", images)
    done = run("theory", "--data", str(tmp_path / "gray.npy"), "--kernel-size", "5")
    assert done.returncode == 0, done.stderr
    assert f"{20 * 12 * 12:,} patches of 1 x 5 x 5" in done.stdout


@pytest.mark.parametrize("lr", ["0.05", "0.1", "1"])
def test_theory_chooses_steps_that_exist_even_where_descent_oscillates_or_diverges(lr):
    done = run("theory", "--data", "photos", "--lr", lr)
    assert done.returncode == 0, done.stderr
    assert ("oscillating" if lr == "0.05" else "diverging") in done.stdout


def test_theory_of_one_pixel_gray_patches(tmp_path):
    np.save(tmp_path / "gray.npy", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8))
    done = run("theory", "--data", str(tmp_path / "gray.npy"), "--kernel-size", "1")
    assert done.returncode == 0, done.stderr


def test_names_in_brackets_are_names_and_not_markup(tmp_path):
    folder = tmp_path / "[red]" / "[" / "x]"
    done = run("data", "list", "--data-dir", str(folder), env={"COLUMNS": "400", "PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    assert str(folder / "cifar10") in done.stdout
    np.save(tmp_path / "a[b].npy", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8))
    done = run("theory", "--data", str(tmp_path / "a[b].npy"), "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a[b].npy: ")


def test_close_numbers_of_steps_keep_their_own_columns(tmp_path):
    done = run("theory", "--data", "photos", "--steps", "1000000", "1000001", "0", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    columns = list(pd.read_csv(tmp_path / "theory.csv").columns[2:])
    assert columns == [f"energy_after_{steps}_steps" for steps in ("0", "1000000", "1000001")]


def test_output_that_nobody_reads_to_its_end_and_narrow_encodings_are_no_errors():
    line = f"{Path(sys.executable).with_name('firstlight')} theory --data photos | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("photos: 18,000,000 patches of 3 x 3 x 3\n", "")
    done = run("theory", "--data", "photos", env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"})
    assert (done.returncode, done.stderr) == (0, "")


def test_data_list_names_every_set():
    done = run("data", "list")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("cifar10", "cifar100", "photos"))


def test_data_that_cannot_be_had_names_every_source_and_the_offline_way(tmp_path):
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = run("data", "fetch", "cifar100", "--data-dir", str(tmp_path / "cache"), env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "photos" in done.stderr.splitlines()[-1]


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firstlight.reproduction.reproduce", interrupt)
    assert cli.main(["reproduce"]) == 130
    assert (
        capsys.readouterr().err == "firstlight: interrupted; a training goes on when the same command is given again\n"
    )
