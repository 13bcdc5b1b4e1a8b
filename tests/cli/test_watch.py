"""The command `watch`: a training in another process is followed as it writes, deletes, dies and goes on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tests.cli.test_terminal import on_terminal
from torch import nn

from firstlight.cli import main

CHILD = Path(__file__).with_name("watched_child.py")
PROGRAM = [sys.executable, "-c", "import sys; from firstlight.cli import main; sys.exit(main())"]
LONG_AGO = 1_700_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    return tmp_path


def put(name: str, scale: float = 1.0, age: int = 0, filters: int = 8) -> Path:
    """Write a checkpoint as if long ago, so that none has to be waited for."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, filters, 3)
    path = Path("run", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"conv1.weight": layer.weight.detach() * scale}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    os.utime(path, (LONG_AGO - age, LONG_AGO - age))
    return path


def watched(arguments: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[list[list[str]], str]:
    """The cells of each line of the table but its header, and what was said on standard error."""
    assert main(["watch", *shlex.split(arguments)]) == code
    printed = capsys.readouterr()
    lines = [re.split(" {2,}", line) for line in printed.out.splitlines()]
    assert [line[0] for line in lines[:1]] == ["written"] * bool(lines)
    return lines[1:], printed.err


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def told(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("kind", "last", "page", "ended", "code"),
    [
        ("renamed", "checkpoint-9", ["--html", "x.html"], signal.SIGINT, 130),
        ("in place", "epoch=2-step=9.ckpt", [], signal.SIGTERM, 143),
    ],
)
def test_a_training_that_writes_rotates_is_killed_and_goes_on(
    kind: str, last: str, page: list[str], ended: signal.Signals, code: int, folder: Path
):
    outputs = [*page, "--csv", "x.csv", "--json", "x.json"]
    with open("out", "w") as out, open("err", "w") as err:
        watch = subprocess.Popen([*PROGRAM, "watch", "run", "--every", "0.05s", *outputs], stdout=out, stderr=err)
        training = subprocess.Popen([sys.executable, str(CHILD), "run", kind, "9"])
        try:
            until(lambda: Path("step4.npy").exists())
            os.kill(int(told(Path("number"))), signal.SIGKILL)
            until(lambda: not page or Path("x.html").exists())
            begun = told(Path("x.html"))
            until(lambda: last in told(Path("out")))
            watch.send_signal(ended)
            assert watch.wait(60) == code
            assert training.wait(60) == 0
        finally:
            training.kill()
            watch.kill()
    rows = json.loads(told(Path("x.json")))["checkpoints"]
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    assert len(steps) >= 4
    assert steps[-1] == 9
    weights = [np.load(f"step{step}.npy") for step in steps]
    changes = [np.linalg.norm(weight - weights[0]) / np.linalg.norm(weights[0]) for weight in weights]
    np.testing.assert_allclose([row["change"] for row in rows], changes, rtol=1e-5)
    assert [line.split()[2] for line in told(Path("out")).splitlines()[1:]] == [row["name"] for row in rows]
    assert pd.read_csv("x.csv")["name"].tolist() == [row["name"] for row in rows]
    assert (told(Path("x.html")) != begun) == bool(page)
    said = told(Path("err")).splitlines()
    assert said[0] == "firstlight: watches run every 0.1 s; Ctrl-C ends it"
    assert said[-1].startswith("firstlight: interrupted" if code == 130 else "firstlight: terminated")
    assert not [line for line in said[1:-1] if " passed over: " not in line and " waits" not in line]


def test_what_is_there_already_comes_in_the_order_of_its_steps(folder: Path, capsys):
    put("checkpoint-1000/model.safetensors", 1.1, age=10)
    put("checkpoint-200/model.safetensors", 1.0)
    put("checkpoint-200/optimizer.pt")
    put("checkpoint-200/model-00001-of-00002.safetensors")
    put("tmp-checkpoint-1200/model.safetensors")
    put(".checkpoint-7.pt")
    rows, said = watched("run --once", capsys)
    assert [row[1:3] for row in rows] == [["checkpoint-200", "200"], ["checkpoint-1000", "1000"]]
    assert [row[5] for row in rows] == ["0.000", "0.100"]
    assert said == ""
    rows, _ = watched("'run/*-1*' --once", capsys)
    assert [row[1] for row in rows] == ["checkpoint-1000"]


def test_a_line_is_as_long_as_the_terminal_at_most_and_whole_in_a_pipe(folder: Path, capsys):
    name = put(f"{'a' * 40}-12.pt").name
    (row,), _ = watched("run --once", capsys)
    assert row[1] == name
    assert re.fullmatch(r"\d\.\d\d \w.*[^…]", row[-1])
    code, shown = on_terminal("watch", "run", "--once", columns=80, NO_COLOR="1")
    assert code == 0
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())) <= 80
    assert "…aaa" in shown
    assert "a-12.pt  " in shown


def test_the_change_is_told_against_the_network_at_initialisation(folder: Path, capsys):
    put("step_5.pt", 1.5)
    put("../start.npy.pt", 1.0)
    rows, _ = watched("run --initial start.npy.pt --once --json x.json", capsys)
    assert [row[5] for row in rows] == ["0.500"]
    assert json.loads(told(Path("x.json")))["of_change"]


def test_what_is_no_checkpoint_of_this_training_is_told_once_and_passed_over(folder: Path, capsys):
    put("a-1.pt")
    put("a-2.pt", float("nan"))
    put("a-3.pt", filters=4)
    put("a-4.pt", 1.2)
    bad = put("a-5.pt")
    bad.write_bytes(bad.read_bytes()[:-100])
    os.utime(bad, (LONG_AGO, LONG_AGO))
    os.mkfifo("run/a-6.pt")
    Path("run/a-7.pt").symlink_to("a-7.pt")
    Path("run/again").symlink_to("../run", target_is_directory=True)
    Path("run/a-8.pt").symlink_to("a-4.pt")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("run").glob("a-[1-5].pt")}
    rows, said = watched("run --for 0.5s --every 0.1s --html x.html", capsys)
    assert [row[1] for row in rows] == ["a-1.pt", "a-4.pt"]
    lines = said.splitlines()[1:]
    assert [re.findall(r"passed over: run/(a-\d)", line) for line in lines] == [["a-2"], ["a-3"], ["a-5"]]
    assert "NaN" in lines[0]
    assert "of another network; expected conv1, 8 x 3 x 3 x 3" in lines[1]
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before}
    page = told(Path("x.html"))
    assert "NaN or infinity" in page


def test_a_pattern_that_matches_nothing_yet_is_waited_for(folder: Path, capsys):
    rows, said = watched("'run/*.pt' --for 0.2s --every 0.1s", capsys, code=2)
    assert rows == []
    assert said.splitlines()[1:] == [
        "firstlight: run/*.pt has no checkpoint that can be read yet: waits",
        "firstlight: error: run/*.pt has no checkpoint that can be read; expected one: give it more time (--for), or "
        "name another",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("rum", "rum does not exist (did you mean run?); expected a folder of checkpoints"),
        ("run a.pt", "watch was given 2 places; expected a folder, or a pattern: put it in quotes"),
        ("", "watch was given no places"),
        ("run --every 0s", "--every is '0s'; expected a time from 0.01s to a year"),
        ("run --for soon", "--for is 'soon'; expected a time"),
        ("'run/**.pt/**x'", "no pattern"),
        ("pipe", "it is a named pipe; expected a file"),
        ("run --data none --once", "none"),
        ("run --initial none.pt --once", "none.pt does not exist"),
        ("run --data grey.npy --once", "grey.npy: images of uint8 with 1 channel; expected 3"),
        ("run --data grey.npy --initial run/a-1.pt", "grey.npy: images of uint8 with 1 channel; expected 3"),
        ("run --once --csv run/a-1.pt", "which this command reads"),
    ],
)
def test_bad_input_is_one_line(arguments: str, line: str, folder: Path, capsys):
    put("a-1.pt")
    os.mkfifo("pipe")
    np.save("grey.npy", np.zeros((9, 1, 8, 8), np.uint8))
    assert main(["watch", *shlex.split(arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert line in printed.err
    assert printed.err.count("firstlight: error: ") == printed.err.count("\n") == 1
