"""What is seen of trainings that an engine's workers do: a line for each that has ended, and when all will have."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from firstlight.engines import Engine
from firstlight.training.display import describe
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.utils.console import shows_bars, start_bars


class EngineDisplay:
    """The progress of trainings on an engine, of which nothing is heard before they end; use it as a context.

    Parameters
    ----------
    console : where it is shown.
    done : how many trainings were done before.
    specs : what is trained now.
    engine : where.
    """

    def __init__(self, console: Console, done: int, specs: Sequence[RunSpec], engine: Engine) -> None:
        self._console, self._engine = console, engine
        self._done, self._total = done, done + len(specs)
        self._steps, self._measured, self._seconds = sum(spec.steps for spec in specs), 0, 0.0
        self._left: float | None = None
        self._estimated = time.monotonic()
        self._bar: Bar | None = None
        if shows_bars(console):
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, _Text(self._status), console=console, transient=True)
            self._task = self._bar.add_task("training", total=self._total, completed=done)

    def __enter__(self) -> Self:
        self._print(f"training {self._total - self._done} networks on {self._engine.describe()}")
        if self._bar:
            start_bars(self._bar)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, spec: RunSpec, run: Run | None, worker: str) -> None:
        """A training has ended, with its run or with none."""
        self._done += 1
        self._steps -= spec.steps
        if run:
            self._measured += spec.steps
            self._seconds += run.environment["seconds"]
        width = self._engine.workers
        if self._measured and width:
            # As if a step of the rest took as long as one of those that were measured.
            self._left = self._seconds / self._measured * self._steps / width
            self._estimated = time.monotonic()
        if self._bar:
            self._bar.update(self._task, completed=self._done)
        how = f"{_result(run)} on {worker}" if run else f"failed on {worker}"
        self._print(f"[{self._done}/{self._total}] {describe(spec)}: {how}; {self._status()}")

    def _status(self) -> str:
        if self._left is None:
            return self._engine.describe()
        left = max(0.0, self._left - (time.monotonic() - self._estimated))
        return f"{self._engine.describe()}, {_clock(left)} left"

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Text(ProgressColumn):
    """What a function says, asked again whenever it is drawn."""

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text())


def _result(run: Run) -> str:
    last = run.metrics.iloc[-1]
    speed = f"{run.environment['images_per_second']:.0f} images/s"
    return f"loss {last['train_loss']:.3f}  accuracy {last['train_accuracy']:.1%}  {speed}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
