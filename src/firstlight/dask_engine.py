"""Tasks on a Dask cluster: a running one, or one of processes on this machine.

A worker that dies costs nothing but time: its scheduler gives what it did to another one. A task is given up only
when as many workers as Dask's ``allowed-failures`` says (3) and one more have died under it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from firstlight.engine import Executor
from firstlight.errors import EngineError, InputError
from firstlight.images.download import note
from firstlight.images.streams.text import first_line

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# Seconds that a scheduler may take to answer, and processes to end.
PATIENCE = 10


class DaskParts(NamedTuple):
    """What an Engine is made of."""

    executor: Executor
    workers: Callable[[], int]
    where: Callable[[], str]
    loss: Callable[[BaseException], str | None]


@contextlib.contextmanager
def open_dask(scheduler: str | None, workers: int, resources: dict[str, float]) -> Iterator[DaskParts]:
    """Connect to a scheduler, or start one with workers, for the length of a ``with`` block; see `open_engine`."""
    try:
        import distributed
    except ImportError:
        raise InputError("the engine 'dask' needs dask and distributed: pip install 'firstlight[dask]'") from None
    with _quiet(), _cluster(workers, resources) if scheduler is None else _nothing(scheduler) as address:
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False, name="firstlight")
        except (OSError, ValueError) as error:  # ValueError: an address of an unknown kind
            raise EngineError(
                f"no Dask scheduler answers at {scheduler} ({first_line(error)}); "
                "expected the address that `dask scheduler` prints, such as tcp://node1:8786"
            ) from None
        try:
            tasks = _Tasks(client, resources, scheduler or "this machine")
            if not tasks.threads():
                note(f"{tasks.where()}: tasks wait until some are started with `dask worker {scheduler}`")
            yield DaskParts(tasks, tasks.threads, tasks.where, tasks.loss)
        finally:
            with contextlib.suppress(TimeoutError, OSError):
                client.close(timeout=PATIENCE)


class _Tasks:
    """Sends tasks through a client."""

    def __init__(self, client: "Client", resources: dict[str, float], place: str) -> None:
        self._client, self._resources, self._place = client, resources, place
        self._threads, self._looked = 0, float("-inf")

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """As an executor does it."""
        # Not pure: equal shards count as often as they are given.
        return self._client.submit(fn, *args, pure=False, resources=self._resources or None)

    def threads(self) -> int:
        """Threads of all workers, asked for at most once a second: workers come and go."""
        if not self._threads or time.monotonic() > self._looked + 1:
            threads: Any = self._client.nthreads()  # a coroutine only of asynchronous clients
            self._threads = sum(threads.values())
            self._looked = time.monotonic()
        return self._threads

    def where(self) -> str:
        """Where tasks run, as last seen."""
        return f"Dask on {self._place}, workers with {self._threads} threads"

    def loss(self, error: BaseException) -> str | None:
        """What an exception says of the cluster, or None if it is the task's own."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return (
                f"Dask on {self._place}: one task had several workers die under it, as they do when memory runs out; "
                "give workers more memory, or make shards smaller, and start again"
            )
        if isinstance(error, ModuleNotFoundError):
            return f"Dask on {self._place}: a worker says {first_line(error)}; install firstlight where workers run"
        # An OSError that a task raised has a number; those by which Dask tells of lost connections have none.
        if isinstance(error, CancelledError) or (isinstance(error, OSError) and error.errno is None):
            return f"Dask on {self._place}: the scheduler does not answer any more; start it, and start again"
        return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Dask logs in this process, tracebacks of lost connections among it, is told as an EngineError instead."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _nothing(address: str) -> Iterator[str]:
    yield address


@contextlib.contextmanager
def _cluster(workers: int, resources: dict[str, float]) -> Iterator["LocalCluster"]:
    """Processes on this machine, one thread each, without a dashboard; each may have an equal share of the memory."""
    from distributed import LocalCluster

    options: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
    if resources:
        options["resources"] = resources
    try:
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, **options)
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"Dask's processes do not start on this machine ({first_line(error)}); a script that opens the engine must "
            'do so under `if __name__ == "__main__":`, since they import it, too'
        ) from None
    try:
        yield cluster
    except BaseException:
        # Whoever is interrupted does not want to wait until the workers have done what they are at.
        with contextlib.suppress(TimeoutError, OSError):
            cluster.sync(_end, list(cluster.workers.values()), callback_timeout=PATIENCE)
        raise
    finally:
        with contextlib.suppress(TimeoutError, OSError):
            cluster.close(timeout=PATIENCE)


async def _end(nannies: list[Any]) -> None:
    """End the processes of workers, soon by force."""
    await asyncio.gather(*(nanny.close(timeout=0.5, reason="interrupted") for nanny in nannies))
