"""What is seen of many trainings: a title for each, and one bar or now and then a line for each at a time."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from firstlight.models import MODELS
from firstlight.training.progress import Progress, TrainingProgress
from firstlight.training.spec import RunSpec, label_component
from firstlight.utils.console import shows_bars, start_bars

# Of a spec: what to show as r of (filters, initial), both (K, C, kh, kw) float32; None for nothing.
Score = Callable[[RunSpec], Callable[[np.ndarray, np.ndarray], float] | None]

STANDARD_DATA, STANDARD_LR, STANDARD_BATCH_SIZE = "cifar10", 0.01, 256


def describe(spec: RunSpec) -> str:
    """A spec in words: network, seed, and all in which it differs from the paper's recipe on CIFAR-10.

    Examples
    --------
    >>> from firstlight.training import RunSpec, describe
    >>> described = {"data": "photos", "data_fingerprint": "ab", "test_fingerprint": "cd", "classes": 5, "channels": 1}
    >>> describe(RunSpec("vgg11", **described, mean=(0.5,), std=(0.2,), steps=42, seed=0, labels="random", width=16))
    'VGG11, seed 0, photos, random labels, width 16'
    """
    component = label_component(spec.labels)
    special = (
        (spec.data != STANDARD_DATA, spec.data),
        (spec.only is not None, "/".join(spec.only or ())),
        (spec.labels == "random", "random labels"),
        (component is not None, f"labels by component {component}"),
        (spec.frozen, "frozen"),
        (spec.width is not None, f"width {spec.width}"),
        (spec.stride != 1 and spec.scaled_component is None, f"stride {spec.stride}"),
        (spec.scaled_component is not None, f"component {spec.scaled_component} x {spec.scale:g}"),
        (spec.lr != STANDARD_LR, f"lr {spec.lr:g}"),
        (spec.batch_size != STANDARD_BATCH_SIZE, f"batches of {spec.batch_size}"),
        (spec.train_images is not None, f"{spec.train_images} images"),
        (spec.precision != "float32", spec.precision),
    )
    return ", ".join([MODELS[spec.model].title, f"seed {spec.seed}", *(text for shown, text in special if shown)])


class Display:
    """The progress of many trainings; use it as a context.

    Parameters
    ----------
    console : where it is shown.
    done, total : how many trainings were done before, and how many there are with those.
    score : what to show as r.
    several : whether several trainings are shown at a time.
    """

    def __init__(self, console: Console, done: int, total: int, score: Score | None, *, several: bool) -> None:
        self._console = console
        self._done, self._total = done, total
        self._score = score
        self._numbers: dict[str, int] = {}
        self._bars: Bars | None = None
        if several and shows_bars(console):
            columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TextColumn("{task.fields[status]}"))
            self._bars = Bars(TextColumn("{task.description}"), *columns, TimeRemainingColumn(), console=console)

    def __enter__(self) -> Self:
        if self._bars:
            start_bars(self._bars)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def line(self, spec: RunSpec) -> "Line":
        """Make a line for a training; one that is trained again has its number again."""
        number = self._numbers.setdefault(spec.hash, self._done + len(self._numbers) + 1)
        title = f"[{number}/{self._total}] {describe(spec)}"
        if self._bars:
            progress = _SharedBar(title, spec.steps, self._console, self._bars)
        else:
            progress = TrainingProgress(title, spec.steps, self._console)
        return Line(progress, self._score(spec) if self._score else None)


class Line:
    """How far one training is, with its score; use it as a context, or call `begin` and `end`."""

    def __init__(self, progress: TrainingProgress, score: Callable[[np.ndarray, np.ndarray], float] | None) -> None:
        self._progress = progress
        self._score = score

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """The training has ended, somehow."""
        self._progress.__exit__(None, None, None)

    def show(self, progress: Progress) -> None:
        """Show a state of the training."""
        if self._score and progress.filters is not None and progress.step > 0:
            self._progress.correlation = self._score(progress.filters, progress.initial)
        self._progress.update(progress)


class _SharedBar(TrainingProgress):
    """A bar among those of a display, in the place of one of its own; a line of it stays when it ends."""

    def __init__(self, title: str, total_steps: int, console: Console, bars: Bars) -> None:
        super().__init__(title, total_steps, console)
        self._bar = bars
        self._task = bars.add_task(title, total=total_steps, status="")
        self._last = f"{title}: not begun"

    def __enter__(self) -> Self:
        return self  # the display starts and stops them all

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._bar
        self._bar.remove_task(self._task)
        self._console.print(self._last, markup=False, highlight=False)

    def update(self, progress: Progress) -> None:
        super().update(progress)
        self._last = f"{self._title}: step {progress.step}/{progress.steps}  {self._status(progress)}"
