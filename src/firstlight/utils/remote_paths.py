"""Files and folders of remote stores, as paths: s3://, gs://, hf://, ssh:// and whatever else fsspec knows."""

import errno
import io
import os
import re
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import Any

from firstlight.errors import InputError
from firstlight.utils.text import first_line, printable

# A protocol of fsspec, or several that stand upon each other: simplecache::s3://bucket/folder.
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*(::[A-Za-z][\w+.-]*)*://.*", re.DOTALL)
_BLOCK = 1 << 20  # bytes that are fetched at once
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")


def is_remote(text: str) -> bool:
    """Whether this is an address with a protocol, rather than a path."""
    return _ADDRESS.fullmatch(text) is not None


class RemotePath(PosixPath):
    """A path whose first part is a protocol, as in s3:/bucket/folder; it can do what readers need of a path."""

    def __str__(self) -> str:
        protocol, colon, rest = super().__str__().partition(":/")
        return f"{protocol}://{rest}" if colon else protocol

    def store(self) -> tuple[Any, str]:
        """The file system of fsspec, and what this is called there.

        Raises
        ------
        InputError
            Nobody knows the protocol, or a package is missing.
        """
        import fsspec

        try:
            return fsspec.core.url_to_fs(str(self))
        except ImportError as error:
            said = re.sub(r"[Ii]nstall (\w+)", r'"\1"', str(error)).replace("'", '"')
            packages = " ".join(re.findall(r'"([\w.-]+)"', said))
            advice = f"pip install {packages}" if packages else first_line(error)
            raise InputError(f"{self}: the package for {self.parts[0]}// is missing; expected it: {advice}") from None
        except ValueError:
            raise InputError(
                f"{self}: nobody knows {self.parts[0]}//; expected a protocol of fsspec: s3, gs, az, hf, ssh, https"
            ) from None

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Size and kind; the time of the last change where the store tells it."""
        with _told(self):
            fs, path = self.store()
            info = fs.info(path)
        kind = stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG
        changed = next((_seconds(info[key]) for key in _CHANGED if info.get(key)), 0.0)
        return SimpleNamespace(st_mode=kind, st_size=info.get("size") or 0, st_mtime_ns=int(changed * 1e9))

    def _mode(self) -> int:
        try:
            return self.stat().st_mode
        except FileNotFoundError:
            return 0

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return self._mode() != 0

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISDIR(self._mode())

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISREG(self._mode())

    def is_symlink(self) -> bool:
        return False

    def absolute(self) -> "RemotePath":
        return self

    def expanduser(self) -> "RemotePath":
        return self

    def resolve(self, strict: bool = False) -> "RemotePath":
        """Itself, without steps upwards."""
        if strict and not self.exists():
            raise _missing(self)
        return RemotePath(os.path.normpath(PosixPath.__str__(self)))

    def glob(self, pattern: str, **_: Any) -> "Generator[RemotePath, None, None]":
        """What lies in the folder and matches."""
        yield from (self / name for name, _ in self.listed() if Path(name).match(pattern))

    def listed(self) -> list[tuple[str, bool]]:
        """Names in the folder, and which are folders."""
        with _told(self):
            fs, path = self.store()
            found = fs.ls(path, detail=True)
        entries = ((one["name"].rstrip("/"), one["type"] == "directory") for one in found)
        # Stores of objects may list the folder itself.
        return [(name.rpartition("/")[2], is_folder) for name, is_folder in entries if name != path.rstrip("/")]

    def open(self, mode: str = "r", buffering: int = -1, *_: Any, **__: Any) -> Any:
        """Open for reading bytes, of which blocks are fetched as they are needed."""
        with _told(self):
            fs, path = self.store()
            if not fs.isfile(path):
                raise _missing(self)
            file = fs.open(path, "rb", block_size=_BLOCK)
            # Of memory:// all that open a file would share its position.
            return io.BufferedReader(_Told(self, io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file))


class _Told(io.RawIOBase):
    """A file of a store, of which trouble is told as that of any file, however much of it has been read."""

    def __init__(self, path: RemotePath, file: Any) -> None:
        self._path, self._file = path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _told(self._path):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _told(path: RemotePath) -> Iterator[None]:
    """Whatever the packages raise is trouble with reading, and told without addresses, which may be signed."""
    try:
        yield
    except FileNotFoundError:
        raise _missing(path) from None
    except InputError:
        raise
    except Exception as error:
        said = re.sub(r"\S*(://|\?)\S*", "...", first_line(error, kind=True))
        code = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        raise OSError(code, printable(said, 200), str(path)) from None


def _missing(path: RemotePath) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _seconds(changed: Any) -> float:
    """A time as stores tell it: a number, a date or its text."""
    try:
        changed = datetime.fromisoformat(changed) if isinstance(changed, str) else changed
        return float(changed.timestamp() if isinstance(changed, datetime) else changed)
    except (TypeError, ValueError):
        return 0.0
