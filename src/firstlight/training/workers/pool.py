"""`train_all`: many runs, several at a time; each is in the store for good as soon as it is finished."""

import logging
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from firstlight.errors import InputError, RunError
from firstlight.training.describe import describe
from firstlight.training.failure import diverged, stored_failure
from firstlight.training.outcome import DataPlaces, Load, Outcome, outcome_of
from firstlight.training.progress.display import Score, TrainingProgress, TrainingsDisplay
from firstlight.training.progress.engine_display import EngineDisplay
from firstlight.training.progress.state import Progress
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.training.workers.on_engine import train_on_engine
from firstlight.training.workers.processes import Events, WorkerProcess, stop
from firstlight.utils.checks import whole_number
from firstlight.utils.console import progress_console
from firstlight.utils.progress_line import Line
from firstlight.utils.text import counted, plural

if TYPE_CHECKING:
    from firstlight.engines import Engine

logger = logging.getLogger(__name__)


def train_all(
    specs: Iterable[RunSpec],
    load: Load,
    store: Path | str,
    *,
    sources: Mapping[str, str | Path] | None = None,
    data_dir: Path | str | None = None,
    device: str = "auto",
    jobs: int = 1,
    replicas: int | None = None,
    engine: "Engine | None" = None,
    score: Score | None = None,
    console: Console | None = None,
) -> Generator[Outcome, None, None]:
    """Train networks, or find their runs in the store; yields an outcome for each, as they come.

    A training that diverges is a failure of its own, and the others go on. Whatever else goes wrong ends all, also when
    the iterator is closed or interrupted: no process is left behind, and the same call goes on where this one was.
    With several jobs each is a process with its part of torch's threads here, `threads // jobs`; a run's last bits
    depend on that number. With an engine every training is a task, in a process of its own with OMP_NUM_THREADS
    threads, as that is set where it runs; the store is then a folder that all machines share.

    Parameters
    ----------
    specs : iterable of RunSpec
        What to train; equal ones are trained once.
    load : Load
        The train and test images of the data set that a spec names; called in this process, with one job.
    store : Path or str
        Folder of runs.
    sources : mapping of str to str, optional
        What `load_images` is given for a data set, by its name, with several jobs or an engine; without an entry, the
        name.
    data_dir : Path or str, optional
        As for `load_images`, with several jobs or an engine.
    device : str, optional
        `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`, of the machine that trains.
    jobs : int, optional
        How many processes train at a time.
    replicas : int, optional
        How many are trained at a time in this process, without jobs: they take turns, and on a GPU each has a stream of
        its own. None: on a GPU as many as make all together faster, which is measured meanwhile; on a CPU one.
    engine : Engine, optional
        Where to train instead of here, from `open_engine`; what is trained at a time is up to it.
    score : Score, optional
        Of a spec, what to show as r of the first layer's weights, at every record and before training; not with an
        engine.
    console : Console, optional
        Where progress is shown; None for stderr.

    Raises
    ------
    InputError
        The number of jobs, the device or the images of a spec are not possible.
    SourceError
        A data set cannot be had.
    RunError
        A job was killed twice over the same run: most likely there is not enough memory for so many.
    EngineError
        The engine's workers are lost, are of another version, or do not see the store.
    OSError
        A run cannot be written.
    """
    check_at_once(jobs, replicas, engine)
    unique = list({spec.hash: spec for spec in specs}.values())
    data = DataPlaces.of(sources, data_dir)
    console = console or progress_console()
    return _train_all(unique, load, Path(store), data, device, jobs, replicas, engine, score, console)


def check_at_once(jobs: int, replicas: int | None, engine: "Engine | None") -> None:
    """Refuse numbers of trainings at a time that are not possible, or not together; as `train_all`."""
    whole_number("jobs", jobs, 1)
    if replicas is not None:
        whole_number("replicas", replicas, 1)
    if engine:
        for name, value in (("jobs", jobs if jobs > 1 else None), ("replicas", replicas)):
            if value is not None:
                raise InputError(
                    f"{name} is {value}; the engine's workers decide how many are trained at a time: leave {name} out"
                )
    if jobs > 1 and replicas is not None:
        raise InputError(
            f"jobs is {jobs} and replicas is {replicas}; expected one of them, trainings in processes of their own or "
            "in turns in this one: leave jobs out"
        )


def _train_all(
    specs: list[RunSpec],
    load: Load,
    store: Path,
    data: DataPlaces,
    device: str,
    jobs: int,
    replicas: int | None,
    engine: "Engine | None",
    score: Score | None,
    console: Console,
) -> Generator[Outcome, None, None]:
    found = {spec.hash: outcome for spec in specs if (outcome := _stored(spec, store))}
    if found:
        said = f"{len(found)} of {counted(len(specs), 'run')} {plural(len(found), 'is', 'are')} there already"
        with Line(console) as line:
            line.say(said)
        logger.debug("trained already: %s", ", ".join(found))
    yield from found.values()
    missing = [spec for spec in specs if spec.hash not in found]
    if not missing:
        return
    if engine:
        yield from train_on_engine(
            missing, data, store, device, engine, EngineDisplay(console, len(found), missing, engine)
        )
        return
    if jobs > 1:
        with TrainingsDisplay(console, len(found), missing, score, several=True) as display:
            yield from _train_in_processes(missing, data, store, device, jobs, display)
        return
    from firstlight.training.machine import choose_device
    from firstlight.training.workers.replicas import Replicas, room_on

    torch_device = choose_device(device)
    room = room_on(torch_device, replicas)
    several = len(missing) > 1 and room.most > 1
    with TrainingsDisplay(console, len(found), missing, score, several=several) as display:
        yield from Replicas(missing, load, store, torch_device, room, display)


def _stored(spec: RunSpec, store: Path) -> Outcome | None:
    """What the store says of a spec, for which no images are needed."""
    folder = store / spec.hash
    with suppress(RunError):
        return Outcome(spec, Run.load(folder))
    with suppress(RunError):
        if failed := stored_failure(folder):
            return Outcome(spec, None, str(diverged(failed, folder, spec)))
    return None


@dataclass
class _Job:
    """What a worker is at."""

    spec: RunSpec
    line: TrainingProgress
    initial: np.ndarray | None = None

    def show(self, message: dict[str, Any]) -> None:
        values = {name: value for name, value in message.items() if name != "event"}
        if values["initial"] is not None:
            self.initial = np.array(values["initial"], np.float32)
        filters = None if values["filters"] is None else np.array(values["filters"], np.float32)
        self.line.update(Progress(**{**values, "initial": self.initial, "filters": filters}))


def _train_in_processes(
    specs: list[RunSpec], data: DataPlaces, store: Path, device: str, jobs: int, display: TrainingsDisplay
) -> Iterator[Outcome]:
    import torch

    threads = max(1, torch.get_num_threads() // jobs)
    pending, died = deque(specs), set[str]()
    events: Events = SimpleQueue()
    work: dict[WorkerProcess, _Job | None] = {}

    def begin(worker: WorkerProcess) -> None:
        """Give a worker the next spec, or let it end where there is none."""
        work[worker] = None
        if not pending:
            return worker.close()
        spec = pending.popleft()
        work[worker] = _Job(spec, display.add(spec))
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
                    _allow_one_death(code, how, job.spec, jobs, died)
                    pending.appendleft(job.spec)
            elif message["event"] == "log":
                logger.log(message["level"], "%s", message["text"])
            elif job and message["event"] == "progress":
                job.show(message)
            elif job:
                outcome = outcome_of(message, job.spec, store)
                job.line.end()
                begin(worker)
                yield outcome
    finally:
        stop(work)


def _allow_one_death(code: int, how: str, spec: RunSpec, jobs: int, died: set[str]) -> None:
    """Let the death of a worker pass once for each spec; `died` holds those for which one has died."""
    if code == -signal.SIGINT:
        raise KeyboardInterrupt  # Ctrl-C came to the worker first
    if spec.hash in died:
        raise RunError(
            f"the process that trained run {spec.hash} ({describe(spec)}) {how}, twice; expected it to live: "
            f"give the same command again with fewer jobs than {jobs}, what was trained is kept"
        )
    died.add(spec.hash)
    logger.warning("the process that trained run %s %s: it goes on in another", spec.hash, how)
