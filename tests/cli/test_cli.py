"""The command line: quick to answer, one line and exit code 2 for bad input, real output for good."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.training.sets import TEST, TRAIN, make_spec

import firstlight
from firstlight import cli, theory
from firstlight.experiments import EXPERIMENTS
from firstlight.reproduction.reproduction import PRESETS
from firstlight.training import train


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


def test_without_a_command_it_says_where_to_begin():
    done = run(env={"PATH": "/usr/bin", "COLUMNS": "80", "PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) < 20
    assert max(map(len, lines)) <= 80
    examples = [line.split()[1] for line in lines if line.startswith("  firstlight ")]
    assert examples == ["inspect", "compare", "reproduce", "moments", "theory"]
    assert "firstlight --help" in lines[-1]


@pytest.mark.parametrize("group", [(), ("runs",), ("data",)])
def test_every_command_is_described_on_one_line(group, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [line for line in here(*group, "--help").stdout.splitlines() if line.startswith("│")]
    assert len(rows) >= 2
    assert all(re.match(r"│ \S", row) for row in rows)


def test_the_list_says_what_every_preset_trains_and_how_long_that_takes(here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    listed = here("reproduce", "--list")
    assert listed.returncode == 0, listed.stderr
    for experiment in EXPERIMENTS.values():
        assert experiment.question in listed.stdout
        for preset in PRESETS:
            assert f"{preset}: {experiment.cost(preset)}" in listed.stdout
    one = here("reproduce", "--list", "frozen").stdout
    assert EXPERIMENTS["frozen"].question in one
    assert EXPERIMENTS["linear"].question not in one
    assert all(
        name in " ".join(here("reproduce", "--help").stdout.split())
        for name in ("--list", "--recorded", "--jobs", "--fresh")
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["reproduce", "formla"], ["'formla'", "formula"]),
        (["reproduce", "--preset", "fast"], ["fast", "quick"]),
        (["reproduce", "--data", "no-such-set"], ["'no-such-set'", "cifar10"]),
        (["reproduce", "--data", "/no/such/file.npz"], ["/no/such/file.npz"]),
        (["reproduce", "--data", "photos", "--device", "tpu"], ["'tpu'", "cpu"]),
        (["reproduce", "--out", "/proc/here"], ["/proc/here", "folder"]),
        (["reproduce", "--data", "photos", "--jobs", "0"], ["jobs is 0", "at least 1"]),
        (["reproduce", "--recorded", "--preset", "full"], ["--recorded", "--preset"]),
        (["reproduce", "--recorded", "--fresh"], ["--recorded", "--fresh"]),
        (["reproduce", "--recorded", "formla"], ["'formla'", "formula"]),
        (["runs", "show", "0123"], ["firstlight-out/runs"]),
        (["runs", "clean", "--state", "finnished"], ["'finnished'", "finished"]),
        (["runs", "clean", "0123", "--state", "failed"], ["0123", "failed"]),
        (["theory", "--data", "photos", "--lr", "-1"], ["-1", "positive"]),
        (["theory", "--kernel-size", "64"], ["64 x 64", "16 x 16"]),
        (["theory", "--data", "photos", "--kernel-size", "0"], ["kernel_size is 0"]),
        (["theory", "--data", "photos", "--steps", "1.5"], ["1.5", "whole"]),
        (["theory", "--data", "photos", "--steps", "ten"], ["ten"]),
        (["theory", "--data", "photos", "--lr", "0.5", "--steps", "inf"], ["less than 2"]),
        (["data", "fetch", "cifar"], ["'cifar'", "cifar10"]),
        (["no-such-command"], ["no-such-command"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, names, tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = here(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("firstlight: error: ")
    assert done.stderr.count("\n") == 1
    assert all(name in done.stderr for name in names)
    assert "Traceback" not in done.stderr
    assert not [path for path in (tmp_path / "firstlight-out").rglob("*") if path.is_file()]


def test_bad_input_ends_a_process_with_2():
    done = run("reproduce", "formla")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_theory_prints_and_writes_eq_3(tmp_path, here):
    done = here(
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


def test_theory_of_a_users_own_gray_images(tmp_path, here):
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    np.save(tmp_path / "gray.npy", images)
    done = here("theory", "--data", str(tmp_path / "gray.npy"), "--kernel-size", "5")
    assert done.returncode == 0, done.stderr
    assert f"{20 * 12 * 12:,} patches of 1 x 5 x 5" in done.stdout


def test_theory_of_a_file_of_moments_is_that_of_its_images(tmp_path, here):
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    made = here("moments", str(tmp_path / "images.npy"), "--kernel-size", "5", "--out", str(tmp_path / "sums.npz"))
    assert made.returncode == 0, made.stderr
    sums = ["theory", "--data", str(tmp_path / "sums.npz"), "--json", "-"]
    own = json.loads(here(*sums).stdout)
    assert (own["data"], own["kernel_size"], own["patches"]) == ("images.npy", 5, 20 * 12 * 12)
    of_images = json.loads(here(*sums[:2], str(tmp_path / "images.npy"), "--kernel-size", "5", "--json", "-").stdout)
    assert own["variance"] == pytest.approx(of_images["variance"], rel=1e-12)
    assert json.loads(here(*sums, "--kernel-size", "3").stdout)["kernel_size"] == 3
    for option, said in (("--kernel-size 7", "5 x 5"), ("--only *.png", "summed up already")):
        done = here(*sums, *option.split())
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr


@pytest.mark.parametrize("lr", ["0.05", "0.1", "1"])
def test_theory_chooses_steps_that_exist_even_where_descent_oscillates_or_diverges(lr, here):
    done = here("theory", "--data", "photos", "--lr", lr)
    assert done.returncode == 0, done.stderr
    assert ("oscillating" if lr == "0.05" else "diverging") in done.stdout


def test_theory_of_one_pixel_gray_patches(tmp_path, here):
    np.save(tmp_path / "gray.npy", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8))
    done = here("theory", "--data", str(tmp_path / "gray.npy"), "--kernel-size", "1")
    assert done.returncode == 0, done.stderr


def test_names_in_brackets_are_names_and_not_markup(tmp_path, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    folder = tmp_path / "[red]" / "[" / "x]"
    done = here("data", "list", "--data-dir", str(folder))
    assert done.returncode == 0, done.stderr
    assert str(folder / "cifar10") in done.stdout
    np.save(tmp_path / "a[b].npy", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8))
    done = here("theory", "--data", str(tmp_path / "a[b].npy"), "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a[b].npy: ")


def test_close_numbers_of_steps_keep_their_own_columns(tmp_path, here):
    done = here("theory", "--data", "photos", "--steps", "1000000", "1000001", "0", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    columns = list(pd.read_csv(tmp_path / "theory.csv").columns[2:])
    assert columns == [f"energy_after_{steps}_steps" for steps in ("0", "1000000", "1000001")]


def test_output_that_nobody_reads_to_its_end_and_narrow_encodings_are_no_errors():
    line = f"{Path(sys.executable).with_name('firstlight')} theory --data photos | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("photos: 18,000,000 patches of 3 x 3 x 3, lr 0.01\n", "")
    done = run("theory", "--data", "photos", env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"})
    assert (done.returncode, done.stderr) == (0, "")


def test_data_list_names_every_set(here):
    done = here("data", "list")
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

    monkeypatch.setattr("firstlight.reproduction.reproduction.reproduce", interrupt)
    assert cli.main(["reproduce"]) == 130
    assert (
        capsys.readouterr().err
        == "firstlight: interrupted; what takes long goes on where it was when the same command is given again\n"
    )


@pytest.fixture
def store(tmp_path) -> tuple[str, dict[str, str]]:
    """A folder of results with a finished, a failed and a damaged run; their hashes by state."""
    hashes = {}
    for state, lr in (("finished", 0.01), ("failed", 1e30), ("damaged", 0.02)):
        spec = make_spec(steps=2, lr=lr)
        with contextlib.suppress(firstlight.RunError):
            train(spec, TRAIN, TEST, tmp_path / "runs", device="cpu")
        hashes[state] = spec.hash
    (tmp_path / "runs" / hashes["damaged"] / "metrics.csv").write_text("step\n")
    return str(tmp_path), hashes


def test_runs_are_listed_shown_and_cleaned(store, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out, hashes = store
    listed = here("runs", "list", "--out", out)
    assert listed.returncode == 0, listed.stderr
    for state, name in hashes.items():
        assert re.search(rf"{name} .*{state}", listed.stdout), listed.stdout
    assert "3 runs in" in listed.stdout
    shown = here("runs", "show", hashes["finished"][:6], "--out", out).stdout
    assert hashes["finished"] in shown
    assert "ResNet20" in shown
    would = here("runs", "clean", "--dry-run", "--out", out).stdout
    assert sorted(would.splitlines()) == sorted(f"would remove {hashes[s]} ({s})" for s in ("failed", "damaged"))
    done = here("runs", "clean", "--out", out)
    assert done.stdout == would.replace("would remove", "removed")
    assert [path.name for path in (Path(out) / "runs").iterdir()] == [hashes["finished"]]
    assert here("runs", "clean", "--out", out).stdout.startswith("nothing to remove")
    assert here("runs", "clean", hashes["finished"], "--out", out).returncode == 0
    assert not list((Path(out) / "runs").iterdir())


def test_runs_of_a_folder_without_any(tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = here("runs", "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "firstlight-out/runs" in done.stderr
