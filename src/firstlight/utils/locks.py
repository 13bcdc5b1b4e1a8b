"""Locks on folders: one process at a time. The system frees the lock of a process that ends, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"  # the file in the folder; it stays, unlocked


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
    OSError
        The lock cannot be opened.
    """
    lock = _lock(folder)
    if not _try(lock):
        tell(f"waiting for another process that {doing} {folder}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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


def _try(lock: "BaseFileLock") -> bool:
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    return True
