"""How far the reading of a data set has come: a bar on a terminal, elsewhere a line now and then."""

import time
from types import TracebackType
from typing import Any, Self

from firstlight.utils.console import note, progress_console, shows_bars, start_bars
from firstlight.utils.text import duration

_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.1


class Progress:
    """Counts images on stderr.

    Parameters
    ----------
    label
        What is done, such as "reading photos".
    total
        How many images there are; None if that is not known.
    shown
        False: silent.
    """

    def __init__(self, label: str, total: int | None, shown: bool) -> None:
        self.label, self.total, self.shown = label, total, shown
        self.done = 0
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._start = self._told = time.monotonic()
        if self.shown and shows_bars(console := progress_console()):
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            more = (TextColumn("images, {task.fields[rate]:,.0f}/s, left:"), TimeRemainingColumn())
            self._bar = Bar(*columns, *more, console=console, transient=True)
            self._task = self._bar.add_task(self.label, total=self.total, rate=0.0)
            start_bars(self._bar)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def update(self, count: int) -> None:
        """Count `count` more images."""
        self.done += count
        now = time.monotonic()
        if not self.shown or now - self._told < (_LINE_SECONDS if self._bar is None else _BAR_SECONDS):
            return
        self._told = now
        rate = self.done / (now - self._start)
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, rate=rate)
            return
        known = self.total is not None
        left = f", {duration(max(0, self.total - self.done) / rate)} left" if self.total is not None else ""
        note(f"{self.label}: {self.done:,}{f' of {self.total:,}' if known else ''} images, {rate:,.0f} a second{left}")
