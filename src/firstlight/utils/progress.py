"""How far images are: on the line of progress, and where none is drawn by a note now and then."""

import time
from typing import Self

from firstlight.utils.progress_line import Line
from firstlight.utils.text import duration

LINE_SECONDS = 10.0  # from one line to the next
LOOK_SECONDS = 0.1  # from one state of what is drawn to the next


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


class ImageProgress:
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
        self.label, self.total, self.shown = label, total, shown
        self.done = 0
        self._line = Line(shown=shown)
        self._start = time.monotonic()
        self._interval = Interval(LINE_SECONDS)

    def __enter__(self) -> Self:
        if self.shown:
            self._line.__enter__()
        if self._line.drawn:
            self._interval = Interval(LOOK_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def update(self, count: int) -> None:
        """Count `count` more images."""
        self.done += count
        if not self.shown or not self._interval.due():
            return
        rate, done = self.done / self.seconds, f"{self.done:,}"
        share = left = None
        if self.total is not None:
            done += f" of {self.total:,}"
            share, left = min(1.0, self.done / max(1, self.total)), max(0, self.total - self.done) / rate
        details = (f"{done} images", f"{rate:,.0f} a second")
        self._line.show(self.label, details, share, left)
        if not self._line.drawn:
            left = self._line.total(left)
            rest = () if left is None else (f"{duration(left)} left",)
            self._line.note(f"{self.label}: {', '.join((*details, *rest))}")
