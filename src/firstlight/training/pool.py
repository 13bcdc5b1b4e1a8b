"""`train_all`: many runs, several at a time; each is in the store for good as soon as it is finished."""

import logging
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from firstlight import errors
from firstlight.errors import InputError, RunError
from firstlight.training.display import Display, Line, Score, describe
from firstlight.training.loop import diverged, stored_failure, train
from firstlight.training.processes import Events, WorkerProcess, stop
from firstlight.training.progress import Progress
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec

if TYPE_CHECKING:
    from firstlight.images import ImageSet

logger = logging.getLogger("firstlight")

Load = Callable[[str], "tuple[ImageSet, ImageSet]"]


@dataclass(frozen=True)
class Outcome:
    """How a training ended: with a run, or with the words why there is none."""

    spec: RunSpec
    run: Run | None
    failure: str = ""


def train_all(
    specs: Iterable[RunSpec],
    load: Load,
    store: Path | str,
    *,
    sources: Mapping[str, str | Path] | None = None,
    data_dir: Path | str | None = None,
    device: str = "auto",
    jobs: int = 1,
    score: Score | None = None,
    console: Console | None = None,
) -> Iterator[Outcome]:
    """Train networks, or find their runs in the store; yields an outcome for each, as they come.

    A training that diverges is a failure of its own, and the others go on. Whatever else goes wrong ends all, also when
    the iterator is closed or interrupted: no process is left behind, and the same call goes on where this one was.
    With several jobs each is a process with its part of torch's threads here, `threads // jobs`; a run's last bits
    depend on that number.

    Parameters
    ----------
    specs : what to train; equal ones are trained once.
    load : the train and test images of the data set that a spec names; called in this process, with one job.
    store : folder of runs.
    sources : what `load_images` is given for a data set, by its name, with several jobs; without an entry, the name.
    data_dir : as for `load_images`, with several jobs.
    device : `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
    jobs : how many are trained at a time.
    score : of a spec, what to show as r of the first layer's weights, at every record and before training.
    console : where progress is shown; None for stderr.

    Raises
    ------
    InputError
        The number of jobs, the device or the images of a spec are not possible.
    SourceError
        A data set cannot be had.
    RunError
        A job was killed twice over the same run: most likely there is not enough memory for so many.
    OSError
        A run cannot be written.
    """
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise InputError(f"jobs={jobs!r}: expected a whole number of at least 1")
    unique = list({spec.hash: spec for spec in specs}.values())
    data = _Data({name: str(source) for name, source in (sources or {}).items()}, data_dir and str(data_dir))
    return _train_all(unique, load, Path(store), data, device, jobs, score, console or Console(stderr=True))


@dataclass(frozen=True)
class _Data:
    """Where a worker has images from."""

    sources: Mapping[str, str]
    folder: str | None

    def task(self, spec: RunSpec) -> dict[str, Any]:
        return {"spec": spec.to_dict(), "source": self.sources.get(spec.data, spec.data), "data_dir": self.folder}


def _train_all(
    specs: list[RunSpec],
    load: Load,
    store: Path,
    data: _Data,
    device: str,
    jobs: int,
    score: Score | None,
    console: Console,
) -> Iterator[Outcome]:
    found = {spec.hash: outcome for spec in specs if (outcome := _stored(spec, store))}
    if found:
        console.print(f"{len(found)} of {len(specs)} runs are there already", highlight=False)
    yield from found.values()
    missing = [spec for spec in specs if spec.hash not in found]
    if not missing:
        return
    with Display(console, len(found), len(specs), score, several=jobs > 1) as display:
        if jobs == 1:
            yield from _here(missing, load, store, device, display)
        else:
            yield from _by_workers(missing, data, store, device, jobs, display)


def _stored(spec: RunSpec, store: Path) -> Outcome | None:
    """What the store says of a spec, for which no images are needed."""
    folder = store / spec.hash
    with suppress(RunError):
        return Outcome(spec, Run.load(folder))
    with suppress(RunError):
        if failed := stored_failure(folder):
            return Outcome(spec, None, str(diverged(failed, folder, spec)))
    return None


def _here(specs: list[RunSpec], load: Load, store: Path, device: str, display: Display) -> Iterator[Outcome]:
    for spec in specs:
        sets = load(spec.data)
        with display.line(spec) as line:
            try:
                outcome = Outcome(spec, train(spec, *sets, store, device=device, on_progress=line.show))
            except RunError as error:
                outcome = Outcome(spec, None, str(error))
            except OSError as error:
                raise _named(error.errno, error.strerror or str(error), error.filename, store / spec.hash) from None
        yield outcome


@dataclass
class _Job:
    """What a worker is at."""

    spec: RunSpec
    line: Line
    initial: np.ndarray | None = None

    def show(self, message: dict[str, Any]) -> None:
        values = {name: value for name, value in message.items() if name != "event"}
        if values["initial"] is not None:
            self.initial = np.array(values["initial"], np.float32)
        filters = None if values["filters"] is None else np.array(values["filters"], np.float32)
        self.line.show(Progress(**{**values, "initial": self.initial, "filters": filters}))


def _by_workers(
    specs: list[RunSpec], data: _Data, store: Path, device: str, jobs: int, display: Display
) -> Iterator[Outcome]:
    import torch

    threads = max(1, torch.get_num_threads() // jobs)
    pending, again = deque(specs), set[str]()
    events: Events = SimpleQueue()
    work: dict[WorkerProcess, _Job | None] = {}

    def begin(worker: WorkerProcess) -> None:
        """Give a worker the next spec, or let it end where there is none."""
        work[worker] = None
        if not pending:
            return worker.close()
        spec = pending.popleft()
        work[worker] = _Job(spec, display.line(spec))
        worker.give(data.task(spec))

    try:
        while pending or work:
            while pending and len(work) < jobs:
                begin(WorkerProcess(str(store), device, threads, events))
            worker, message = events.get()
            job = work[worker]
            if message is None:
                del work[worker]
                code, how = worker.end()
                if job:
                    job.line.end()
                    _excuse(code, how, job.spec, jobs, again)
                    pending.appendleft(job.spec)
            elif message["event"] == "log":
                logger.log(message["level"], "%s", message["text"])
            elif job and message["event"] == "progress":
                job.show(message)
            elif job:
                outcome = _outcome(message, job.spec, store)
                job.line.end()
                begin(worker)
                yield outcome
    finally:
        stop(work)


def _excuse(code: int, how: str, spec: RunSpec, jobs: int, again: set[str]) -> None:
    """Let the death of a worker pass once for each spec; `again` holds those for which one has died."""
    if code == -signal.SIGINT:
        raise KeyboardInterrupt  # Ctrl-C came to the worker first
    if spec.hash in again:
        raise RunError(
            f"the process that trained run {spec.hash} ({describe(spec)}) {how}, twice: expected it to live; "
            f"give the same command again with fewer jobs than {jobs}, what was trained is kept"
        )
    again.add(spec.hash)
    logger.warning("the process that trained run %s %s: it goes on in another", spec.hash, how)


def _outcome(message: dict[str, Any], spec: RunSpec, store: Path) -> Outcome:
    """The outcome that a worker tells of; raises what ends all of them."""
    if message["event"] == "finished":
        return Outcome(spec, Run.load(store / spec.hash))
    if message["event"] == "failed":
        return Outcome(spec, None, message["text"])
    if message["event"] == "refused":
        raise getattr(errors, message["kind"])(message["text"])
    number, text, name = message["args"]
    raise _named(number, text, name, store / spec.hash)


def _named(number: int | None, text: str, name: str | None, folder: Path) -> OSError:
    """An error of the system that says where: a full disk does not, when it is written to."""
    return OSError(f"{folder}: {text}") if number is None else OSError(number, text, name or str(folder))
