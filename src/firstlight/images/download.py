"""Downloads with a time limit and a progress display."""

import logging
import os
import time
from pathlib import Path
from typing import Any, Self, cast

from firstlight.errors import InputError, SourceError
from firstlight.utils.addresses import bare_address
from firstlight.utils.progress import LOOK_SECONDS, Interval
from firstlight.utils.progress_line import Line
from firstlight.utils.text import bytes_text, duration, first_line

logger = logging.getLogger(__name__)

LIMIT_VARIABLE = "FIRSTLIGHT_FETCH_LIMIT"
_CONNECTION_TIMEOUT = 10.0  # seconds without a connection, or without a byte
# The time limit is looked at once a chunk. Chunks are small so that it holds on a very slow connection, too.
_CHUNK_BYTES = 4096


class Deadline:
    """A total time limit that starts now.

    Parameters
    ----------
    seconds : float
        The limit, unless the environment variable FIRSTLIGHT_FETCH_LIMIT gives another.

    Raises
    ------
    InputError
        When FIRSTLIGHT_FETCH_LIMIT is not a positive number.
    """

    def __init__(self, seconds: float) -> None:
        text = os.environ.get(LIMIT_VARIABLE, "")
        try:
            self.seconds = float(text) if text else seconds
        except ValueError:
            self.seconds = 0.0
        if not self.seconds > 0:
            raise InputError(f"{LIMIT_VARIABLE} is {text!r}; expected a number of seconds above 0")
        self._end = time.monotonic() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds left; never below a hundredth, so that it can serve as a timeout."""
        return max(0.01, self._end - time.monotonic())

    def check(self) -> None:
        """Raise SourceError once the time is up."""
        if time.monotonic() > self._end:
            raise SourceError(f"not finished after {self.seconds:g} s ({LIMIT_VARIABLE} sets this limit)")


class Transfer:
    """Progress of one transfer: on the line of progress, or where none is drawn a note at its start and one at its end.

    It has the attributes that pooch asks of a progress object (total, update, reset, close) and stops the
    transfer, by raising SourceError, when its deadline has passed.
    """

    def __init__(self, label: str, deadline: Deadline, total: int = 0) -> None:
        self.label, self.deadline = label, deadline
        self.total, self.done = total, 0
        self._line = Line()
        self._start = time.monotonic()
        self._look = Interval(LOOK_SECONDS)

    def __enter__(self) -> Self:
        self._line.__enter__()
        if not self._line.drawn:
            self._line.note(f"fetching {self.label}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            took = duration(time.monotonic() - self._start)
            self._line.note(f"fetched {self.label}: {bytes_text(self.done)} in {took}")
        self._line.close()

    def update(self, count: int) -> None:
        """Count `count` more bytes."""
        self.deadline.check()
        self.done += count
        if not self._look.due() and self.done < self.total:
            return
        # pooch counts whole chunks, so the last one can lead past the end.
        done, rate = min(self.done, self.total or self.done), self.done / max(1e-9, time.monotonic() - self._start)
        of = f" of {bytes_text(self.total)}" if self.total else ""
        share, left = (done / self.total, (self.total - done) / rate) if self.total and rate else (None, None)
        per_second = f"{bytes_text(int(rate))}/s"
        self._line.show(f"fetching {self.label}", (f"{bytes_text(done)}{of}", per_second), share, left)

    def reset(self) -> None:
        """Start counting again; pooch does so before it counts the whole file at once."""
        self.done = 0

    def close(self) -> None:
        """Nothing to do: pooch closes only on success, so leaving the context does it."""


def download(url: str, path: Path, label: str, deadline: Deadline) -> None:
    """Download `url` to `path` within `deadline`.

    Raises
    ------
    SourceError
        With the reason in a few words.
    """
    import pooch

    responses: list[Any] = []

    def remember(response: Any, *_: Any, **__: Any) -> None:
        responses.append(response)

    logger.debug("GET %s", bare_address(url))
    with Transfer(label, deadline) as transfer:
        timeout = min(_CONNECTION_TIMEOUT, deadline.remaining)
        fetch = pooch.HTTPDownloader(
            progressbar=cast(Any, transfer),  # pooch takes such an object, but its signature says bool
            chunk_size=_CHUNK_BYTES,
            timeout=timeout,
            hooks={"response": remember},
        )
        try:
            fetch(url, str(path), None)
        except (OSError, ValueError) as error:  # what requests raises is an OSError
            raise SourceError(_reason(error, timeout)) from None
        finally:
            for response in responses:  # pooch leaves the connection open when a transfer breaks off
                response.close()


def _reason(error: Exception, timeout: float) -> str:
    text = str(error)
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if "timed out" in text:
        return f"the server was silent for {timeout:.0f} s"
    if "IncompleteRead" in text:
        return "the server broke off in the middle"
    if "Connection refused" in text:
        return "the connection was refused"
    if "Failed to resolve" in text:
        return "the host's name does not resolve"
    return first_line(error, kind=True)
