"""A real scheduler and real workers, one process each, which tests kill."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
SECONDS = 120  # on a machine that is busy with other things
# A process that waits looks at itself less often than every few milliseconds: a third of the processor time.
CALM = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
}


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Cluster:
    """A scheduler and workers, with the options of both; all that is left of them is killed with the stack."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, protocol: str = "tcp", *security: str) -> None:
        self.folder, self._stack, self._security = folder, stack, (f"--protocol={protocol}", *security)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"{protocol}://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._expected = 0
        self.start_scheduler()

    def start_scheduler(self) -> None:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        self.scheduler = self._process("scheduler", *options)

    def start_workers(self, count: int, *more: str, wait: bool = True) -> None:
        """Start workers of one thread, with more options; `workers` holds these."""
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder), *more]
        self.workers = [self._process("worker", self.address, *options) for _ in range(count)]
        self._expected += count
        if wait:
            wait_for(lambda: self.log().count("Register worker") == self._expected)

    def log(self) -> str:
        """What the scheduler has said."""
        return (self.folder / "scheduler.log").read_text()

    def _process(self, kind: str, *options: str) -> "subprocess.Popen[bytes]":
        # Where the synthetic shards are; and one thread, as Dask's own nannies give.
        path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **CALM, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{kind}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *self._security],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.folder,
            )
        self._stack.callback(kill, process)
        return process


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(SECONDS)
