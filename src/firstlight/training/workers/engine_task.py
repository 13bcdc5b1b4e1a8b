"""A training as a task of an engine: on the machine that works on it, a process that ends with whoever asked for it."""

import logging
import os
import queue
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstlight.engines.task import check_wanted, in_process, worker_name
from firstlight.training.run import SPEC
from firstlight.training.workers.processes import Events, WorkerProcess, stop
from firstlight.utils.locks import is_held

# How often to look whether anybody still waits for the training.
LOOK_SECONDS = 1.0
# Network file systems show after some time what another machine has written.
SECONDS_TO_APPEAR = 5.0


@dataclass(frozen=True)
class Task:
    """What a worker is told; the images it loads itself.

    Attributes
    ----------
    work : dict of str to object
        What `firstlight.training.workers.worker` reads.
    hash : str
        The hash of the spec.
    store : str
        Folder of runs, absolute, which holds the spec already.
    locked : bool
        Whether the sender holds the lock of the store.
    device : str
        What to train on there.
    """

    work: dict[str, Any]
    hash: str
    store: str
    locked: bool
    device: str


@dataclass(frozen=True)
class TaskResult:
    """How a training ended.

    Attributes
    ----------
    message : dict of str to object
        The last one of `worker`; or `not shared`: the store is another folder than the sender's; `died`: the process
        died twice, with the `text` how; `interrupted`.
    worker : str
        Who it was.
    log : list of tuple of int and str
        Levels and texts for the logger "firstlight".
    locks_hold : bool
        Whether a lock of the sender is one here.
    """

    message: dict[str, Any]
    worker: str
    log: list[tuple[int, str]] = field(default_factory=list)
    locks_hold: bool = True


def train_task(task: Task, stopping: threading.Event | None = None) -> TaskResult:
    """Train in a process of its own, so that neither torch's threads nor its memory stay with the worker.

    A process that dies is started once more, and goes on from its checkpoint.
    """
    store, who = Path(task.store), worker_name()
    if not wait_for_file(store / task.hash / SPEC, SECONDS_TO_APPEAR):
        return TaskResult({"event": "not shared"}, who)
    locks_hold = not task.locked or is_held(store)
    log: list[tuple[int, str]] = []
    message = _train(task, log, stopping)
    if message["event"] == "died":
        message = _train(task, log, stopping)
    return TaskResult(message, who, log, locks_hold)


def _train(task: Task, log: list[tuple[int, str]], stopping: threading.Event | None) -> dict[str, Any]:
    """Train in a process; returns the last message."""
    events: Events = queue.SimpleQueue()
    process = WorkerProcess(task.store, task.device, _threads(), events)
    try:
        process.give(task.work)
        message = _last(events, log, stopping)
    except BaseException:
        stop([process])
        raise
    process.close()
    code, how = process.end()
    if message is None:
        message = {"event": "interrupted"} if code == -signal.SIGINT else {"event": "died", "text": how}
        log.append((logging.WARNING, f"the process that trained run {task.hash} {how}"))
    return message


def _threads() -> int:
    """CPU threads of a training; 0 for as many as torch takes."""
    # Dask sets this to 1 where it starts a process and nobody has set it, and a variable of MKL's too, which torch
    # would heed before it.
    first = os.environ.get("OMP_NUM_THREADS", "1" if in_process() else "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _last(events: Events, log: list[tuple[int, str]], stopping: threading.Event | None) -> dict[str, Any] | None:
    """The message with which a training ends; None if the process does. Leaves by an exception if nobody waits."""
    looked = time.monotonic()
    while True:
        with suppress(queue.Empty):
            _, message = events.get(timeout=LOOK_SECONDS)
            if message is None:
                return None
            if message["event"] == "log":
                log.append((message["level"], message["text"]))
            elif message["event"] != "progress":
                return message
        if time.monotonic() - looked >= LOOK_SECONDS:
            looked = time.monotonic()
            check_wanted()
            if stopping and stopping.is_set():
                return {"event": "interrupted"}


def wait_for_file(path: Path, seconds: float) -> bool:
    """Whether a file is there, or comes within some seconds."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        for folder in (path.parent.parent, path.parent):
            with suppress(OSError):
                next(folder.iterdir(), None)  # opening a folder makes a network file system look again
        time.sleep(0.2)
    return True
