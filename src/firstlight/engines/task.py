"""What a task can ask of wherever it runs: who works on it, and whether anybody still waits for it."""

import contextlib
import platform
import sys
from typing import Any


def worker_name() -> str:
    """Who works on the task that asks: Dask's worker with its machine, or a process."""
    if worker := _dask_worker():
        return f"{worker.address} ({platform.node()})"
    return platform.node()


def in_process() -> bool:
    """Whether this runs on the Dask cluster that `open_engine` starts where no scheduler is given."""
    worker = _dask_worker()
    return worker is not None and worker.address.startswith("inproc:")


def check_wanted() -> None:
    """In a task of Dask that nobody waits for, or whose worker is about to end: give it up; in any other nothing.

    Raises
    ------
    distributed.Reschedule
        Another worker is given the task, if anybody still waits for it.
    """
    if (worker := _dask_worker()) is None:
        return
    from distributed import Reschedule, Status

    task = worker.state.tasks.get(worker.get_current_task())
    if task is None or task.state == "cancelled" or worker.status not in (Status.running, Status.paused):
        raise Reschedule


def _dask_worker() -> Any:
    """The Dask worker on which this runs, or None."""
    if distributed := sys.modules.get("distributed"):
        with contextlib.suppress(ValueError):
            return distributed.get_worker()
    return None
