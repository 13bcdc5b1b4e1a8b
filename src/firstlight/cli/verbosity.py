"""What every command takes: how much it tells on the way, on standard error, and how much memory it takes at once."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from firstlight.errors import InputError
from firstlight.utils.budget import MEMORY_VARIABLE, bytes_of, most_bytes
from firstlight.utils.console import silence
from firstlight.utils.text import printable

LOG_VARIABLE = "FIRSTLIGHT_LOG"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@Parameter(name="*")
@dataclass(frozen=True)
class Verbosity:
    """How much is told on the way, and taken at once.

    Parameters
    ----------
    quiet
        No progress, notes or hints: results and errors only.
    verbose
        Tell on standard error what is read, chosen and kept, and why [env: FIRSTLIGHT_LOG=debug].
    traceback
        Show where an error comes from, for a report of one that is unexpected; also before the command.
    max_memory
        What one array, cell or document of a file may take in memory, such as 8GB; more is refused before it is read
        [env: FIRSTLIGHT_MAX_MEMORY]. Default: 2 GiB, or ten times its bytes on disk.
    """

    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), negative=())] = False
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"), negative=())] = False
    traceback: Annotated[bool, Parameter(negative=())] = False  # which `ending` takes out before
    max_memory: str | None = None

    def apply(self) -> None:
        """Tell, and take, so much from now on."""
        if self.max_memory is not None:
            bytes_of(self.max_memory, "--max-memory")
            os.environ[MEMORY_VARIABLE] = self.max_memory  # for what this process starts, too
        most_bytes()
        if self.quiet and self.verbose:
            raise InputError("--quiet was given with --verbose; expected one of them: drop the other")
        level = logging.WARNING if self.quiet else logging.DEBUG if self.verbose else _environment_level()
        logging.getLogger("firstlight").setLevel(level)
        silence(self.quiet)


USUAL = Verbosity()


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Show the log for the length of a ``with`` block, as far as `Verbosity.apply` sets it meanwhile.

    Of other libraries only warnings are shown, as without this: nothing is set for them.
    """
    handler, own = _Handler(), logging.getLogger("firstlight")
    level = own.level
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        own.setLevel(level)
        silence(False)


class _Handler(logging.Handler):
    """Prints to what standard error is at that moment: a live display puts lines above itself there."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "matplotlib" and record.getMessage().startswith("mkdir"):
            return  # it says again that its cache is not kept
        who = record.name if logging.getLogger("firstlight").level <= logging.DEBUG else "firstlight"
        print(f"{who}: {printable(record.getMessage())}", file=sys.stderr, flush=True)


def _environment_level() -> int:
    name = os.environ.get(LOG_VARIABLE, "") or "info"
    if name.lower() not in _LEVELS:
        raise InputError(f"{LOG_VARIABLE} is {name!r}; expected one of {', '.join(_LEVELS)}")
    return _LEVELS[name.lower()]
