"""How far something is, on standard error: bars on a terminal, elsewhere a line now and then, nothing if told so."""

import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from firstlight.utils.console import note, progress_console
from firstlight.utils.text import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID

LINE_SECONDS = 10.0  # from one line to the next
BAR_SECONDS = 0.1  # from one look of a bar to the next

_started: "weakref.WeakSet[Progress]" = weakref.WeakSet()


def stop_bars() -> None:
    """End every live display: an interruption may come before whoever starts one could see to its end."""
    for live in list(_started):
        live.stop()


class Bars:
    """Bars on a terminal, for the length of a ``with`` block.

    Where they cannot be drawn, as in a file or a dumb terminal, none are, and lines have to do.

    Parameters
    ----------
    columns : callable
        Makes what is seen to the right of each bar; called only where bars are drawn.
    console : Console, optional
        Where it is shown. By default standard error.
    transient : bool
        Whether the bars go away at the end.

    Attributes
    ----------
    drawn : bool
        Whether bars are.
    """

    def __init__(
        self,
        columns: "Callable[[], Iterable[ProgressColumn]]",
        console: "Console | None" = None,
        *,
        transient: bool = True,
    ) -> None:
        self._console = console or progress_console()
        self._live: Progress | None = None
        self.drawn = self._console.is_terminal and not self._console.is_dumb_terminal and not self._console.quiet
        if self.drawn:
            from rich import progress

            first = (progress.TextColumn("{task.description}"), progress.BarColumn())
            self._live = progress.Progress(*first, *columns(), console=self._console, transient=transient)

    def __enter__(self) -> Self:
        if self._live:
            _started.add(self._live)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._live:
            self._live.stop()

    def add(self, title: str, total: int | None, done: int = 0, **fields: Any) -> "TaskID | None":
        """One more bar, with what its columns show; None where none are drawn."""
        return self._live.add_task(title, total=total, completed=done, **fields) if self._live else None

    def move(self, bar: "TaskID | None", done: int, **fields: Any) -> None:
        """Bring a bar up to date."""
        if self._live and bar is not None:
            self._live.update(bar, completed=done, **fields)

    def remove(self, bar: "TaskID | None") -> None:
        """Take a bar away."""
        if self._live and bar is not None:
            self._live.remove_task(bar)

    def say(self, line: str) -> None:
        """A line that stays, as it is, whatever brackets or width it has."""
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


class Interval:
    """Seconds that pass from one line, or one look, to the next; the first comes after as many, or at once."""

    def __init__(self, seconds: float, *, at_once: bool = False) -> None:
        self._seconds = seconds
        self._last = float("-inf") if at_once else time.monotonic()

    def due(self) -> bool:
        """Whether they have passed; if so they begin again."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class ImageProgress(Bars):
    """Counts the images that are read, with the time that is left; use it as a context.

    Parameters
    ----------
    label : str
        What is done, such as "reading photos".
    total : int, optional
        How many images there are; None if that is not known.
    shown : bool
        False: silent.
    """

    def __init__(self, label: str, total: int | None, shown: bool) -> None:
        super().__init__(_image_columns, progress_console(shown))
        self.label, self.total, self.shown = label, total, shown
        self.done = 0
        self._bar = self.add(label, total, rate=0.0)
        self._start = time.monotonic()
        self._interval = Interval(BAR_SECONDS if self.drawn else LINE_SECONDS)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def update(self, count: int) -> None:
        """Count `count` more images."""
        self.done += count
        if not self.shown or not self._interval.due():
            return
        rate = self.done / self.seconds
        self.move(self._bar, self.done, rate=rate)
        if not self.drawn:
            of, left = "", ""
            if self.total is not None:
                of, left = f" of {self.total:,}", f", {duration(max(0, self.total - self.done) / rate)} left"
            note(f"{self.label}: {self.done:,}{of} images, {rate:,.0f} a second{left}")


def _image_columns() -> "Iterable[ProgressColumn]":
    from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

    rate = TextColumn("images, {task.fields[rate]:,.0f}/s, left:")
    return MofNCompleteColumn(), rate, TimeRemainingColumn()
