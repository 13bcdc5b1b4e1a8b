"""Completion of commands and options by the shell: `firstlight --install-completion`."""

from typing import Literal

from cyclopts import App

from firstlight.errors import InputError

Shell = Literal["bash", "zsh", "fish"]


def install(app: App, shell: Shell | None) -> str:
    """Write the script that completes the app's commands, and have the shell load it; says what was done."""
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError:
        chosen = "none that is known"
    if chosen not in ("bash", "zsh", "fish"):
        raise InputError(f"the shell is {chosen}; expected bash, zsh or fish: name it with --shell")
    path = app.install_completion(shell=chosen)
    loaded = {"bash": "~/.bashrc loads it", "zsh": "~/.zshrc lists its folder, for compinit", "fish": "fish loads it"}
    return f"{path}: {loaded[chosen]} when the next {chosen} starts"
