"""Opening what a user, or a file, has named: only regular files, since anything else may never come to an end."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

from firstlight.errors import InputError
from firstlight.utils.remote_paths import RemotePath

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class NotAFile(OSError, InputError):
    """Something else than a regular file; `strerror` says what, and what to do."""

    @property
    def kind(self) -> str:
        """What it is."""
        return str(self.strerror).partition(";")[0]

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def check_file(path: Path | str) -> None:
    """Refuse what is there and is no regular file, without opening it; for libraries that open by name.

    Raises
    ------
    NotAFile
    OSError
        Nothing is there, or the system does not tell.
    """
    _refuse((path.stat() if isinstance(path, RemotePath) else os.stat(path)).st_mode, path)


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a regular file for reading; pipes, sockets, devices and folders are refused, and not waited for.

    Raises
    ------
    NotAFile
    OSError
        As by `open`.
    """
    if isinstance(path, RemotePath):
        check_file(path)
        return path.open("rb")
    return open(path, "rb", opener=only_files)


def only_files(path: str, flags: int) -> int:
    """The `opener` of `open_file`, for other classes of files.

    Raises
    ------
    NotAFile
    OSError
    """
    # Before it is opened, which alone rewinds tapes; and after, since it may be another thing by then.
    check_file(path)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _refuse(os.fstat(descriptor).st_mode, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(mode: int, path: Any) -> None:
    if stat.S_ISREG(mode):
        return
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    advice = "name the file in it" if stat.S_ISDIR(mode) else "write what comes out of it to a file, and name that"
    raise NotAFile(errno.EINVAL, f"it is {kind}; expected a file: {advice}", str(path))
