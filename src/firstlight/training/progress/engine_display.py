"""What is seen of trainings that an engine's workers do: a line for each that has ended, and when all will have."""

import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TimeElapsedColumn
from rich.text import Text

from firstlight.engines import Engine
from firstlight.training.describe import describe
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.utils.progress import Bars
from firstlight.utils.text import duration


class EngineDisplay(Bars):
    """The progress of trainings on an engine, of which nothing is heard before they end; use it as a context.

    Parameters
    ----------
    console : Console
        Where it is shown.
    done : int
        How many trainings were done before.
    specs : sequence of RunSpec
        What is trained now.
    engine : Engine
        Where they are trained.
    """

    def __init__(self, console: Console, done: int, specs: Sequence[RunSpec], engine: Engine) -> None:
        super().__init__(lambda: (MofNCompleteColumn(), TimeElapsedColumn(), _Text(self._status)), console)
        self._engine = engine
        self._done, self._total = done, done + len(specs)
        self._steps, self._measured, self._seconds = sum(spec.steps for spec in specs), 0, 0.0
        self._left: float | None = None
        self._estimated = time.monotonic()
        self._bar = self.add("training", self._total, done)

    def __enter__(self) -> Self:
        self.say(f"training {self._total - self._done} networks on {self._engine.describe()}")
        return super().__enter__()

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
        self.move(self._bar, self._done)
        how = f"{_result(run)} on {worker}" if run else f"failed on {worker}"
        self.say(f"[{self._done}/{self._total}] {describe(spec)}: {how}; {self._status()}")

    def _status(self) -> str:
        if self._left is None:
            return self._engine.describe()
        left = max(0.0, self._left - (time.monotonic() - self._estimated))
        return f"{self._engine.describe()}, {duration(left)} left"


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
