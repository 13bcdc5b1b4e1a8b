"""What is told on the way, on standard error, which `silence` stops."""

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from firstlight.utils.text import printable

if TYPE_CHECKING:
    from rich.console import Console

_silent = False


def silence(silent: bool) -> None:
    """Tell nothing on the way from now on, in all threads of this process, or tell it again."""
    global _silent
    _silent = silent


def note(message: str) -> None:
    """Tell the user, on standard error, what is being done on their behalf."""
    if not _silent:
        print(f"firstlight: {printable(message)}", file=sys.stderr, flush=True)


@lru_cache(maxsize=64)
def note_once(message: str) -> None:
    """Tell the user, but not again for each of the networks that a command looks at."""
    note(message)


def in_notebook() -> bool:
    """Whether this runs in a notebook, an output of which can be written again."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def progress_console(shown: bool = True) -> "Console":
    """Where progress is shown: standard error, or nowhere."""
    from firstlight.utils.visible_console import VisibleConsole

    quiet = _silent or not shown
    console = VisibleConsole(stderr=True, quiet=quiet)
    if console.is_jupyter:  # a live display needs ipywidgets there; without it every refresh is a warning
        return VisibleConsole(stderr=True, quiet=quiet, force_jupyter=False, force_terminal=False)
    return console
