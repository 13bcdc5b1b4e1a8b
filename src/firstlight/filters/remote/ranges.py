"""Byte ranges of files on web servers: only what is needed is fetched, and how much that was is told."""

import re
from collections.abc import Sequence
from contextlib import closing
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from rich.filesize import decimal

from firstlight.errors import SourceError
from firstlight.filters.remote.web import ConnectionLost, Web, reason
from firstlight.utils.text import counted, printable

_CHUNK = 1 << 14
_MOST_STREAMED = 2 << 30  # bytes to read from a server that only sends whole files


class MissingFile(SourceError):
    """The server has no such file."""


class Traffic(Sequence[str]):
    """What was fetched, as notes that are up to date whenever they are looked at.

    Attributes
    ----------
    received : int
        Bytes of bodies, those that were thrown away included.
    requests : int
        Requests that were answered with bytes; redirects are not counted.
    size : int
        Bytes of the files that were read from.
    streamed : bool
        Whether a server sent a whole file instead of a part.
    """

    def __init__(self) -> None:
        self.received = self.requests = self.size = 0
        self.streamed = False

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        received, size = decimal(self.received), decimal(max(self.size, self.received))
        if self.streamed:
            note = f"the server does not support range requests: {received} were read"
        else:
            note = f"{received} of {size} read in {counted(self.requests, 'request')}"
        return (note,)[index]


class RemoteFile:
    """One file on a server.

    Parameters
    ----------
    web : Web
        What to fetch it through.
    url : str
        Its address.
    traffic : Traffic
        Where what is fetched is counted.
    """

    def __init__(self, web: Web, url: str, traffic: Traffic) -> None:
        self.size: int | None = None  # where the server has said so
        self._web = web
        self._url = url
        self._traffic = traffic
        self._etag: str | None = None
        self._head = b""

    def read_head(self, count: int) -> bytes:
        """The first `count` bytes, which later reads need not fetch again."""
        self._head = bytes(self.read(0, count))
        return self._head

    def read(self, begin: int, end: int) -> bytes | bytearray:
        """Bytes `begin` to `end`, fewer only where the file ends.

        Raises
        ------
        MissingFile
            The server does not have it.
        SourceError
            It could not be read, with the reason.
        """
        if end <= max(begin, len(self._head)):
            return self._head[begin:end]
        got = bytearray()
        for _ in range(2):
            try:
                self._web.within_deadline(lambda: self._receive(got, begin, end))
                return got
            except ConnectionLost:
                continue
        raise SourceError(f"the server broke off after {len(got):,} of {end - begin:,} bytes, twice: try again later")

    def _receive(self, got: bytearray, begin: int, end: int) -> None:
        """Append to `got` what it lacks."""
        start = begin + len(got)
        with closing(self._web.open(self._url, {"Range": f"bytes={start}-{end - 1}"})) as response:
            position = self._accept(response, start, end)
            self._traffic.requests += 1
            stop = end if self.size is None else min(end, self.size)
            while position < stop:
                self._web.deadline.check()
                try:
                    chunk = response.raw.read(_CHUNK, decode_content=False)
                except urllib3.exceptions.ReadTimeoutError as error:
                    raise SourceError(reason(error)) from None
                except (urllib3.exceptions.HTTPError, OSError, ValueError):
                    raise ConnectionLost from None
                if not chunk and self.size is None:
                    return  # only the end of the connection tells where the file ends
                if not chunk:
                    raise ConnectionLost
                self._traffic.received += len(chunk)
                got += chunk[max(0, start - position) : stop - position]
                position += len(chunk)

    def _accept(self, response: requests.Response, start: int, end: int) -> int:
        """Check an answer's status and headers; the position in the file at which its body begins."""
        _check_status(response.status_code, bool(self._web.home))
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise SourceError("the server compresses the file although it was asked not to: parts of it mean nothing")
        partial = response.status_code == HTTPStatus.PARTIAL_CONTENT
        size, position = _content_range(response, start, end) if partial else (_content_length(response), 0)
        etag = response.headers.get("ETag")
        if (self.size is not None and size not in (None, self.size)) or (self._etag and etag and etag != self._etag):
            raise SourceError("the file changed on the server while it was read: try again")
        if self.size is None and size is not None:
            self.size = size
            self._traffic.size += size
        self._etag = self._etag or etag
        if not partial and (stop := min(end, self.size or end)) > _MOST_STREAMED:
            raise SourceError(
                f"the server does not support range requests, and {decimal(stop)} would have to be read, more than "
                f"{decimal(_MOST_STREAMED)}: download the file, and give its path"
            )
        if not partial and (start > 0 or self.size is None or self.size > end):
            self._traffic.streamed = True
        return position


def _check_status(status: int, hub: bool) -> None:
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    phrase = next((f" {known.phrase}" for known in HTTPStatus if known == status), "")
    answer = f"the server answered {status}{phrase}"
    match status:
        case 401 | 403 if hub:
            raise SourceError(
                f"{answer}: check the name; if it is private or gated, set HF_TOKEN to a token that may read it"
            )
        case 401 | 403:
            raise SourceError(f"{answer}: no credentials are sent there: download the file, and give its path")
        case 404 | 410:
            raise MissingFile(f"{answer}: " + ("check repository, revision and file" if hub else "check the address"))
        case 416:
            raise SourceError(f"{answer}: the file is empty, or shorter than it says")
        case 429 | 500 | 502 | 503 | 504:
            raise SourceError(f"{answer}: try again later")
    raise SourceError(f"{answer}; expected 200 or 206")


def _content_range(response: requests.Response, start: int, end: int) -> tuple[int | None, int]:
    text = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", text, re.ASCII)
    if found is not None:
        first, last = int(found[1]), int(found[2])
        size = None if found[3] == "*" else int(found[3])
        if first == start and (start <= last < end if size is None else last == min(end, size) - 1 >= start):
            return size, first
    raise SourceError(
        f"the server answered with {printable(text, 60)}, not with bytes {start}-{end - 1} that were asked for"
    )


def _content_length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None
