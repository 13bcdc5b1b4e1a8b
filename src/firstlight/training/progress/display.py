"""What is seen of trainings in this process or in others of this machine: how far each is, and all of them."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from rich.console import Console

from firstlight.training.describe import describe
from firstlight.training.progress.estimate import SETTLED, Remaining
from firstlight.training.progress.state import Progress
from firstlight.training.spec import RunSpec
from firstlight.utils.progress import LINE_SECONDS, Interval
from firstlight.utils.progress_line import Line
from firstlight.utils.text import duration

# What to show as r of (filters, initial), both (K, C, kh, kw) float32.
Correlation = Callable[[np.ndarray, np.ndarray], float]
# That of a spec; None for nothing.
Score = Callable[[RunSpec], Correlation | None]


class TrainingProgress:
    """A live line on stderr or in a notebook; where there is none, a line about every ten seconds.

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
    among : TrainingsDisplay, optional
        The trainings of which this is one.
    remaining : callable, optional
        Of a state of this training, the seconds that it and all after it still take, or None; by default its own.

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
        among: "TrainingsDisplay | None" = None,
        remaining: Callable[[Progress], float | None] | None = None,
    ) -> None:
        self.correlation: float | None = None
        self._title, self._steps, self._score, self._among = title, total_steps, score, among
        self._remaining = remaining or self._own
        self._line = among.line if among else Line(console)
        self._interval = Interval(LINE_SECONDS, at_once=True)
        self._began: tuple[float, int] | None = None
        self._text = f"{title}: not begun"

    def __enter__(self) -> Self:
        if self._among is None:
            self._line.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):  # and was not interrupted
            self.end()
        if self._among is None:
            self._line.close()

    def end(self) -> None:
        """The training has ended, somehow."""
        if self._line.drawn:
            self._line.say(self._text)

    def update(self, progress: Progress) -> None:
        """Show a state of the training."""
        if self._score and progress.filters is not None and progress.step > 0:
            self.correlation = self._score(progress.filters, progress.initial)
        details, left = self._details(progress), self._remaining(progress)
        self._text = f"{self._title}: {'  '.join(details)}"
        if self._among and self._among.several:
            self._line.show(self._among.title, (), self._among.share, left)
        else:
            self._line.show(self._title, details, progress.step / max(1, self._steps), left)
        if not self._line.drawn and (self._interval.due() or progress.step == progress.steps):
            total = self._line.total(left)
            self._line.say(self._text + (f"  all: {duration(total)} left" if total else ""))

    def _details(self, progress: Progress) -> list[str]:
        """What is known, from the most important on."""
        details = [f"step {progress.step}/{progress.steps}"]
        known = math.isfinite(progress.loss)
        if known:
            details.append(f"accuracy {progress.accuracy:.1%}")
        if self.correlation is not None:
            details.append(f"r={self.correlation:.2f}")
        if known:
            details.append(f"loss {progress.loss:.3f}")
            if math.isfinite(progress.images_per_second):  # not right after it went on
                details.append(f"{progress.images_per_second:.0f} images/s")
        return details

    def _own(self, progress: Progress) -> float | None:
        """Seconds that this training still takes, by its pace; None while too little has been seen to tell."""
        now = time.monotonic()
        self._began = self._began or (now, progress.step)
        took, done = now - self._began[0], progress.step - self._began[1]
        return took / done * (progress.steps - progress.step) if done > 0 and took >= SETTLED else None


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
        Whether several are trained at a time: the line is then about all of them, and one of each stays when it ends.

    Attributes
    ----------
    line : Line
    """

    def __init__(
        self, console: Console, done: int, specs: Sequence[RunSpec], score: Score | None, *, several: bool
    ) -> None:
        self.line, self.several = Line(console), several
        self._score = score
        self._done, self._total = done, done + len(specs)
        self._remaining = Remaining(specs)
        self._numbers: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.line.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    @property
    def title(self) -> str:
        """What is trained, where that are several at a time."""
        return f"training, {self._done + len(self._numbers)} of {self._total} begun"

    @property
    def share(self) -> float:
        """How much of all is done, 0 to 1."""
        return self._remaining.share

    def add(self, spec: RunSpec) -> TrainingProgress:
        """Show one more training; one that is trained again has its number again."""
        number = self._numbers.setdefault(spec.hash, self._done + len(self._numbers) + 1)
        title = f"[{number}/{self._total}] {describe(spec)}"
        score = self._score(spec) if self._score else None

        def remaining(progress: Progress) -> float | None:
            self._remaining.move(spec.hash, progress.step / progress.steps)
            return self._remaining.seconds

        return TrainingProgress(title, spec.steps, score=score, among=self, remaining=remaining)
