"""What is seen of trainings in this process or in others of this machine: how far each is."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import ProgressColumn, TextColumn, TimeRemainingColumn

from firstlight.training.describe import describe
from firstlight.training.progress.estimate import Remaining
from firstlight.training.progress.state import Progress
from firstlight.training.spec import RunSpec
from firstlight.utils.progress import LINE_SECONDS, Bars, Interval
from firstlight.utils.text import duration

# What to show as r of (filters, initial), both (K, C, kh, kw) float32.
Correlation = Callable[[np.ndarray, np.ndarray], float]
# That of a spec; None for nothing.
Score = Callable[[RunSpec], Correlation | None]


class TrainingProgress:
    """A live line on stderr: a bar on a terminal, and one line about every ten seconds where there is none.

    Use it as a context and hand `update` to `train` as `on_progress`.

    Parameters
    ----------
    title : str
        What is trained.
    total_steps : int
        Number of updates in all.
    console : Console, optional
        Where it is shown; None for stderr. rich honours NO_COLOR there.
    score : Correlation, optional
        What to compute at every record, and show as `correlation`.
    among : Bars, optional
        Bars among which this is one, started and ended by whoever made them; a line of it stays when it ends.
    remaining : callable, optional
        Of a state of this training, the seconds that it and all after it still take; None where that cannot be told.

    Attributes
    ----------
    correlation : float or None
        Shown as `r=0.93` once it is set, by the score or the caller.
    """

    def __init__(
        self,
        title: str,
        total_steps: int,
        console: Console | None = None,
        *,
        score: Correlation | None = None,
        among: Bars | None = None,
        remaining: Callable[[Progress], float | None] | None = None,
    ) -> None:
        self.correlation: float | None = None
        self._title, self._score, self._among, self._remaining = title, score, among, remaining
        self._bars = among or _bars(console)
        self._bar = self._bars.add(title, total_steps, status="")
        self._interval = Interval(LINE_SECONDS, at_once=True)
        self._line = f"{title}: not begun"

    def __enter__(self) -> Self:
        if self._among is None:
            self._bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """The training has ended, somehow."""
        if self._among is None:
            self._bars.__exit__(None)
        else:
            self._bars.remove(self._bar)
            self._bars.say(self._line)

    def update(self, progress: Progress) -> None:
        """Show a state of the training."""
        if self._score and progress.filters is not None and progress.step > 0:
            self.correlation = self._score(progress.filters, progress.initial)
        status = self._status(progress)
        self._line = f"{self._title}: step {progress.step}/{progress.steps}  {status}".rstrip()
        self._bars.move(self._bar, progress.step, status=status)
        if not self._bars.drawn and (self._interval.due() or progress.step == progress.steps):
            self._bars.say(self._line)

    def _status(self, progress: Progress) -> str:
        parts = []
        if math.isfinite(progress.loss):
            parts.append(f"loss {progress.loss:.3f}  accuracy {progress.accuracy:.1%}")
            parts.append(f"{progress.images_per_second:.0f} images/s")
        if self.correlation is not None:
            parts.append(f"r={self.correlation:.2f}")
        if self._remaining and (left := self._remaining(progress)) is not None:
            parts.append(f"all: {duration(left)} left")
        return "  ".join(parts)


class TrainingsDisplay:
    """The progress of many trainings, each with a number; use it as a context.

    Parameters
    ----------
    console : Console
        Where it is shown.
    done : int
        How many trainings were done before.
    specs : sequence of RunSpec
        What is trained now.
    score : Score or None
        What to show as r.
    several : bool
        Whether several trainings are shown at a time.
    """

    def __init__(
        self, console: Console, done: int, specs: Sequence[RunSpec], score: Score | None, *, several: bool
    ) -> None:
        self._console, self._score = console, score
        self._done, self._total = done, done + len(specs)
        self._remaining = Remaining(specs)
        self._numbers: dict[str, int] = {}
        bars = _bars(console) if several else None
        self._bars = bars if bars and bars.drawn else None

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.__exit__(None)

    def add(self, spec: RunSpec) -> TrainingProgress:
        """Show one more training; one that is trained again has its number again."""
        number = self._numbers.setdefault(spec.hash, self._done + len(self._numbers) + 1)
        title = f"[{number}/{self._total}] {describe(spec)}"
        score = self._score(spec) if self._score else None

        def remaining(progress: Progress) -> float | None:
            self._remaining.move(spec.hash, progress.step / progress.steps)
            return self._remaining.seconds

        return TrainingProgress(title, spec.steps, self._console, score=score, among=self._bars, remaining=remaining)


def _bars(console: Console | None) -> Bars:
    return Bars(_columns, console, transient=False)


def _columns() -> Iterable[ProgressColumn]:
    steps, status = TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[status]}")
    return steps, status, TimeRemainingColumn()
