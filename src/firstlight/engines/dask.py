"""Tasks on a Dask cluster: a running one, or one within this process.

A worker that dies costs nothing but time: its scheduler gives what it did to another one. A task is given up only
when as many workers as Dask's ``allowed-failures`` says (3) and one more have died under it.
"""

import contextlib
import logging
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from firstlight.engines.engine import Executor
from firstlight.engines.task import worker_name
from firstlight.errors import EngineError, InputError
from firstlight.utils.console import note
from firstlight.utils.text import counted, first_line
from firstlight.utils.version import __version__

if TYPE_CHECKING:
    from distributed import Client

# Seconds that a scheduler may take to answer, and a connection to end.
PATIENCE = 10


class DaskParts(NamedTuple):
    """What an Engine is made of."""

    executor: Executor
    workers: Callable[[], int]
    describe: Callable[[], str]
    outage: Callable[[BaseException], str | None]


@contextlib.contextmanager
def open_dask(scheduler: str | None, workers: int, resources: dict[str, float]) -> Iterator[DaskParts]:
    """Connect to a scheduler, or start one with threads, for the length of a ``with`` block; see `open_engine`."""
    try:
        import distributed

        from firstlight.engines.in_process import in_process_cluster
    except ImportError:
        raise InputError("the engine 'dask' needs dask and distributed: pip install 'firstlight[dask]'") from None
    if (scheduler or "").startswith("tls://") and not distributed.Security().tls_client_cert:
        raise InputError(
            f"the scheduler {scheduler} asks for a certificate, and none is configured; expected Dask's settings "
            "distributed.comm.tls: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__CLIENT__CERT and ...__CLIENT__KEY"
        )
    own = scheduler is None
    cluster = in_process_cluster(workers, resources) if own else contextlib.nullcontext(scheduler)
    with _quiet(), cluster as address:
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False, name="firstlight")
        except (OSError, ValueError) as error:  # ValueError: an address of an unknown kind
            raise EngineError(
                f"no Dask scheduler answers at {scheduler} ({first_line(error)}); "
                "expected the address that `dask scheduler` prints, such as tcp://node1:8786"
            ) from None
        try:
            tasks = _Tasks(client, resources, scheduler or "this machine")
            tasks.width()
            yield DaskParts(tasks, tasks.width, tasks.describe, tasks.outage)
        finally:
            with contextlib.suppress(TimeoutError, OSError):
                client.close(timeout=PATIENCE)


class _Tasks:
    """Sends tasks through a client."""

    def __init__(self, client: "Client", resources: dict[str, float], place: str) -> None:
        self._client, self._resources, self._place = client, resources, place
        self._workers = self._threads = self._width = 0
        self._looked, self._told = float("-inf"), ""
        self._address: str = client.scheduler_info()["address"]

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """As an executor does it."""
        import cloudpickle
        from dask.utils import funcname

        # Pickled by itself, so that a worker can look at the version before it reads the rest.
        task = cloudpickle.dumps((fn, args))
        # The name is what Dask's dashboard shows. Not pure: equal shards count as often as they are given.
        options: dict[str, Any] = {"key": f"{funcname(fn)}-{uuid.uuid4().hex}", "pure": False}
        return self._client.submit(_caller(), __version__, task, **options, resources=self._resources or None)

    def width(self) -> int:
        """Tasks that can be worked on at a time, asked for at most once a second: workers come and go."""
        if not self._width or time.monotonic() > self._looked + 1:
            scheduler: Any = self._client.scheduler
            identity: Any = self._client.sync(scheduler.identity)
            workers = identity["workers"].values()
            self._workers = len(workers)
            self._threads = sum(worker["nthreads"] for worker in workers)
            self._width = sum(self._room(worker) for worker in workers)
            self._looked = time.monotonic()
            self._tell()
        return self._width

    def _room(self, worker: dict[str, Any]) -> int:
        """Tasks that a worker can work on at a time."""
        has = worker.get("resources") or {}
        return min([worker["nthreads"], *(int(has.get(name, 0) // need) for name, need in self._resources.items())])

    def _tell(self) -> None:
        """Say once for what tasks wait."""
        need = " ".join(f"{name}={amount:g}" for name, amount in self._resources.items())
        given = f' --resources "{need}"' if need else ""
        waits = f"tasks wait until some are started with `dask worker {self._address}{given}`"
        if self._width:
            told = ""
        elif not self._workers:
            told = f"Dask on {self._place} has no workers: {waits}"
        else:
            told = f"Dask on {self._place} has {counted(self._workers, 'worker')}, but none with {need}: {waits}"
        if told and told != self._told:
            note(told)
        self._told = told

    def describe(self) -> str:
        """Where tasks run, as last seen."""
        return f"Dask on {self._place}, workers with {counted(self._threads, 'thread')}"

    def outage(self, error: BaseException) -> str | None:
        """What an exception says of the cluster, or None if it is the task's own."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return (
                f"Dask on {self._place}: one task had several workers die under it, as they do when memory runs out: "
                "give workers more memory, or tasks that take less, and start again"
            )
        if isinstance(error, ImportError):
            said = f"Dask on {self._place}: a worker says {first_line(error)}"
            return f"{said}: install firstlight {__version__} where workers run"
        # An OSError that a task raised has a number; those by which Dask tells of lost connections have none.
        if isinstance(error, CancelledError) or (isinstance(error, OSError) and error.errno is None):
            return f"Dask on {self._place}: the scheduler does not answer any more: start it, and start again"
        return None


def _caller() -> Callable[[str, bytes], Any]:
    """`call`, pickled whole and not by its name: a worker that cannot import that would never answer."""

    def task(version: str, pickled: bytes) -> Any:
        from firstlight.engines.dask import call

        return call(version, pickled)

    return task


def call(version: str, task: bytes) -> Any:
    """On a worker: what `_Tasks.submit` was given, if it means the same there."""
    if version != __version__:
        raise EngineError(
            f"worker {worker_name()} has firstlight {__version__}; expected {version} as here: "
            "install the same version where workers run"
        )
    function, args = pickle.loads(task)
    return function(*args)


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
