"""Encoded images, in files or in memory, and what all sources of them share: decoding and hashing in parallel."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.streams.apart import decode_apart, is_decoded_apart
from firstlight.images.streams.choice import further_pages
from firstlight.images.streams.decode import decode, decoders
from firstlight.images.streams.left_out import UNREADABLE
from firstlight.images.streams.parallel import in_order
from firstlight.images.streams.resize import Geometry, Undecodable
from firstlight.utils.regular_file import NotAFile, open_file
from firstlight.utils.trouble import insist, trouble_of

# Images below so many bytes are quicker decoded, or hashed, than handed to a thread.
_WORTH_BYTES = 8192


class Decoded(NamedTuple):
    """Images (N, C, H, W) of one size; or None, and the reason why the image of that name is left out."""

    name: str
    images: np.ndarray | None
    reason: str = ""
    left_out: Mapping[str, int] = MappingProxyType({})
    """What else there is and was not read, by kind; without images and a reason, of the source."""
    kind: str = UNREADABLE
    """Of the reason."""


@dataclass(frozen=True)
class Encoded:
    """One encoded image.

    Attributes
    ----------
    name : str
        What messages call it, the same wherever the data set lies.
    content : Path, bytes-like, str or Counter
        The file that holds it, its bytes, or the reason why there are none. A Counter is no image: it tells what else
        the source holds, by kind, and comes last.
    page : int
        Which of it, where it has several.
    """

    name: str
    content: Any
    page: int = 0

    def size(self) -> int:
        """Bytes; 0 where it cannot be read."""
        try:
            return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)
        except OSError:
            return 0

    def open(self) -> BinaryIO:
        """Open for reading.

        Raises
        ------
        Undecodable
            There is nothing to read, or it is no regular file: opening a pipe would wait forever.
        SourceError
            The file is gone.
        OSError
            This machine cannot open it.
        """
        if isinstance(self.content, str):
            raise Undecodable(self.content)
        if not isinstance(self.content, Path):
            return io.BytesIO(self.content)
        try:
            return open_file(self.content)
        except FileNotFoundError:
            if self.content.is_symlink():
                raise Undecodable("a link to nothing") from None
            raise gone(self.name) from None
        except NotAFile as error:
            raise Undecodable(error.kind) from None
        except OSError as error:
            if trouble_of(error):
                raise
            raise Undecodable(error.strerror or str(error)) from None


def gone(name: str) -> SourceError:
    """What to say of a file or folder that was listed."""
    return SourceError(
        f"{name} is not there any more; expected data that stay as they are: let what changes them finish, and start "
        "again"
    )


class EncodedSource(Protocol):
    """Where encoded images come from, in an order that is always the same."""

    name: str
    noun: str

    def total(self) -> int | None:
        """Number of images, broken ones included; None where it costs as much to know as to read them."""
        ...

    def items(self) -> Iterator[Encoded]:
        """The images, read as far as is needed to hand them out."""
        ...


class SourceInFile:
    """A source whose images are named with the file that they lie in."""

    def __init__(self, source: EncodedSource, place: str) -> None:
        self._source, self._place = source, place
        self.name, self.noun = source.name, source.noun

    def total(self) -> int | None:
        """Number of images."""
        return self._source.total()

    def items(self) -> Iterator[Encoded]:
        """The images."""
        for item in self._source.items():
            yield Encoded(f"{self._place}: {item.name}", item.content)


class EncodedImages:
    """Decodes the images of a source, in parallel and in its order.

    Parameters
    ----------
    source : EncodedSource
    channels : {1, 3}
    geometry : Geometry
    workers : int
        Number of threads.
    """

    def __init__(self, source: EncodedSource, channels: int, geometry: Geometry, workers: int) -> None:
        self.source, self.channels, self.geometry, self.workers = source, channels, geometry, workers
        self.name, self.noun = source.name, source.noun

    def total(self) -> int | None:
        """Number of images, broken ones included, if it can be known beforehand."""
        return None if self._all_pages else self.source.total()

    def results(self) -> Generator[Decoded]:
        """The images, one at a time."""
        return in_order(self._decode, self._items(), self.workers, _worth)

    @property
    def _all_pages(self) -> bool:
        return self.geometry.pages == "all"

    def _items(self) -> Iterator[Encoded]:
        """Those of the source, and behind each its further pages where these are read."""
        for item in self.source.items():
            yield item
            if self._all_pages and not isinstance(item.content, Counter):
                for page in range(1, 1 + _further_pages(item)):
                    yield Encoded(f"{item.name}, page {page + 1}", item.content, page)

    def fingerprint(self, progress: Callable[[int], None]) -> str:
        """SHA-256 of options, decoders, names and contents; wherever the files lie, and whatever else they hold."""
        header = {"encoded": 1, "channels": self.channels, "resize": self.geometry.resize, "crop": self.geometry.crop}
        header |= {"pages": "all"} if self._all_pages else {}
        digest = hashlib.sha256(json.dumps({**header, "decoders": decoders(self.geometry.max_pixels)}).encode())
        images = (item for item in self.source.items() if not isinstance(item.content, Counter))
        with closing(in_order(_digest, images, self.workers, _worth)) as digests:
            for name, content in digests:
                encoded_name = name.encode()
                digest.update(len(encoded_name).to_bytes(8, "little") + encoded_name + content)
                progress(1)
        return digest.hexdigest()

    def _decode(self, item: Encoded) -> Decoded:
        if isinstance(item.content, Counter):
            return Decoded(item.name, None, left_out=item.content)
        try:
            return insist(partial(self._opened, item), item.name)
        except Undecodable as error:
            return Decoded(item.name, None, str(error), kind=error.kind)

    def _opened(self, item: Encoded) -> Decoded:
        geometry = replace(self.geometry, page=item.page)
        with item.open() as file:
            apart = is_decoded_apart(file.read(8))
            file.seek(0)
            if apart:
                images, pages = decode_apart(file, self.channels, geometry)
            else:
                pages = 0 if self._all_pages else further_pages(file)
                images = decode(file, self.channels, geometry)
        left_out = {"further pages": pages} if pages and not self._all_pages else {}
        return Decoded(item.name, images[None], left_out=left_out)


def _worth(item: Encoded) -> bool:
    return item.size() >= _WORTH_BYTES


def _further_pages(item: Encoded) -> int:
    def count() -> int:
        with item.open() as file:
            return further_pages(file)

    try:
        return insist(count, item.name)
    except Undecodable:  # told where it is decoded
        return 0


def _digest(item: Encoded) -> tuple[str, bytes]:
    """Name and SHA-256 of the content; zeros for what cannot be read."""

    def content() -> bytes:
        with item.open() as file:
            return hashlib.file_digest(cast(Any, file), "sha256").digest()

    try:
        return item.name, insist(content, item.name)
    except Undecodable:
        return item.name, bytes(32)
