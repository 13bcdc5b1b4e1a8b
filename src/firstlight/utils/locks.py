"""Locks on folders: one process at a time. The system frees the lock of a process that ends, however it ends."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

from firstlight.errors import InputError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"  # the file in the folder; it stays, unlocked
SECONDS_BETWEEN_ATTEMPTS = 0.05
PATIENCE = 24 * 3600  # seconds; a lock whose owner is dead is free, but one that is stopped may never go on

# What a thread holds.
_HELD = set[tuple[int, Path]]()


@contextmanager
def hold(folder: Path, doing: str, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold a folder for this process alone; wait while another one holds it.

    Parameters
    ----------
    folder : Path
        It exists.
    doing : str
        What those who hold it do with it, such as "trains"; for what is told.
    tell : callable
        Called with a line if this process has to wait.

    Raises
    ------
    InputError
        It was held all the time for a day.
    OSError
        The lock cannot be opened.
    """
    with hold_in_turn(folder, doing, tell) as attempts:
        for _ in attempts:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        yield


@contextmanager
def hold_in_turn(folder: Path, doing: str, tell: Callable[[str], object]) -> Iterator[Iterator[None]]:
    """As `hold`, for who has other work meanwhile: an item says that it is not held yet, and after the last it is.

    It raises InputError, too, where this thread holds it already, and would wait for itself.
    """
    lock, held = _lock(folder), (get_ident(), folder.resolve())
    try:
        yield _attempts(lock, held, folder, doing, tell)
    finally:
        if lock.is_locked:
            _HELD.discard(held)
        lock.release()


def _attempts(
    lock: "BaseFileLock", held: tuple[int, Path], folder: Path, doing: str, tell: Callable[[str], object]
) -> Iterator[None]:
    if not _try(lock):
        if held in _HELD:
            raise InputError(f"{folder}: this thread {doing} it; expected that to end first: take its outcome before")
        tell(f"waiting for {_holder(folder)} that {doing} {folder}")
        began = tried = time.monotonic()
        while True:
            yield
            now = time.monotonic()
            if now - tried < SECONDS_BETWEEN_ATTEMPTS:  # an attempt takes longer than what others do meanwhile may
                continue
            if _try(lock):
                break
            tried = now
            if now - began > PATIENCE:
                raise InputError(
                    f"{folder} has been held for {PATIENCE / 3600:g} hours by {_holder(folder)} that {doing} it; "
                    "expected it to end: end that process, and give the same command again"
                )
    _HELD.add(held)


@contextmanager
def hold_if_free(folder: Path) -> Iterator[bool]:
    """Hold a folder for this process alone, unless another one holds it: then False, and nothing is held.

    Raises
    ------
    OSError
        The lock cannot be opened.
    """
    lock = _lock(folder)
    try:
        yield _try(lock)
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder; a lock that is not there or cannot be opened is nobody's."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with hold_if_free(folder) as free:
            return not free
    except OSError:
        return False


def _lock(folder: Path) -> "BaseFileLock":
    from filelock import FileLock  # which takes its time to import

    return FileLock(folder / LOCK)


def _holder(folder: Path) -> str:
    """Who holds it, with its number where Linux tells that, which it does of processes of this machine."""
    with suppress(OSError, IndexError):
        place = f":{os.stat(folder / LOCK).st_ino}"
        for words in map(str.split, Path("/proc/locks").read_text().splitlines()):
            if words[1] == "FLOCK" and words[5].endswith(place) and int(words[4]) > 0:
                return f"another process ({words[4]})"
    return "another process"


def _try(lock: "BaseFileLock") -> bool:
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    return True
