"""The one line that tells how far all is: brought up to date on a terminal and in a notebook; elsewhere none is drawn.

Whoever does something that takes long opens a `Line`. One that is opened while another is open tells its part on that
one, so that there is never more than a line, and the time that is left is that of everything.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from firstlight.utils.console import in_notebook, note, progress_console
from firstlight.utils.text import duration, printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

T = TypeVar("T")
Detail = str | Callable[[], str]

_BARS = (20, 10)  # characters, where there is room
_TITLE, _SHORT_TITLE = 40, 12  # characters that it needs beside several numbers, and beside one
_FRAMES = 8  # a second, on a terminal
NOTEBOOK_SECONDS = 0.5  # from one state of a notebook's line to the next, which is a message each
_AT_LEAST_SECONDS = 1.0  # what takes less leaves no line in a notebook

_lines: "list[Line]" = []  # that are open, the first of which is seen


def stop_line() -> None:
    """End the line that is seen: an interruption may come before whoever opened it could see to its end."""
    for line in list(_lines):
        line.close()


@dataclass(frozen=True)
class Now:
    """What is being done: its name, numbers from the most important on, the share that is done, the seconds left."""

    title: str = ""
    details: tuple[Detail, ...] = ()
    share: float | None = None
    left: float | None = None
    at: float = field(default_factory=lambda: time.monotonic())

    def fitted(self, width: int) -> "tuple[str, int, int, str]":
        """Title, bar of so many characters of which so many are filled, and the rest, in so many columns."""
        told = [printable(detail if isinstance(detail, str) else detail()) for detail in self.details]
        share = [] if self.share is None else [f"{self.share:.0%}"]
        left = []
        if self.left is not None:
            left = [f"{duration(max(0.0, self.left - (time.monotonic() - self.at)))} left"]
        rest = ""
        for count in range(len(told), -1, -1):  # with fewer numbers, until there is room for the rest
            rest = "".join(f"  {part}" for part in (*share, *told[:count], *left))
            least = min(len(self.title), _TITLE if count > 1 else _SHORT_TITLE) + (2 + _BARS[-1] if share else 0)
            if least + len(rest) <= width:
                break
        room = max(0, width - len(rest))
        title = self.title if len(self.title) <= room else f"{self.title[: room - 1]}…"
        bar = next((bar for bar in _BARS if share and len(title) + 2 + bar <= room), 0)
        return title, bar, round(bar * (self.share or 0.0)), rest


class _Surface(Protocol):
    def refresh(self) -> None: ...
    def stop(self, last: str) -> None: ...


class Line:
    """The line, for the length of a ``with`` block.

    Parameters
    ----------
    console : Console, optional
        Where it is seen. By default standard error, or in a notebook the output of the cell.
    shown : bool
        False: nothing of it is seen.

    Attributes
    ----------
    later : float or None
        Seconds that what comes after the present part will take; None where that cannot be told.
    """

    def __init__(self, console: "Console | None" = None, *, shown: bool = True) -> None:
        self._console = console or progress_console(shown)
        self.later: float | None = 0.0
        self._outer: Line | None = None
        self._surface: _Surface | None = None
        self._now, self._said, self._began = Now(), "", time.monotonic()

    def __enter__(self) -> Self:
        self._outer = _lines[-1] if _lines else None
        _lines.append(self)
        self._began = time.monotonic()
        if self._outer is None:
            self._surface = _surface(self._console, lambda: self._now)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the line away, whether it is seen or part of one."""
        if self in _lines:
            _lines.remove(self)
        if self._surface:
            took = duration(time.monotonic() - self._began)
            self._surface.stop(f"{self._said}  ({took})" if self._said else f"firstlight took {took}")
            self._surface = None

    @property
    def drawn(self) -> bool:
        """Whether there is a line that is brought up to date; elsewhere lines that are said have to do."""
        return self._root._surface is not None

    @property
    def _root(self) -> "Line":
        return self if self._outer is None else self._outer._root

    def total(self, left: float | None) -> float | None:
        """Seconds until everything is done, where this part still takes so many."""
        if left is None or self.later is None:
            return None
        return left + self.later if self._outer is None else self._outer.total(left + self.later)

    def show(
        self, title: str, details: Iterable[Detail] = (), share: float | None = None, left: float | None = None
    ) -> None:
        """Tell what is being done.

        Parameters
        ----------
        title : str
        details : iterable of str or callable
            From the most important on: what has no room is left out. A function is asked again and again.
        share : float, optional
            Of this part, how much is done: 0 to 1.
        left : float, optional
            Seconds that this part still takes.
        """
        root, left = self._root, self.total(left)
        if self is not root or self.later != 0:  # a part of the whole, whose share is one of time
            done = time.monotonic() - root._began
            share = done / (done + left) if left else None
        root._now = Now(printable(title), tuple(details), share, left)
        if root._surface:
            root._surface.refresh()

    def say(self, line: str) -> None:
        """A line that stays, as it is, whatever brackets or width it has; in a notebook, until the next one."""
        root = self._root
        root._said = line = printable(line)
        if not isinstance(root._surface, _InNotebook):
            root._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def note(self, message: str) -> None:
        """As `say`, but a note of the program to its user."""
        root = self._root
        root._said = printable(message)
        if not isinstance(root._surface, _InNotebook):
            note(message)


def in_turn(
    items: Sequence[T], line: Line, title: str, name: Callable[[T], str], seconds: Callable[[T], float]
) -> Iterator[T]:
    """Go through things while the line tells of each; `seconds` is what one takes, more or less, on some machine."""
    expected = [seconds(item) for item in items]
    began, whole = time.monotonic(), sum(expected)
    for number, item in enumerate(items):
        done = sum(expected[:number])
        # Of this machine, as far as it is known: what took as long as one thing of the mean is believed.
        pace = (time.monotonic() - began + whole / len(items)) / (done + whole / len(items))
        line.show(title, (f"{number + 1}/{len(items)}", name(item)), done / whole, pace * (whole - done))
        yield item


def _surface(console: "Console", now: Callable[[], Now]) -> _Surface | None:
    """What the line is seen on, or None."""
    if console.quiet:
        return None
    if console.stderr and in_notebook():
        return _InNotebook(now)
    if console.is_terminal and not console.is_dumb_terminal:
        return _OnTerminal(console, now)
    return None


class _OnTerminal:
    """The last line of a terminal, drawn again and again by a thread; others are printed above it."""

    def __init__(self, console: "Console", now: Callable[[], Now]) -> None:
        from rich.live import Live

        self._live = Live(
            get_renderable=lambda: _Drawn(now()), console=console, refresh_per_second=_FRAMES, transient=True
        )
        self._live.start()

    def refresh(self) -> None:
        """Nothing to do: the thread does."""

    def stop(self, last: str) -> None:
        self._live.stop()


@dataclass(frozen=True)
class _Drawn:
    now: Now

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        from rich.text import Text

        title, bar, filled, rest = self.now.fitted(options.max_width - 2)  # and room for ^C
        full, empty = "#-" if options.ascii_only else "━─"
        parts = [(title, ""), ("  " if bar else "", ""), (full * filled, "green"), (empty * (bar - filled), "dim")]
        yield Text.assemble(*parts, rest, no_wrap=True, overflow="ellipsis")


class _InNotebook:
    """One output of a notebook's cell, which is written again."""

    def __init__(self, now: Callable[[], Now]) -> None:
        self._now, self._handle = now, None
        self._next = time.monotonic() + _AT_LEAST_SECONDS

    def refresh(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + NOTEBOOK_SECONDS
            title, bar, filled, rest = self._now().fitted(100)
            self._write(f"{title}{'  ' if bar else ''}{'━' * filled}{'─' * (bar - filled)}{rest}")

    def stop(self, last: str) -> None:
        if self._handle:
            self._write(last)

    def _write(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
