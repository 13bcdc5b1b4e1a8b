"""Whole files or none: everything firstlight writes is written beside its target and then renamed."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PARTIAL = ".part-"  # begins the name of whatever is unfinished


@contextmanager
def atomic_write(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a temporary binary file that becomes `path` when the block ends, and vanishes when it fails.

    The folder is made if need be. The data are on the disk before the name is, so that a crash leaves the old file
    or the new one, never half of one. What a killed process leaves behind, `remove_partials` clears away.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically, line ends as they are; what is no UTF-8 in a file's name as question marks."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="replace"))


def remove_partials(folder: Path) -> None:
    """Clear away what killed processes left in a folder; the caller makes sure that nobody writes there now."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
