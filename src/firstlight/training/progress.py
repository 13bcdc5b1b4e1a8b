"""How far a training is: what it tells its caller, and a display of that for the terminal."""

import math
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from firstlight.utils.console import progress_console, shows_bars, start_bars

SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a training after `step` updates.

    Attributes
    ----------
    step, steps : updates done, updates in all.
    loss : of the latest batch; NaN before the first.
    accuracy : 0 to 1, mean over the batches since the last record; NaN before the first.
    images_per_second : of this process so far; NaN before the first batch.
    initial : (K, C, kh, kw) float32, the first layer before training.
    filters : (K, C, kh, kw) float32, the first layer at this step if it was recorded, else None. The first
        report of a resumed training brings the latest record.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    initial: np.ndarray
    filters: np.ndarray | None


class TrainingProgress:
    """A live line on stderr: a bar on a terminal, and one line about every ten seconds where there is none.

    Use it as a context and hand `update` to `train` as `on_progress`.

    Parameters
    ----------
    title : what is trained.
    total_steps : number of updates in all.
    console : where it is shown; None for stderr. rich honours NO_COLOR there.

    Attributes
    ----------
    correlation : shown as `r=0.93` once it is set; the caller computes it.
    """

    def __init__(self, title: str, total_steps: int, console: Console | None = None) -> None:
        self.correlation: float | None = None
        self._title = title
        self._console = console or progress_console()
        self._bar: Bar | None = None
        if shows_bars(self._console):
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(title, total=total_steps, status="")
        self._last_line = -math.inf

    def __enter__(self) -> Self:
        if self._bar:
            start_bars(self._bar)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, progress: Progress) -> None:
        """Show a state of the training."""
        status = self._status(progress)
        if self._bar:
            self._bar.update(self._task, completed=progress.step, status=status)
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES or progress.step == progress.steps:
            self._last_line = now
            line = f"{self._title}: step {progress.step}/{progress.steps}  {status}".rstrip()
            # A line for a log: as it is, whatever brackets or width it has.
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _status(self, progress: Progress) -> str:
        parts = []
        if math.isfinite(progress.loss):
            parts.append(f"loss {progress.loss:.3f}  accuracy {progress.accuracy:.1%}")
            parts.append(f"{progress.images_per_second:.0f} images/s")
        if self.correlation is not None:
            parts.append(f"r={self.correlation:.2f}")
        return "  ".join(parts)
