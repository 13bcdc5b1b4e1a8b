"""A small data set in CIFAR's forms, and a web server on this machine that hands it out, well or badly."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tests.images.originals import original_archive, parquet

from firstlight.images.cifar import CIFAR10, CifarDefinition, Digest, Pixels
from firstlight.images.photos import load_photos

Reply = bytes | Callable[[BaseHTTPRequestHandler], None]


class Web:
    """A running server: `replies` by path, and the paths that were asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()

    def cut_off(self, content: bytes) -> Reply:
        """Promise all of `content`, send half."""

        def reply(handler: BaseHTTPRequestHandler) -> None:
            send_head(handler, len(content))
            handler.wfile.write(content[: len(content) // 2])
            handler.wfile.flush()
            handler.connection.close()

        return reply

    def stall(self, handler: BaseHTTPRequestHandler) -> None:
        """Promise a megabyte, send a little, and then nothing."""
        send_head(handler, 1_000_000)
        handler.wfile.write(bytes(100))
        handler.wfile.flush()
        self.closing.wait(20)

    def crawl(self, handler: BaseHTTPRequestHandler) -> None:
        """Promise ten megabytes, send 100 kB a second."""
        send_head(handler, 10_000_000)
        while not self.closing.is_set():
            handler.wfile.write(bytes(5000))
            time.sleep(0.05)


def send_head(handler: BaseHTTPRequestHandler, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            reply = served.replies.get(self.path)
            try:
                if reply is None:
                    self.send_error(404)
                elif isinstance(reply, bytes):
                    send_head(self, len(reply))
                    self.wfile.write(reply)
                else:
                    reply(self)
            except OSError:
                pass  # the client gave up, as some tests want it to

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Web(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def splits() -> dict[str, Pixels]:
    """Real photographs, as few as do: 200 train and 50 test images, labelled 0..9 in turn."""
    return {
        split: Pixels(
            np.ascontiguousarray(load_photos(split).images[:count].transpose(0, 2, 3, 1)),
            (np.arange(count) % 10).astype(np.uint8),
        )
        for split, count in (("train", 200), ("test", 50))
    }


@pytest.fixture
def small(splits: dict[str, Pixels], web: Web) -> CifarDefinition:
    """CIFAR-10's definition with the small data set in its place, which the server has in both forms."""
    archive = original_archive(splits, CIFAR10.binary_folder)
    web.replies = {f"/{split}.parquet": parquet(pixels) for split, pixels in splits.items()}
    web.replies["/archive.tar.gz"] = archive
    return replace(
        CIFAR10,
        counts={split: len(pixels.labels) for split, pixels in splits.items()},
        digests={
            split: Digest(*(hashlib.sha256(array.tobytes()).hexdigest() for array in pixels))
            for split, pixels in splits.items()
        },
        hub_urls={split: f"{web.url}/{split}.parquet" for split in splits},
        npm_package=None,
        archive_url=f"{web.url}/archive.tar.gz",
        archive_md5=hashlib.md5(archive).hexdigest(),
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, which is the default one while the test runs."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(folder))
    return folder
