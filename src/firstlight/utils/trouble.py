"""The machine's own trouble, told from what is wrong with data: no memory, no permission, a share that is away.

Data that cannot be decoded are broken on every machine. Trouble may be over in a moment, and is tried again; where it
stays it ends what was begun, and nothing remembers it: the same bits come out everywhere, or none.
"""

import errno
import mmap
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from firstlight.errors import MachineError
from firstlight.utils.text import first_line

Result = TypeVar("Result")

# What the system says of a file where the file, its name or what is written in it is to blame; the file may be gone.
_NAMES = "ENOENT ENOTDIR EISDIR ELOOP ENAMETOOLONG EINVAL EOVERFLOW ERANGE EDOM ESPIPE ENXIO EILSEQ"
_OF_DATA = frozenset(getattr(errno, name) for name in _NAMES.split(" "))
# By libraries that have their own kinds of error for it.
_SAID = re.compile("out of memory|not enough memory|insufficient memory|cannot allocate memory|can't start new thread")
_NO_MEMORY = "out of memory"
# Only a damaged file asks for more bytes at once, whatever the machine.
_MOST_AT_ONCE = 1 << 40
_READABLE, _AGAIN = "let this user read it, and start again", "start again"
_ADVICE: dict[int | None, str] = {
    errno.ENOMEM: "give fewer workers, or run it where there is more memory",
    errno.EMFILE: "raise the limit (ulimit -n), or give fewer workers",
    errno.ENFILE: "close other programs, or give fewer workers",
    errno.EACCES: _READABLE,
    errno.EPERM: _READABLE,
    errno.EINTR: _AGAIN,
    errno.ECHILD: _AGAIN,
}
_WAITS = (0.05, 0.3, 0.7)  # seconds before it is tried again
_ALONE = threading.RLock()  # work may begin more of it, in the same thread


def trouble_of(error: BaseException) -> str:
    """What an error says of the machine, in a few words; nothing where it says something of the data.

    Examples
    --------
    >>> trouble_of(PermissionError(13, "Permission denied")), trouble_of(OSError("broken data stream"))
    ('Permission denied', '')
    """
    if isinstance(error, MachineError):
        return str(error)
    if isinstance(error, MemoryError):
        return "" if _asked_for(error) > _MOST_AT_ONCE else _NO_MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno == errno.ENOMEM:
            return _NO_MEMORY
        return "" if error.errno in _OF_DATA else error.strerror or first_line(error)
    found = isinstance(error, OSError | RuntimeError) and _SAID.search(str(error).lower())
    return "" if not found else found[0] if "thread" in found[0] else _NO_MEMORY


def refuse_trouble(error: BaseException, what: str) -> None:
    """Raise what `trouble_of` finds as a MachineError that names what could not be read."""
    if isinstance(error, MachineError):
        raise error
    if reason := trouble_of(error):
        number = errno.ENOMEM if reason == _NO_MEMORY else getattr(error, "errno", None)
        advice = _ADVICE.get(number, "see to the disk or share that it lies on, and start again")
        raise MachineError(f"{what} cannot be read on this machine ({reason}): {advice}") from None


def insist(work: Callable[[], Result], what: str) -> Result:
    """Call something that reads; again, a few times, if the machine is in trouble.

    Without memory it is called once more, while no other thread of this process begins such work.

    Raises
    ------
    MachineError
        The trouble stays; `what` is named in it.
    """
    with _ALONE:
        pass
    reason = ""
    for wait in _WAITS:
        try:
            return work()
        except Exception as error:
            reason = trouble_of(error)
            if not reason or getattr(error, "stays", False):
                raise
        if _NO_MEMORY in reason:
            break
        time.sleep(wait)
    try:
        with _ALONE if _NO_MEMORY in reason else nullcontext():
            time.sleep(_WAITS[1])  # until others have let go of theirs
            return work()
    except Exception as error:
        try:
            refuse_trouble(error, what)
        except MachineError as trouble:
            trouble.stays = True
            raise
        raise


def check_room(size: int) -> None:
    """See whether so many bytes, and one more open file, can be had; they are not taken.

    Raises
    ------
    MemoryError, OSError
        They cannot.
    """
    with open(os.devnull, "rb"):
        pass
    try:
        mmap.mmap(-1, size).close()
    except (OSError, OverflowError):
        raise MemoryError from None


def _asked_for(error: MemoryError) -> int:
    """Bytes that could not be had, where the error tells: NumPy's does, and Arrow's."""
    said = re.search(r"of size (\d+)", str(error))
    return int(said[1]) if said else getattr(error, "_total_size", 0)
