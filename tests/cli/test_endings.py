"""How the program ends, of every command: exit codes, one line on standard error, and no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.every_command import GIVEN, Planted

from firstlight.cli import completion, main
from firstlight.cli.verbosity import Verbosity
from firstlight.errors import InputError

NOWHERE = Planted(**{**dict.fromkeys(Planted.__dataclass_fields__, Path("none.safetensors")), "run": "none"})
ENDINGS = {
    "foreseen": (InputError("a is 1; expected 2: give 2"), 2, "firstlight: error: a is 1; expected 2: give 2\n$"),
    "system": (OSError(28, "No space left", "x\x1b"), 2, r"firstlight: error: \[Errno 28\] No space left: 'x\\x1b'\n$"),
    "unforeseen": (
        KeyError("a\nb"),
        2,
        r"firstlight: error: unexpected KeyError: 'a\\nb' in cli/\w+.py, line \d+; exp",
    ),
    "recursion": (RecursionError("deep"), 2, "firstlight: error: unexpected RecursionError: deep in cli/"),
    "memory": (MemoryError(), 2, r"firstlight: error: memory ran out \(MemoryError\); expected more to be free"),
    "interrupted": (KeyboardInterrupt(), 130, "firstlight: interrupted; what takes long goes on"),
    "pipe": (BrokenPipeError(), 141, ""),
}
CHILD = """
import signal, sys, threading
class Meanwhile:
    def find_spec(self, name, *_):
        if name == {module!r}:
            {what}
sys.meta_path.insert(0, Meanwhile())
from firstlight.cli import main
sys.exit(main())
"""
RAISE = "signal.raise_signal(signal.{})"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", GIVEN, ids=" ".join)
def test_every_command_ends_in_one_line_and_its_exit_code(command, ending, monkeypatch, capsys):
    error, code, line = ENDINGS[ending]

    def fail(*_):
        raise error

    monkeypatch.setattr(Verbosity, "apply", fail)
    monkeypatch.setattr(completion, "install", fail)
    monkeypatch.setattr("firstlight.inspection.atlas.read_atlas", fail)
    given = GIVEN[command](NOWHERE)[0] if command != ("--install-completion",) else []
    assert main([*command, *map(str, given)]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.match(line, printed.err)
    assert printed.err.count("\n") == bool(line)


@pytest.mark.parametrize("command", GIVEN, ids=" ".join)
def test_every_command_tells_its_help_and_refuses_what_it_does_not_know(command, capsys):
    assert main([*command, "--help"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, "--no-such-option", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_exit_codes_are_told_in_one_table():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert told == sorted({0, 1, *(code for _, code, _ in ENDINGS.values()), 143})


@pytest.mark.parametrize("arguments", [["--traceback", "inspect", "none"], ["inspect", "none", "--traceback"]])
def test_a_traceback_is_shown_where_asked_for(arguments, monkeypatch, capsys):
    def fail(*_):
        raise KeyError("\x1b")

    monkeypatch.setattr(Verbosity, "apply", fail)
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):\n")
    assert "\x1b" not in printed
    assert "unexpected KeyError" in printed.splitlines()[-1]


def test_the_place_of_an_unexpected_error_is_told(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "w.npy", np.ones((4, 3, 3, 3)))
    monkeypatch.setattr("firstlight.filters.formats.numpy.reader._values", lambda *_: 1 // 0)
    monkeypatch.setattr("firstlight.filters.formats.refusals.DAMAGE", ())
    assert main(["inspect", str(tmp_path / "w.npy")]) == 2
    assert " in filters/formats/numpy/reader.py, line " in capsys.readouterr().err


@pytest.mark.parametrize("empty", [[""], ["--json="], ["--json", ""]])
def test_an_empty_argument_is_refused(empty, capsys):
    assert main(["inspect", "none", *empty]) == 2
    assert "an argument is empty" in capsys.readouterr().err


def child(module: str, what: str, *arguments: str, **streams) -> subprocess.CompletedProcess[str]:
    """The program, where something happens while a module is imported."""
    code = CHILD.format(module=module, what=what)
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, "-c", code, *arguments], text=True, timeout=120, check=False, **settings)


@pytest.mark.parametrize(
    "module", ["firstlight.utils.visible", "cyclopts", "numpy", "firstlight.inspection.inspection"]
)
@pytest.mark.parametrize(("signal", "code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_during_imports_is_one_line(module, signal, code, word):
    done = child(module, RAISE.format(signal), "inspect", "none.npy")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"firstlight: {word}; ")
    assert done.stderr.count("\n") == 1


def test_a_signal_that_a_library_turns_into_another_error_is_still_one():
    swallowed = f"""
            try: {RAISE.format("SIGINT")}
            except KeyboardInterrupt: raise ImportError("C extension failed") from None"""
    done = child("numpy", swallowed, "inspect", "none.npy")
    assert done.returncode == 130
    assert done.stderr.startswith("firstlight: interrupted")
    assert done.stderr.count("\n") == 1


def test_a_signal_where_no_exception_can_pass_comes_again():
    lost = f"type('Lost', (), {{'__del__': lambda self: {RAISE.format('SIGINT')}}})()"
    done = child("numpy", lost, "inspect", "none.npy")
    assert done.returncode == 130
    assert done.stderr.startswith("firstlight: interrupted")
    assert done.stderr.count("\n") == 1


def test_an_error_in_a_thread_is_one_line():
    thread = "t = threading.Thread(target=lambda: {}['key']); t.start(); t.join()"
    done = child("numpy", thread, "inspect", "none.npy")
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith("firstlight: error: unexpected KeyError: 'key'")
    assert last.startswith("firstlight: error: none.npy does not exist")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_said_once():
    with open("/dev/full", "w") as full:
        done = child("", "pass", "data", "list", stdout=full)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "firstlight: error: standard output cannot be written (No space left on device); "
        )
        assert done.stderr.count("\n") == 1
        assert child("", "pass", "inspect", "none", stderr=full).returncode == 2


def test_closed_streams_are_no_trouble():
    run = [sys.executable, "-c", CHILD.format(module="", what="pass")]
    for ending, code in (("--help >&-", 0), ("inspect none 2>&-", 2), ("inspect none <&- >&- 2>&-", 2)):
        shell = f'"$@" {ending}'
        done = subprocess.run(["sh", "-c", shell, "sh", *run], capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
