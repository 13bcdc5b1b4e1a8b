"""Worker processes as their parent sees them: started, given work, listened to, and never left behind."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

WORKER = (sys.executable, "-P", "-m", "firstlight.training.workers.worker")
SECONDS_TO_END = 5.0

# What a worker says, or None when it has ended.
Events = queue.SimpleQueue[tuple["WorkerProcess", dict[str, Any] | None]]


class WorkerProcess:
    """A process that runs `worker`; a program and not a fork, so that nothing is shared with it.

    Parameters
    ----------
    store, device : str
        Where it keeps runs, and what it trains on.
    threads : int
        CPU threads.
    events : Events
        Where its messages go, each with the worker itself.
    """

    def __init__(self, store: str, device: str, threads: int, events: Events) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        # Threads that wait would otherwise spin, on the cores of the other workers.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        self._process = subprocess.Popen(
            [*WORKER, store, device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        self._reader.start()

    def give(self, task: dict[str, Any]) -> None:
        """Hand it a task; one that has just died takes it and is heard of later."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it end: there is no more work."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def end(self) -> tuple[int, str]:
        """Wait until the process is gone; returns its exit code, negative for a signal, and how it ended in words."""
        code = self._process.wait()
        self._reader.join()
        self.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        with self._errors:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((f" ({line.strip()})" for line in reversed(lines) if line.strip()), "")
        if code >= 0:
            return code, f"ended with exit code {code}{last}"
        why = ", as the system does when memory runs out" if code == -signal.SIGKILL else last
        return code, f"was killed by {signal.Signals(-code).name}{why}"

    def _read(self, events: Events) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Neither half a message of a killed process nor what a library prints at start-up.
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    events.put((self, message))
        events.put((self, None))


def stop(workers: Iterable[WorkerProcess]) -> None:
    """End processes in the middle of their work; those that do not end within five seconds are killed."""
    workers = list(workers)
    for worker in workers:
        worker._process.terminate()
    deadline = time.monotonic() + SECONDS_TO_END
    for worker in workers:
        try:
            worker._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker._process.kill()
        worker.end()
