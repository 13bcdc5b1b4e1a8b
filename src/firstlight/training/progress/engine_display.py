"""What is seen of trainings that an engine's workers do: a line for each that has ended, and when all will have."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console

from firstlight.engines import Engine
from firstlight.training.describe import describe
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.utils.progress_line import Line
from firstlight.utils.text import counted, duration


class EngineDisplay(Line):
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
        super().__init__(console)
        self._engine = engine
        self._done, self._total = done, done + len(specs)
        self._steps, self._measured, self._seconds = sum(spec.steps for spec in specs), 0, 0.0

    def __enter__(self) -> Self:
        super().__enter__()
        self.say(f"training {counted(self._total - self._done, 'network')} on {self._engine.describe()}")
        self._tell(None)
        return self

    def ended(self, spec: RunSpec, run: Run | None, worker: str) -> None:
        """A training has ended, with its run or with none."""
        self._done += 1
        self._steps -= spec.steps
        if run:
            self._measured += spec.steps
            self._seconds += run.environment["seconds"]
        left, width = None, self._engine.workers
        if self._measured and width:
            # As if a step of the rest took as long as one of those that were measured.
            left = self._seconds / self._measured * self._steps / width
        self._tell(left)
        how = f"{_result(run)} on {worker}" if run else f"failed on {worker}"
        left = self.total(left)
        rest = "" if left is None else f", {duration(left)} left"
        self.say(f"[{self._done}/{self._total}] {describe(spec)}: {how}; {self._engine.describe()}{rest}")

    def _tell(self, left: float | None) -> None:
        details = (f"{self._done}/{self._total}", self._engine.describe)
        self.show("training", details, self._done / self._total, left)


def _result(run: Run) -> str:
    last = run.metrics.iloc[-1]
    speed = f"{run.environment['images_per_second']:.0f} images/s"
    return f"loss {last['train_loss']:.3f}  accuracy {last['train_accuracy']:.1%}  {speed}"
