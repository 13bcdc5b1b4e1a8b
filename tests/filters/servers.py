"""Web servers on this machine that hand out files: whole, in ranges, slowly, or badly."""

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

Reply = Callable[[BaseHTTPRequestHandler], None]


class Asked(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]


class Site:
    """A running server: what it has under which path, and what it was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes | Path] = {}
        self.replies: dict[str, Reply] = {}
        self.asked: list[Asked] = []
        self.sent = 0  # bytes of files
        self.ranges = True
        self.etag = '"one"'
        self.cuts = 0  # how many of the next answers break off in the middle
        self.closing = threading.Event()

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def header(self, name: str) -> list[str | None]:
        """That header of all requests."""
        return [asked.headers.get(name) for asked in self.asked]

    def answer(self, handler: BaseHTTPRequestHandler, file: bytes | Path) -> None:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        begin, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        if self.ranges and asked:
            begin, end = int(asked[1]), min(size, int(asked[2]) + 1)
            if begin >= end:
                handler.send_error(416)
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(end - begin))
        handler.send_header("ETag", self.etag)
        handler.end_headers()
        if self.cuts > 0:
            self.cuts -= 1
            end = begin + (end - begin) // 2
            handler.close_connection = True
        self.send(handler, file, begin, end)

    def send(self, handler: BaseHTTPRequestHandler, file: bytes | Path, begin: int, end: int) -> None:
        if isinstance(file, bytes):
            handler.wfile.write(file[begin:end])
            self.sent += end - begin
            return
        with file.open("rb") as opened:
            opened.seek(begin)
            while begin < end:
                piece = opened.read(min(1 << 16, end - begin))
                handler.wfile.write(piece)
                begin += len(piece)
                self.sent += len(piece)


def redirect(target: str, status: int = 302) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", target)
        handler.send_header("Set-Cookie", "session=secret")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def raw(*pieces: bytes) -> Reply:
    """Exactly these bytes, headers included, and then the end of the connection."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        for piece in pieces:
            handler.wfile.write(piece)

    return reply


def endless(site: Site, start: bytes, piece: bytes, pause: float = 0.0) -> Reply:
    """A start, and then the same piece again and again."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        while not site.closing.wait(pause):
            handler.wfile.write(piece)

    return reply


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[Site]:
    """Run a server; over TLS when there is a certificate, in one file with its key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            site.asked.append(Asked(self.path, dict(self.headers.items())))
            path = self.path.partition("?")[0]
            try:
                if path in site.replies:
                    site.replies[path](self)
                elif path in site.files:
                    site.answer(self, site.files[path])
                else:
                    self.send_error(404)
            except OSError:
                self.close_connection = True  # the client has read enough

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no error of these tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        site = Site(f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join()
