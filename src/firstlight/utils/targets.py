"""What lies where a file is to be written: nothing, a file, a link, a pipe, a device, or what is never written over."""

import errno
import os
import re
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from firstlight.errors import OutputError

_READER_SECONDS = 5.0  # to wait for whoever reads a named pipe
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # which Windows lacks
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_ADVICE = {
    errno.ENOSPC: "room for the file: free some there, or name a file on another disk",
    errno.EFBIG: "a size that the system allows: raise that limit (ulimit -f), or name a file on another disk",
    errno.EROFS: "a disk that can be written: name a file on another",
    errno.EACCES: "a place that may be written: name another, or change its permissions",
    errno.ENAMETOOLONG: "a name that the file system can hold: give a shorter one",
    errno.ENOTDIR: "a folder to write into: name another place",
    errno.ENXIO: "one that somebody reads: start the reader first",
}
_ADVICE[errno.EDQUOT] = _ADVICE[errno.ENOSPC]
_ADVICE[errno.EPERM] = _ADVICE[errno.EACCES]
_SPECIAL = ((stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a disk"))


def refusal(path: Path | str, error: OSError) -> OutputError:
    """The error that says why a file cannot be written, and what to do, in one line, whatever the system named."""
    said = error.strerror or " ".join(str(error).split())
    advice = _ADVICE.get(error.errno or 0, "a file that can be written: name another")
    refused = OutputError(f"{path} cannot be written ({said}); expected {advice}")
    refused.errno, refused.strerror, refused.filename = error.errno, said, str(path)
    return refused


def is_stream(path: Path | str) -> bool:
    """Whether a path is written through, not replaced: a pipe, a character device, what the process has open."""
    if _descriptor(path) is not None:
        return True
    with suppress(OSError):
        mode = os.stat(path).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


def open_stream(path: Path | str) -> int:
    """A descriptor that writes into what `is_stream` knows; a named pipe without a reader is waited for, for seconds.

    Raises
    ------
    OSError
        It cannot be opened, or nobody reads the pipe.
    """
    own = _descriptor(path)
    if own is not None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what was printed before comes before
        return os.dup(own)
    last = time.monotonic() + _READER_SECONDS
    while True:
        try:
            found = os.open(path, os.O_WRONLY | _AT_ONCE)
            if _AT_ONCE:
                os.set_blocking(found, True)
            return found
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > last:
                raise
        time.sleep(0.02)


def check_stream(path: Path | str) -> None:
    """Try whether a stream can be written; of a named pipe only whether one may: opening it would end who reads it.

    Raises
    ------
    OSError
        It cannot.
    """
    if _descriptor(path) is None and stat.S_ISFIFO(os.stat(path).st_mode):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    tried = open_stream(path)
    try:
        os.write(tried, b"")
    finally:
        os.close(tried)


def settled(path: Path | str) -> Path:
    """The file that is made or replaced: links are followed to it, one that leads nowhere, too.

    Raises
    ------
    OSError
        It cannot be looked at; an OutputError where it is a folder, a socket, a disk, or protected.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path} is a folder; expected the name of a file: name one in it")
    for is_special, what in _SPECIAL:
        if is_special(mode):
            raise OutputError(f"{path} is {what}; expected the name of a file: name another")
    if not mode & 0o222 or not os.access(path, os.W_OK):  # the mode binds the superuser as well
        raise OutputError(f"{path} is protected from being written; expected another file: name one, or chmod u+w it")
    return Path(os.path.realpath(path))


def nearest_folder(path: Path) -> Path:
    """The innermost thing above a path that is there."""
    return next(parent for parent in path.absolute().parents if os.path.lexists(parent))


def check_names(path: Path) -> None:
    """Refuse a path of which a part is too long for the file system that it would lie on.

    Raises
    ------
    OSError
        ENAMETOOLONG.
    """
    longest = os.pathconf(nearest_folder(path), "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _descriptor(path: Path | str) -> int | None:
    """The number of what this process has open under that name; of standard output also if it goes into that file."""
    found = _DESCRIPTOR.fullmatch(str(path))
    if found or str(path) in _STANDARD:
        return int(found[1]) if found else _STANDARD[str(path)]
    with suppress(OSError):
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            return next((own for own in _STANDARD.values() if os.path.samestat(os.fstat(own), status)), None)
    return None
