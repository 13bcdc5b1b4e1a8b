"""The cache on disk: where it is, and one process at a time."""

import atexit
import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from firstlight.errors import SourceError
from firstlight.utils.console import note, note_once
from firstlight.utils.given import user_path
from firstlight.utils.locks import hold
from firstlight.utils.partials import PARTIAL, remove_partials

CACHE_VARIABLE = "FIRSTLIGHT_CACHE"


def cache_dir(data_dir: str | Path | None = None) -> Path:
    """Return the folder that data sets are kept in; it need not exist.

    Parameters
    ----------
    data_dir : str or Path, optional
        The folder itself; by default the environment variable FIRSTLIGHT_CACHE, else the platform's cache
        folder (on Linux ``~/.cache/firstlight``).
    """
    chosen = data_dir if data_dir is not None else os.environ.get(CACHE_VARIABLE)
    if chosen:
        return user_path(chosen)
    import pooch

    return Path(pooch.os_cache("firstlight"))


class UnwritableCache(SourceError):
    """Nothing can be kept in a folder."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"the cache folder {folder} cannot be written ({error.strerror or error}): "
            f"name another with data_dir= or {CACHE_VARIABLE}"
        )


@lru_cache(maxsize=1)
def temporary_cache() -> Path:
    """A folder for what cannot be kept, until the process ends.

    Raises
    ------
    UnwritableCache
        There is no place even for that.
    """
    try:
        folder = tempfile.mkdtemp(prefix="firstlight-cache-")
    except OSError as error:
        raise UnwritableCache(Path(tempfile.gettempdir()), error) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def keep(what: str, path: Path, write: Callable[[], object]) -> None:
    """Write a file of the cache; where that cannot be, say once that something is not kept."""
    try:
        check_home(path)
        write()
    except OSError as error:
        note_once(f"{what} not kept: {UnwritableCache(path.parent, error)}")


def check_home(path: Path) -> None:
    """Refuse a path below a home folder that is not known, which would become a folder that is called ``~``.

    Raises
    ------
    OSError
        It is such a path.
    """
    if path.parts[0] == "~":
        raise FileNotFoundError(errno.ENOENT, "there is no home folder")


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if need be) for this process alone, and clear away what a killed one left.

    Raises
    ------
    UnwritableCache
        When the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            check_home(folder)
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold(folder, "fetches into", note))
        except OSError as error:
            raise UnwritableCache(folder, error) from None
        remove_partials(folder)
        yield


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a folder inside `folder`, on the same disk, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{PARTIAL}scratch-", dir=folder) as scratch:
        yield Path(scratch)
