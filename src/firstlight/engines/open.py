"""Opening an engine: threads of this process, or a Dask cluster."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from firstlight.engines.engine import Engine
from firstlight.errors import InputError
from firstlight.utils.checks import positive_number, whole_number
from firstlight.utils.cores import cores
from firstlight.utils.text import counted

ENGINES = ("local", "dask")
# Past so many, threads wait for the interpreter's lock more than they work.
_MOST_THREADS = 16


@contextmanager
def open_engine(
    kind: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resources: Mapping[str, float] | None = None,
) -> Iterator[Engine]:
    """Open an engine for the length of a ``with`` block.

    Parameters
    ----------
    kind : {"local", "dask"}
        Threads of this process, since decoding of images and summing let go of the interpreter's lock; or Dask.
    workers : int, optional
        Number of threads, 1 for none beside the caller's. By default one a core.
    scheduler : str, optional
        Address of a running Dask scheduler, such as ``tls://node1:8786``. None: a cluster of `workers` threads is
        started in this process, which nobody else can reach, and ends with the block.
    resources : mapping, optional
        What a task takes of a Dask worker's resources, such as ``{"GPU": 1}``.

    Yields
    ------
    Engine

    Raises
    ------
    InputError
        An unknown kind, options that do not go with it, or Dask is not installed.
    EngineError
        No scheduler answers.

    Examples
    --------
    >>> import firstlight as fl
    >>> with fl.open_engine("local", workers=1) as engine:
    ...     dict(engine.run(abs, [-1, -2]))
    {0: 1, 1: 2}
    """
    if kind not in ENGINES:
        raise InputError(f"engine is {kind!r}; expected one of {', '.join(ENGINES)}")
    if workers is not None:
        workers = whole_number("workers", workers, 1)
    if kind == "local" and (scheduler is not None or resources):
        raise InputError("a scheduler and resources are Dask's; expected them with the engine 'dask'")
    for name, amount in (resources or {}).items():
        positive_number(f"resources[{name!r}]", amount)
    if scheduler is not None and workers is not None:
        raise InputError(f"the workers of {scheduler} are those that it has: leave workers={workers} out")
    if kind == "dask":
        from firstlight.engines.dask import open_dask

        with open_dask(scheduler, workers or cores(), dict(resources or {})) as parts:
            yield Engine(*parts)
        return
    threads = int(workers or min(cores(), _MOST_THREADS))
    if threads == 1:
        yield Engine(_CallersThread(), lambda: 1, lambda: "this process", lambda _: None, queued=1)
        return
    stopping = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="firstlight-engine")
    try:
        place = f"{counted(threads, 'thread')} of this process"
        yield Engine(pool, lambda: threads, lambda: place, lambda _: None, stopping)
    except BaseException:
        stopping.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _CallersThread:
    """An executor that works when it is asked to, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:  # any: handed on by future.result()
            future.set_exception(error)
        return future
