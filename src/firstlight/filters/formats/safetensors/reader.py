"""safetensors files: the header is read, and later the one tensor that is asked for."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.filters.formats.beside import beside
from firstlight.filters.formats.dtypes import numpy_dtype, to_float64
from firstlight.filters.formats.refusals import named, readable
from firstlight.filters.formats.safetensors.header import (
    LARGEST_HEADER,
    START,
    Stored,
    header_length,
    parse_header,
    parse_index,
)
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import printable

_LARGEST_HEADERS = 32_000_000  # bytes, of all shards together
_MOST_TENSORS = 100_000
_SHARDS = (".safetensors", ".bin", ".pt", ".pth")


def read_safetensors(path: Path, source: str) -> TensorFile:
    """List the tensors of a safetensors file.

    Parameters
    ----------
    path : Path
        The file. Its first bytes, its header and later the one tensor are read, nothing else.
    source : str
        What messages call it.

    Returns
    -------
    TensorFile
        In the order of the data, which is sorted by the library that wrote the file, so `ordered` is False.

    Raises
    ------
    SourceError
        The file cannot be read, is cut off, or contradicts itself.
    """
    with named(source):
        header, data_size = read_header(path)
        return TensorFile(source, _local_entries(path, header, data_size, source), ordered=False)


def read_index(path: Path, source: str) -> TensorFile:
    """List the tensors of a model in several files, from its `*.safetensors.index.json` or `*.bin.index.json`.

    Parameters
    ----------
    path : Path
        The index. The shards lie in its folder or below, at most 1000 of them.
    source : str
        What messages call it.

    Returns
    -------
    TensorFile
        In the order of the index, which is sorted by name as a rule, so `ordered` is False.

    Raises
    ------
    SourceError
        The index or a shard cannot be read, is damaged, or names a file outside its folder.
    """
    with named(source):
        with open_regular(path) as file:
            weights = parse_index(file.read(LARGEST_HEADER + 1), _SHARDS)
        shards: dict[str, Sequence[TensorEntry]] = {}
        total = 0
        for name in dict.fromkeys(weights.values()):
            with named(name):
                shard = _shard(path, name)
                if not name.endswith(".safetensors"):
                    shards[name] = _torch_entries(shard, f"{source}: {name}")
                    if sum(map(len, shards.values())) > _MOST_TENSORS:
                        raise SourceError(f"the shards hold over {_MOST_TENSORS:,} tensors: no network has so many")
                    continue
                header, data_size = read_header(shard)
                total += len(header)
                if total > _LARGEST_HEADERS:
                    raise SourceError(f"the shards' headers exceed {_LARGEST_HEADERS:,} bytes: no network has so many")
                shards[name] = _local_entries(shard, header, data_size, f"{source}: {name}")
        return TensorFile(source, join_shards(weights, shards), ordered=False)


def tensor_entries(
    header: bytes | bytearray, data_size: int, fetch: Callable[[int, int], bytes | bytearray], source: str
) -> tuple[TensorEntry, ...]:
    """The tensors of a header, each of which loads its own bytes through `fetch(begin, end)`."""

    def load(stored: Stored) -> np.ndarray:
        with named(f"{source}: {stored.name}"):
            numpy_dtype(stored.dtype)  # refuses a type before its data are fetched
            with np.errstate(invalid="ignore"):  # a NaN may be of the signalling kind
                return to_float64(fetch(stored.begin, stored.end), stored.dtype, stored.shape)

    return tuple(
        TensorEntry(stored.name, stored.shape, stored.dtype, partial(load, stored))
        for stored in parse_header(header, data_size)
    )


def join_shards(weights: dict[str, str], shards: Mapping[str, Sequence[TensorEntry]]) -> tuple[TensorEntry, ...]:
    """The entries of all shards in the order of the index."""
    tables = {file: {entry.name: entry for entry in entries} for file, entries in shards.items()}
    for name, file in weights.items():
        if name not in tables[file]:
            raise SourceError(
                f"the index says that {file} holds '{printable(name, 100)}', but it does not: a shard was replaced"
            )
    return tuple(tables[file][name] for name, file in weights.items())


def _local_entries(path: Path, header: bytes, data_size: int, source: str) -> tuple[TensorEntry, ...]:
    def fetch(begin: int, end: int) -> bytes:
        with open_regular(path) as file:
            file.seek(start + begin)
            return file.read(end - begin)

    start = 8 + len(header)
    return tensor_entries(header, data_size, fetch, source)


def _torch_entries(path: Path, source: str) -> Sequence[TensorEntry]:
    from firstlight.filters.formats.torch.reader import read_torch

    with open_regular(path):  # a pipe would be waited for
        return read_torch(path, source).entries


def read_header(path: Path) -> tuple[bytes, int]:
    """The header, and the number of bytes that follow it."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        length = header_length(file.read(START), size)
        file.seek(8)
        return file.read(length), size - 8 - length


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    with readable(), open_file(path) as file:
        yield file


def _shard(index: Path, name: str) -> Path:
    """Where a shard lies; a link that leads out of the index's folder is refused."""
    try:
        found = beside(index, name)
    except RuntimeError:  # links in a circle
        raise SourceError("cannot be read (its link leads nowhere)") from None
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})") from None
    if found is None:
        raise SourceError("is a link that leads out of the index's folder; expected a file inside it")
    return found
