"""A Dask cluster within this process, at which nobody else can knock.

A scheduler runs the code of whoever reaches it, and a port on the loopback is reached by every user of a machine. So
scheduler and worker talk within the process (``inproc://``), and tasks run in threads: decoding of images and sums let
go of the interpreter's lock.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from distributed import Scheduler, SpecCluster, Worker

# Seconds for tasks that nobody waits for any more to notice it.
_PATIENCE = 2


class _Unserved:
    """No HTTP server: Dask opens one on port 8787 whatever the options say."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """In place of `distributed.node.ServerNode.start_http_server`."""


class _Scheduler(_Unserved, Scheduler): ...


class _Worker(_Unserved, Worker): ...


@contextlib.contextmanager
def in_process_cluster(threads: int, resources: dict[str, float]) -> Iterator[SpecCluster]:
    """A scheduler and one worker for the length of a ``with`` block; each thread has the resources."""
    inside = {"protocol": "inproc://", "dashboard": False}
    # No limit: Dask would take the memory of the whole process for the worker's.
    worker = {**inside, "nthreads": threads, "memory_limit": None}
    if resources:
        worker["resources"] = {name: amount * threads for name, amount in resources.items()}
    cluster = SpecCluster(
        scheduler={"cls": _Scheduler, "options": inside},
        workers={0: {"cls": _Worker, "options": worker}},
    )
    try:
        yield cluster
    except BaseException:
        # Whoever is interrupted does not want to wait until the threads have done what they are at.
        with contextlib.suppress(TimeoutError, OSError):
            cluster.sync(cluster.workers[0].close, timeout=_PATIENCE, reason="interrupted")
        raise
    finally:
        with contextlib.suppress(TimeoutError, OSError):
            cluster.close(timeout=_PATIENCE)
