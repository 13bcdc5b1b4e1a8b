"""The header of a safetensors file, and the index of several: JSON that nobody has vouched for."""

import math
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from firstlight.errors import SourceError
from firstlight.utils.given import json_of
from firstlight.utils.text import counted, first_line, printable

LARGEST_HEADER = 100_000_000  # bytes, the limit of the format's own library
_MOST_SHARDS = 1000
# Python needs up to 600 bytes of memory a value. Each has a comma or a bracket of its own, ten of them a tensor.
_MOST_VALUES = 1_500_000
START = 64  # bytes that tell a safetensors file from what else is found in its place
_LONGEST_NAME = 1000

# The format's name -> the canonical name, and the bits of one number. What no weight is stored in keeps its name.
_DTYPES = {
    **{f"I{bits}": (f"int{bits}", bits) for bits in (8, 16, 32, 64)},
    **{f"U{bits}": (f"uint{bits}", bits) for bits in (8, 16, 32, 64)},
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "BOOL": ("bool", 8),
    "C64": ("complex64", 64),
    "F6_E2M3": ("F6_E2M3", 6),
    "F6_E3M2": ("F6_E3M2", 6),
    "F4": ("F4", 4),
}


class Stored(NamedTuple):
    """Where the file keeps one tensor: `begin` and `end` count bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def header_length(start: bytes | bytearray, size: int | None) -> int:
    """Bytes of the JSON header that follows the first eight.

    Parameters
    ----------
    start : bytes
        The first bytes of the file, 64 where there are so many.
    size : int or None
        Of the whole file, where that is known.

    Raises
    ------
    SourceError
        This is no safetensors file, or it ends within the header.
    """
    begin = bytes(start[:START]).lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html")):
        raise SourceError("is a web page, not a safetensors file: does the address ask for a login?")
    if begin.startswith(b"version https://git-lfs"):
        raise SourceError("is a Git LFS pointer, not the file itself: fetch that with `git lfs pull`")
    if len(start) < 8:
        raise SourceError(f"ends after {counted(len(start), 'byte')}; expected a safetensors file")
    length = int.from_bytes(start[:8], "little")
    if length > LARGEST_HEADER:
        raise SourceError(
            f"declares a header of {length:,} bytes; expected at most {LARGEST_HEADER:,}: it is no safetensors file, "
            "or it is damaged"
        )
    if size is not None and length > size - 8:
        raise SourceError(
            f"declares a header of {length:,} bytes, and has {size:,} in all: it is cut off, or no safetensors file"
        )
    return length


def parse_header(header: bytes | bytearray, data_size: int) -> list[Stored]:
    """What a header declares, in the order of the data.

    Parameters
    ----------
    header : bytes
        The JSON that follows the first eight bytes.
    data_size : int
        Bytes that follow the header.

    Raises
    ------
    SourceError
        The header is not what the format says, or its tensors overlap or lie outside the data.
    """
    if not header.startswith(b"{"):
        raise SourceError("the header does not begin with '{': it is no safetensors file, or it is damaged")
    table = parse_json(header, "header")
    found = sorted(
        (_stored(name, fields) for name, fields in table.items() if name != "__metadata__"),
        key=lambda stored: (stored.begin, stored.end),
    )
    last = 0
    for stored in found:
        if stored.begin < last:
            raise SourceError(f"{stored.name}: its bytes overlap another tensor's: the file is damaged")
        last = stored.end
    if last > data_size:
        raise SourceError(
            f"{found[-1].name}: its bytes {found[-1].begin:,} to {last:,} lie outside the {data_size:,} bytes of data: "
            "the file is cut off"
        )
    return found


def parse_index(raw: bytes | bytearray, kinds: tuple[str, ...] = (".safetensors",)) -> dict[str, str]:
    """The `weight_map` of an index, tensor name -> file name, once every file name is seen to stay in the folder.

    Parameters
    ----------
    raw : bytes
        The index.
    kinds : tuple of str
        How the names of its files may end.

    Raises
    ------
    SourceError
        It is damaged, or names too many files or one outside the folder.
    """
    index = parse_json(raw, "index")
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not weights or not all(isinstance(file, str) for file in weights.values()):
        raise SourceError("the index has no weight_map from tensors to files; expected that of a sharded model")
    files = set(weights.values())
    if len(files) > _MOST_SHARDS:
        raise SourceError(f"the index names {len(files):,} files; expected at most {_MOST_SHARDS:,}")
    for file in files:
        parts = PurePosixPath(file).parts
        if not file.endswith(kinds) or not _presentable(file) or {"..", "/"} & {*parts} or {*file} & {*"\\:"}:
            raise SourceError(
                f"the index names '{printable(file, 100)}'; expected a {' or '.join(kinds)} file in its own folder"
            )
    return weights


def parse_json(raw: bytes | bytearray, what: str) -> Any:
    """Parse JSON whose size, depth and keys nobody has vouched for.

    Raises
    ------
    SourceError
        It is too large, malformed, or repeats a key.
    """
    # Characters beyond ASCII can make the decoded text four times as large.
    largest = LARGEST_HEADER if raw.isascii() else LARGEST_HEADER // 4
    if len(raw) > largest or sum(map(raw.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise SourceError(f"the {what} is larger than any network's ({len(raw):,} bytes)")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            seen = set()
            double = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise SourceError(f"the {what} has the key '{printable(double, 100)}' twice: the file is damaged")
        return table

    try:
        return json_of(raw.decode(), object_pairs_hook=unique)
    except ValueError as error:  # JSON, UTF-8, and integers of thousands of digits
        raise SourceError(f"the {what} is not valid JSON ({first_line(error)}): the file is damaged") from None


def _stored(name: str, fields: Any) -> Stored:
    if not _presentable(name):
        raise SourceError(
            f"a tensor is called '{printable(name, 100)}'; expected a printable name: the file is damaged"
        )
    match fields:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if len(shape) <= 64 and all(
            type(n) is int and 0 <= n < 2**63 for n in (*shape, begin, end)
        ):
            pass
        case _:
            raise SourceError(
                f"{name}: the header says {printable(repr(fields), 100)}; "
                "expected dtype, shape and data_offsets: the file is damaged"
            )
    if not _presentable(dtype):
        raise SourceError(f"{name}: the numbers are of type '{printable(dtype, 100)}', which no safetensors file has")
    # Beyond this NumPy refuses even an array without elements.
    if math.prod(n or 1 for n in shape) >= 2**59:
        raise SourceError(f"{name}: no array has the shape {printable(str(shape), 100)}: the file is damaged")
    known, bits = _DTYPES.get(dtype, (dtype, None))
    if begin > end or (bits is not None and 8 * (end - begin) != -(-bits * math.prod(shape) // 8) * 8):
        raise SourceError(
            f"{name}: {dtype} of shape {printable(str(shape), 100)} does not fit into its bytes {begin:,} to {end:,}: "
            "the file is damaged"
        )
    return Stored(name, known, tuple(shape), begin, end)


def _presentable(name: str) -> bool:
    """Whether a name can stand in a line of a message, and in a terminal."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()
