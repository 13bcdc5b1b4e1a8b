"""`firstlight --install-completion`: a script for the shell, in the home folder and nowhere else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.cli import completion, main

WRITTEN = {
    "bash": [".bashrc", ".local/share/bash-completion/completions/firstlight"],
    "zsh": [".zsh/completions/_cyclopts_firstlight", ".zshrc"],
    "fish": [".config/fish/completions/firstlight.fish"],
}
COMMANDS = ("reproduce", "inspect", "compare", "moments", "figures", "theory", "data", "runs", "clean")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty home folder, with nothing to tell the shell by."""
    for name in ("SHELL", "ZSH", "ZSH_CUSTOM", "ZSH_VERSION", "BASH_VERSION", "FISH_VERSION", "PSModulePath"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def files(home: Path) -> dict[str, str]:
    return {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shell", WRITTEN)
def test_the_script_is_written_once_and_knows_every_command(shell, home, capsys):
    (home / ".bashrc").write_text("alias ll='ls -l'\n")
    for _ in range(2):
        assert main(["--install-completion", "--shell", shell]) == 0
    written = files(home)
    assert sorted(written) == sorted({*WRITTEN[shell], ".bashrc"})
    script = next(path for path in WRITTEN[shell] if "ompletions/" in path)
    assert all(name in written[script] for name in (*COMMANDS, "--preset"))
    assert written[".bashrc"].startswith("alias ll='ls -l'\n")
    assert written[".bashrc"].count('. "') == (shell == "bash")
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{home / script}: ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rep", ["reproduce"]),
        ("runs cl", ["clean"]),
        ("reproduce --pres", ["--preset"]),
        ("data list --js", ["--json"]),
    ],
)
def test_bash_completes_commands_and_options(words, offered, home):
    main(["--install-completion", "--shell", "bash"])
    script = f"""
        . ~/.bashrc
        COMP_WORDS=(firstlight {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        "$(complete -p firstlight | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_a_shell_that_is_not_known_is_one_line(home, monkeypatch, capsys):
    monkeypatch.setattr("cyclopts.completion.detect.detect_shell", lambda: "powershell")
    assert main(["--install-completion"]) == 2
    assert capsys.readouterr().err == (
        "firstlight: error: the shell is powershell; expected bash, zsh or fish: name it with --shell\n"
    )
    assert files(home) == {}


def test_what_completion_takes_is_not_imported_for_anything_else():
    code = f"import sys, {completion.__name__}; from firstlight.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--install-completion" in done.stdout
    assert "cyclopts.completion" not in done.stdout
