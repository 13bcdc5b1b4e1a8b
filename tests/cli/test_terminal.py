"""The command line on a terminal, in a pipe and in scripts: real processes, with and without a pseudo-terminal."""

import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.small_data import write_data

from firstlight import cli
from firstlight.utils.console import note, progress_console

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).with_name("firstlight"))
RUN = ROOT / "results" / "runs" / "b847049178778b02" / "filters.safetensors"
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7])[0-9;]*m")
KEPT = {name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ}
HOME = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", **KEPT}


def piped(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, env={**HOME, **env})


def on_terminal(
    *arguments: str, interrupt: Callable[[str], bool] = lambda text: False, columns: int = 80, **env: str
) -> tuple[int, str]:
    """Exit code and all that a command writes to a terminal; Ctrl-C is typed once it has written so much."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    child = subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**HOME, "TERM": "xterm-256color", **env},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a part may end within a character
    text, typed, end = "", False, time.monotonic() + 120
    try:
        while time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    part = os.read(master, 65536)
                except OSError:  # Linux says so when the last process has closed it
                    break
                text += decoder.decode(part)
            if not typed and interrupt(text):
                os.write(master, b"\x03")
                typed = True
        return child.wait(timeout=max(1.0, end - time.monotonic())), text
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        os.close(master)


def test_a_pipe_gets_no_control_characters_and_no_spaces_at_ends_of_lines():
    for arguments in (["data", "list"], ["inspect", str(RUN)], ["compare", str(RUN), str(RUN)]):
        done = piped(*arguments, TERM="xterm-256color")
        assert done.returncode == 0, done.stderr
        assert not re.search(" $", done.stdout, re.MULTILINE)
        assert "\x1b" not in done.stdout + done.stderr
        assert "\r" not in done.stdout + done.stderr


def test_terminals_get_colours_unless_they_are_dumb_or_asked_not_to():
    code, shown = on_terminal("compare", str(RUN), str(RUN))
    assert code == 0
    assert COLOUR.search(shown)
    code, shown = on_terminal("compare", str(RUN), str(RUN), NO_COLOR="1")
    assert code == 0
    assert not COLOUR.search(shown)
    code, shown = on_terminal("compare", str(RUN), str(RUN), TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", [60, 80])
def test_nothing_is_wider_than_the_terminal(columns):
    for arguments in (["inspect", str(RUN)], ["data", "list"], ["--help"], ["figures", "--help"]):
        code, shown = on_terminal(*arguments, columns=columns, NO_COLOR="1")
        assert code == 0
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines()
        assert max(map(len, lines)) <= columns, arguments


def test_an_interruption_leaves_the_terminal_clean_and_ends_with_130(tmp_path):
    data = write_data(tmp_path)
    command = ("reproduce", "formula", "--data", str(data), "--device", "cpu", "--out", str(tmp_path / "out"))
    code, shown = on_terminal(*command, interrupt=lambda text: "/150" in text)
    assert code == 130
    assert "Traceback" not in shown
    assert re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines()[-1].startswith("firstlight: interrupted")
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0  # the cursor is seen again
    assert shown.count("\x1b[1A") <= 1  # one line, which is written over; only at its end the cursor goes up to it
    assert not (tmp_path / "out" / "claims.json").exists()


def test_narrow_encodings_are_no_errors():
    narrow = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (["inspect", str(RUN)], ["inspect", str(RUN), "--json", "-"], ["reproduce", "--list"]):
        done = piped(*arguments, **narrow)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


def test_a_reader_that_goes_away_is_told_from_a_success():
    line = f"{PROGRAM} inspect {RUN} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_help_imports_nothing_that_takes_long_and_names_every_command():
    heavy = {"torch", "numpy", "matplotlib", "pandas", "scipy", "numba", "plotly", "jinja2", "pyarrow"}
    code = f"import sys; from firstlight import cli; cli.main(['--help']); print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    for name in ("reproduce", "inspect", "compare", "watch", "moments", "figures", "theory", "runs", "data"):
        assert f" {name} " in done.stdout


@pytest.mark.parametrize(
    "command",
    ["reproduce", "inspect", "compare", "watch", "moments", "figures", "theory", "runs list", "runs show", "data list"],
)
def test_every_command_that_tells_something_does_so_as_json_and_quietly(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "--quiet" in shown
    assert "--verbose" in shown


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0):
    """What a command prints with `--json -`; nothing else may be on standard output."""
    assert cli.main([*arguments, "--json", "-"]) == code
    return json.loads(capsys.readouterr().out)


def test_theory_tells_eq_3_as_json(capsys):
    found = told(capsys, "theory", "--data", "photos", "--steps", "1", "inf")
    assert found["steps"] == [1, "inf"]
    assert np.shape(found["energy"]) == (2, 27)
    whitened = np.array(found["energy"][1]) ** 2 * found["variance"]
    np.testing.assert_allclose(whitened / whitened[0], 1)


def test_runs_and_data_sets_are_told_as_json(capsys, tmp_path):
    (tmp_path / "runs").mkdir()
    os.symlink(RUN.parent, tmp_path / "runs" / "link")  # links are no runs
    assert told(capsys, "runs", "list", "--out", str(tmp_path)) == []
    listed = told(capsys, "runs", "list", "--out", str(ROOT / "results"))
    assert {run["state"] for run in listed} == {"finished"}
    shown = told(capsys, "runs", "show", RUN.parent.name[:8], "--out", str(ROOT / "results"))
    assert shown["spec"]["model"] == "vgg11"
    assert shown["metrics"]["step"] == shown["steps"]
    assert {info["name"] for info in told(capsys, "data", "list")} == {"cifar10", "cifar100", "photos"}


def test_json_into_a_file_leaves_the_tables_on_the_screen(capsys, tmp_path):
    assert cli.main(["data", "list", "--json", str(tmp_path / "a" / "d.json")]) == 0
    assert "cifar10" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "a" / "d.json").read_text())) == 3


def test_quiet_commands_tell_no_notes_and_the_next_one_does(capsys):
    assert cli.main(["data", "list", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    note("a note")
    assert capsys.readouterr().err == "firstlight: a note\n"
    assert not progress_console().quiet
