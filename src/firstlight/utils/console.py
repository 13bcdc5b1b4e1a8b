"""What is told on the way, on standard error: notes and progress, which `silence` stops."""

import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_silent = False
_bars: "weakref.WeakSet[Progress]" = weakref.WeakSet()


def silence(silent: bool) -> None:
    """Tell nothing on the way from now on, in all threads of this process, or tell it again."""
    global _silent
    _silent = silent


def note(message: str) -> None:
    """Tell the user, on standard error, what is being done on their behalf."""
    if not _silent:
        print(f"firstlight: {message}", file=sys.stderr, flush=True)


def progress_console() -> "Console":
    """Where progress is shown: standard error, or nowhere."""
    from rich.console import Console

    console = Console(stderr=True, quiet=_silent)
    if console.is_jupyter:  # a live display needs ipywidgets there; without it every refresh is a warning
        return Console(stderr=True, quiet=_silent, force_jupyter=False, force_terminal=False)
    return console


def shows_bars(console: "Console") -> bool:
    """Whether a live display can be drawn there; elsewhere, as in a file or a dumb terminal, lines have to do."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


def start_bars(bars: "Progress") -> None:
    """Start a live display, such that `stop_bars` ends it."""
    _bars.add(bars)
    bars.start()


def stop_bars() -> None:
    """End every live display: an interruption may come before whoever starts one could see to its end."""
    for bars in list(_bars):
        bars.stop()
