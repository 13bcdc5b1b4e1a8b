"""A process that trains one run after another for `train_all`.

`python -m firstlight.training.workers.worker STORE DEVICE THREADS` reads a JSON object a line from standard input: a
`spec`, the `source` of its images for `load_splits`, and `data_dir`. With 0 for THREADS, torch takes as many as it
would of itself. To standard output it writes a JSON object a line, whose `event` is one of

- `progress`: the fields of `Progress`; `initial` only in the first of a run, `filters` as nested lists or null;
- `log`: a `level` and a `text` for the logger "firstlight";
- `finished`: the run is in the store;
- `failed`: the training failed, with the `text` why, and the next may do better;
- `refused`: bad input, with `kind` and `text`; `broken`: the system failed, with the `args` of an `OSError`.

It ends when its standard input does, in the middle of a training too: no worker outlives whoever started it.
"""

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from firstlight.errors import FirstlightError, RunError
from firstlight.training.loop import train_prepared
from firstlight.training.progress.state import Progress
from firstlight.training.spec import RunSpec

if TYPE_CHECKING:
    from firstlight.training.prepared import Preparation

SECONDS_BETWEEN_REPORTS = 0.2


def main(store: str, device: str, threads: str) -> None:
    """Train what standard input asks for, until it ends."""
    # Ctrl-C reaches every process of a terminal: the parent tells of it, this one just ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    messages = _Messages()
    logging.getLogger("firstlight").setLevel(logging.DEBUG)  # the parent decides what of it is shown
    logging.getLogger("firstlight").addHandler(messages)
    import torch

    if int(threads):
        torch.set_num_threads(int(threads))
    while True:
        messages.send(_outcome(tasks.get(), store, device, messages))


def _read(tasks: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    # Not sys.exit: the training in the main thread would go on to its end.
    os._exit(0)


def _outcome(task: dict[str, Any], store: str, device: str, messages: "_Messages") -> dict[str, Any]:
    """Train one spec; returns the message of how that ended."""
    try:
        spec = RunSpec.from_dict(task["spec"])
        sets = _images(task["source"], task["data_dir"])
        train_prepared(spec, *sets, store, _preparation(device), _Reports(messages))
    except RunError as error:
        return {"event": "failed", "text": str(error)}
    except FirstlightError as error:
        return {"event": "refused", "kind": type(error).__name__, "text": str(error)}
    except OSError as error:
        name = None if error.filename is None else str(error.filename)
        return {"event": "broken", "args": [error.errno, error.strerror or str(error), name]}
    return {"event": "finished"}


@lru_cache(maxsize=2)  # the specs of a data set mostly follow each other
def _images(source: str, data_dir: str | None) -> tuple[Any, Any]:
    from firstlight.images import load_splits

    return load_splits(source, data_dir)


@lru_cache(maxsize=1)
def _preparation(device: str) -> "Preparation":
    from firstlight.training.machine import choose_device
    from firstlight.training.prepared import Preparation

    return Preparation(choose_device(device))


class _Messages(logging.Handler):
    """The way to the parent; whatever else is printed in this process goes to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self.send({"event": "log", "level": record.levelno, "text": record.getMessage()})


class _Reports:
    """Tells how far one training is: every record of its first layer, and little between."""

    def __init__(self, messages: _Messages) -> None:
        self._messages = messages
        self._last = -SECONDS_BETWEEN_REPORTS
        self._first = True

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.filters is None and now - self._last < SECONDS_BETWEEN_REPORTS:
            return
        self._last = now
        message = {"event": "progress", **vars(progress), "initial": progress.initial.tolist() if self._first else None}
        self._messages.send({**message, "filters": None if progress.filters is None else progress.filters.tolist()})
        self._first = False


if __name__ == "__main__":
    main(*sys.argv[1:])
