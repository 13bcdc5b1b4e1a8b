"""Whole files or none: everything firstlight writes is written beside its target and then renamed."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from firstlight.errors import OutputError
from firstlight.utils.partials import partial_of
from firstlight.utils.targets import check_names, check_stream, is_stream, nearest_folder, open_stream, refusal, settled
from firstlight.utils.visible import visible

PRINTED = Path("/dev/stdout")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a temporary binary file that becomes `path` when the block ends, and vanishes when it fails.

    The folder is made if need be. The data are on the disk before the name is, so that a crash leaves the old file
    or the new one, never half of one. Links are followed; pipes and devices are written into. What killed processes
    left unfinished of the same file is cleared away.

    Raises
    ------
    OutputError
        It cannot be written, or the disk is full; the old file is still there.
    """
    path = Path(path)
    try:
        if is_stream(path):
            with open(open_stream(path), "wb") as file:
                yield file
            return
        target = settled(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial_of(target) as (partial, file):
            _keep_owner(file, target)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":
                file.close()  # there, what is open cannot be renamed
            _rename(partial, target)
    except (OutputError, BrokenPipeError):
        raise
    except OSError as error:
        raise refusal(path, error) from None


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically, line ends as they are, and as `visible` gives it."""
    with atomic_write(path) as file:
        file.write(visible(text).encode())


def check_target(path: Path) -> None:
    """Try, without a trace, whether `atomic_write` can write a file, before the work that is to go into it.

    Raises
    ------
    OutputError
        It cannot, as far as is seen beforehand.
    """
    try:
        if is_stream(path):
            check_stream(path)
            return
        target = settled(path)
        place = nearest_folder(target)
        check_names(target)
        with partial_of(place / target.relative_to(place).parts[0]):
            pass
    except OutputError:
        raise
    except OSError as error:
        raise refusal(path, error) from None


def _rename(partial: Path, target: Path) -> None:
    """What is mounted by itself, as single files are in containers, can only be written into."""
    try:
        os.replace(partial, target)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(partial, target)


def _keep_owner(file: IO[bytes], target: Path) -> None:
    """The new file is whose the old one was, as far as may be, and as private."""
    with suppress(OSError, AttributeError):  # AttributeError: Windows
        old = os.stat(target)
        for owner in ((old.st_uid, -1), (-1, old.st_gid)):
            with suppress(OSError):
                os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) & 0o777)
