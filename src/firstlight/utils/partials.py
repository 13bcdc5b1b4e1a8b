"""Unfinished files: named so that they are known, held while they are written, cleared away when nobody holds them.

Whoever writes holds a lock on the file, which the system frees when the process ends, however it ends. A number of a
process says less: it may be of another machine or container, or be given again.
"""

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be removed
    fcntl = None

PARTIAL = ".part-"  # begins the name of whatever is unfinished
_NAME = re.compile(re.escape(PARTIAL) + r"(.+)-\d+-\d+", re.DOTALL)
_FOLDER = re.compile(re.escape(PARTIAL) + r"(?:[0-9a-f]{16}(?:-\d+)?|scratch-\w{8})")
_REST = 3600.0  # seconds
_KEPT = 50  # characters of a name, so that this one is not too long for a file system


@contextmanager
def partial_of(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file beside a target, and its name; held until the end of the block, and gone then if it still has it."""
    remove_abandoned(target)
    path, file = _made(target)
    held = os.dup(file.fileno()) if fcntl else None  # which has the same lock
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)
        if held is not None:
            os.close(held)


def abandoned(folder: Path, target: str | None = None) -> list[Path]:
    """Files of a folder that were left unfinished, of a target or of all: of this user, and held by nobody."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [(entry.path, _NAME.fullmatch(entry.name)) for entry in entries if entry.name.startswith(PARTIAL)]
        of = None if target is None else (target, target[:_KEPT])
        return sorted(Path(path) for path, name in found if name and (of is None or name[1] in of) and _is_free(path))
    return []


def remove_abandoned(target: Path) -> None:
    """Clear away what was left unfinished of a target, by processes that are no more."""
    for path in abandoned(target.parent, target.name):
        remove_free(path)


def remove_free(path: Path) -> None:
    """Remove an unfinished file that nobody holds; who has just made it, and not held it yet, makes another."""
    with suppress(OSError), _claimed(path) as is_free:
        if is_free:
            path.unlink()


def leftovers(top: Path) -> Iterator[Path]:
    """What was left unfinished in a folder and below: files that nobody holds, folders that nobody works on.

    No lock is on such a folder (a run that was being removed or copied, a download), so that it must have been at rest
    for an hour.
    """
    for place, folders, names in os.walk(top):
        if any(name.startswith(PARTIAL) for name in names):
            yield from abandoned(Path(place))
        for name in [one for one in folders if one.startswith(PARTIAL)]:
            folders.remove(name)
            path = Path(place, name)
            if _FOLDER.fullmatch(name) and _is_at_rest(path):
                yield path


def remove_partials(folder: Path) -> None:
    """Clear away what killed processes left in a folder; the caller makes sure that nobody writes there now."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()


def _made(target: Path) -> tuple[Path, IO[bytes]]:
    while True:
        number = int.from_bytes(os.urandom(6))
        path = target.with_name(f"{PARTIAL}{target.name[:_KEPT]}-{os.getpid()}-{number}")
        file = path.open("xb")
        if _is_held(file, path):
            return path, file
        file.close()  # cleared away before it was held


def _is_held(file: IO[bytes], path: Path) -> bool:
    """Hold a new file; False where another process takes it for abandoned in that moment."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: then nobody can take it for abandoned, either
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    return False


def _is_mine(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def _is_at_rest(folder: Path) -> bool:
    try:
        inside = [os.lstat(path) for path in (folder, *folder.rglob("*"))]
    except OSError:
        return False
    return all(_is_mine(status) and time.time() - status.st_mtime > _REST for status in inside)


def _is_free(path: str) -> bool:
    with suppress(OSError), _claimed(path) as is_free:
        return is_free
    return False


@contextmanager
def _claimed(path: Path | str) -> Iterator[bool]:
    """Whether nobody held a file of this user; in the block nobody else can begin to hold it."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode) or not _is_mine(status):
        yield False
        return
    if fcntl is None:
        yield True
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    finally:
        os.close(descriptor)
