"""Engines: where tasks run. Here, on a Dask cluster, or on any executor with a ``submit``.

An engine hands out results as they come, each exactly once, with the index of its item; sums of integers do not
depend on the order. Few tasks are under way at a time, so that memory does not grow with their number.
"""

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any, Protocol, TypeVar

from firstlight.errors import EngineError, InputError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# How often to look whether there is room for more tasks, while none ends.
_POLL_SECONDS = 1.0


class Executor(Protocol):
    """What runs tasks: an executor of `concurrent.futures`, a Dask client, an MPI pool."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Let ``fn(*args)`` be run, and return a future that has add_done_callback, result and cancel."""
        ...


class Engine:
    """Runs a function on items. Made by `open_engine` or `engine_of`.

    Parameters
    ----------
    executor : Executor
    workers : callable
        How many tasks are worked on at a time now.
    describe : callable
        Where tasks run, in a few words.
    outage : callable
        What an exception says of the executor, such as that its workers are gone; None if it is the function's own.
    stopping : threading.Event, optional
        Set when a run is given up. Functions that run in threads of this process cannot be killed, and should end.
    queued : int
        Tasks that may be under way for each worker: some more than it works on, so that it need not wait.
    """

    def __init__(
        self,
        executor: Executor,
        workers: Callable[[], int],
        describe: Callable[[], str],
        outage: Callable[[BaseException], str | None],
        stopping: threading.Event | None = None,
        queued: int = 2,
    ) -> None:
        self._executor, self._workers, self._describe, self._outage = executor, workers, describe, outage
        self.stopping, self._queued = stopping, queued

    def __repr__(self) -> str:
        return f"Engine({self.describe()})"

    @property
    def workers(self) -> int:
        """How many tasks are worked on at a time, as last seen."""
        return self._ask(self._workers)

    def describe(self) -> str:
        """Where tasks run, in a few words."""
        return self._describe()

    def run(
        self, function: Callable[[Item], Result], items: Iterable[Item], queued: int | None = None
    ) -> Generator[tuple[int, Result]]:
        """Call a function once for every item.

        Parameters
        ----------
        function : callable
            Picklable, unless the tasks run in this process.
        items : iterable of Item
            Drawn as there is room for them.
        queued : int, optional
            Tasks that may be under way for each worker: 1 where they take so long that none should wait for one
            worker while another is idle. By default that of the engine.

        Yields
        ------
        (int, Result)
            Index of the item, and its result, in the order in which they come; every index once, even if the executor
            delivers twice. If the caller stops early, what is not begun is cancelled.

        Raises
        ------
        EngineError
            The workers, or the way to them, are lost.
        Exception
            What the function raised.
        """
        logger.debug("tasks run on %s", self.describe())
        arrived: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        under_way: dict[int, Any] = {}
        numbered = enumerate(items)
        queued = queued or self._queued
        more = True
        if self.stopping:
            self.stopping.clear()
        try:
            while True:
                while more and len(under_way) < max(1, queued * self.workers):
                    index, item = next(numbered, (-1, None))
                    if more := index >= 0:
                        under_way[index] = future = self._ask(self._executor.submit, function, item)
                        # The index is a default, since a closure would see the next one.
                        future.add_done_callback(lambda done, index=index: arrived.put((index, done)))
                if not under_way:
                    return
                try:
                    index, future = arrived.get(timeout=_POLL_SECONDS)
                except queue.Empty:  # more workers may have come meanwhile
                    continue
                if under_way.pop(index, None) is not None:
                    yield index, self._ask(future.result)
        finally:
            if under_way and self.stopping:
                self.stopping.set()
            for future in under_way.values():
                future.cancel()

    def _ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call something of the executor's; if that is lost, say so in one line."""
        try:
            return function(*args)
        except Exception as error:  # the function's own may be any, and is passed on
            if (outage := self._outage(error)) is None:
                raise
        raise EngineError(outage)


def engine_of(executor: Executor, width: int = 32) -> Engine:
    """An engine of any executor, which stays open: a process pool, an MPI pool, a Dask client of one's own.

    Parameters
    ----------
    executor : Executor
        Has ``submit(function, item)``, as those of `concurrent.futures`.
    width : int
        How many tasks may be under way at a time; some more than it has workers.
    """
    if not callable(getattr(executor, "submit", None)):
        raise InputError(f"executor is a {type(executor).__name__}; expected an object with submit(function, item)")
    name = type(executor).__name__
    return Engine(executor, lambda: width, lambda: name, lambda error: _outage(name, error), queued=1)


def _outage(name: str, error: BaseException) -> str | None:
    if not isinstance(error, BrokenExecutor | CancelledError):
        return None
    return f"{name}: its workers are gone ({type(error).__name__}): open another, and start again"
