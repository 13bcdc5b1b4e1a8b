"""The bytes of a PyTorch file: records of a zip archive, or of the format before it, each read where it lies."""

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from firstlight.errors import SourceError
from firstlight.filters.formats.archives import open_archive
from firstlight.filters.formats.refusals import named, readable
from firstlight.filters.formats.torch.values import Storage
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import printable

# Bytes of the longest run that is read or unpacked at once.
_MAX_READ = 1 << 28
_LOCAL_HEADER = 30


class Storages(Protocol):
    """Where the numbers of a file's tensors are."""

    @property
    def big_endian(self) -> bool:
        """Whether the most significant byte of a number comes first."""
        ...

    def read(self, storage: Storage, start: int, count: int) -> bytes:
        """`count` bytes of a storage from its byte `start` on.

        Raises
        ------
        SourceError
            The file does not hold them.
        """
        ...


class ZipArchive:
    """The records of a zip archive. Those stored as they are, as torch.save does it, are read in place.

    Parameters
    ----------
    path : Path
        The file, opened anew for each reading.
    source : str
        What messages call it.

    Raises
    ------
    SourceError
        It is no zip archive, or its list of records is damaged or too long.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        try:
            with named(source), readable(), open_archive(path) as archive:
                self.records = {record.filename: record for record in archive.infolist()}
        except zipfile.BadZipFile as error:
            raise SourceError(
                f"{source} is cut off or damaged: it begins as a zip archive whose list of records cannot be read"
            ) from error

    def read(self, name: str, start: int = 0, count: int | None = None, limit: int = _MAX_READ) -> bytes:
        """`count` bytes of a record from its byte `start` on, or all of it.

        Raises
        ------
        SourceError
            There is no such record, it is too short, too long, damaged, encrypted, or packed in an unusual way.
        """
        label = f"record {printable(name, 200)}"
        record = self.records.get(name)
        if record is None:
            raise SourceError(f"{self.source} is damaged: its {label} is missing")
        if record.flag_bits & 1 or record.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SourceError(f"{self.source} has its {label} encrypted or packed; expected it as torch.save writes it")
        count = record.file_size - start if count is None else count
        if start + count > record.file_size:
            raise SourceError(f"{self.source} is damaged: its {label} has only {record.file_size:,} bytes")
        packed = record.compress_type == zipfile.ZIP_DEFLATED
        if count > limit or (packed and start + count > _MAX_READ):
            raise SourceError(f"{self.source} has {count:,} bytes in its {label}, more than are read at once")
        with named(self.source), readable(), open_file(self.path) as file:
            header = read_exactly(file, record.header_offset, _LOCAL_HEADER)
            if header is None or not header.startswith(b"PK\3\4"):
                raise SourceError(f"{self.source} is cut off or damaged: its {label} is not where it should be")
            begin = record.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:]))
            if packed:
                data = _unpacked(read_exactly(file, begin, min(record.compress_size, _MAX_READ)), start, count)
            else:
                data = read_exactly(file, begin + start, count)
        if data is None:
            raise SourceError(f"{self.source} is cut off or damaged: its {label} is not whole")
        return data


@dataclass(frozen=True)
class ZipStorages:
    """Storages that are records of a zip archive, in one of its folders."""

    archive: ZipArchive
    folder: str
    big_endian: bool

    def read(self, storage: Storage, start: int, count: int) -> bytes:
        return self.archive.read(self.folder + storage.key, storage.start + start, count)


@dataclass(frozen=True)
class LegacyStorages:
    """Storages one after the other, in the format before PyTorch 1.6: where each begins, and its bytes."""

    path: Path
    source: str
    positions: dict[str, tuple[int, int]]
    big_endian: bool = False  # this format has always been little-endian

    def read(self, storage: Storage, start: int, count: int) -> bytes:
        position, size = self.positions.get(storage.key, (0, 0))
        if storage.start + start + count > size:
            raise SourceError(f"{self.source} is damaged: a storage that it uses is missing or too short")
        with named(self.source), readable(), open_file(self.path) as file:
            data = read_exactly(file, position + storage.start + start, count)
        if data is None:
            raise SourceError(f"{self.source} is cut off")
        return data


def read_exactly(file: IO[bytes], position: int, count: int) -> bytes | None:
    """So many bytes from there on; None, with nothing allocated, when the file ends before."""
    if not 0 <= position <= file.seek(0, os.SEEK_END) - count:
        return None
    file.seek(position)
    data = file.read(count)
    return data if len(data) == count else None


def _unpacked(packed: bytes | None, start: int, count: int) -> bytes | None:
    if packed is None or count == 0:
        return packed and b""
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, start + count)[start:]
    except zlib.error:
        return None
    return data if len(data) == count else None
