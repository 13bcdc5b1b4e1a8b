import io
import re
import sys
import time
from pathlib import Path

import pytest
from tests.images.conftest import Web

from firstlight.errors import InputError, SourceError
from firstlight.images.download import Deadline, Transfer, download


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_arrives_and_two_lines_tell_so(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytes(range(256)) * 5000
    web.replies["/a"] = content
    download(f"{web.url}/a", tmp_path / "a", "the file", Deadline(60))
    assert (tmp_path / "a").read_bytes() == content
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"firstlight: fetching the file\nfirstlight: fetched the file: 1.3 MB in [0-9.]+ s\n", err)


def test_on_a_terminal_the_bytes_are_counted(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.replies["/a"] = bytes(2_000_000)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    download(f"{web.url}/a", tmp_path / "a", "the file", Deadline(60))
    shown = sys.stderr.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert "2.0 MB of 2.0 MB" in shown
    assert re.search(r"firstlight: fetched the file: 2.0 MB in [0-9.]+ s\n", shown)


@pytest.mark.parametrize(
    ("fault", "message"),
    [("cut", "the server broke off in the middle"), ("missing", "the server answered 404 Not Found")],
)
def test_failures_have_a_reason(web: Web, tmp_path: Path, fault: str, message: str) -> None:
    if fault == "cut":
        web.replies["/a"] = web.cut_off(bytes(100_000))
    with pytest.raises(SourceError, match=message) as caught:
        download(f"{web.url}/a", tmp_path / "a", "the file", Deadline(60))
    assert "\n" not in str(caught.value)


def test_no_server(tmp_path: Path, web: Web) -> None:
    with pytest.raises(SourceError, match="the connection was refused"):
        download("http://127.0.0.1:9/a", tmp_path / "a", "the file", Deadline(60))


def test_a_silent_server_is_given_up(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.replies["/a"] = web.stall
    monkeypatch.setattr("firstlight.images.download._CONNECTION_TIMEOUT", 0.5)
    start = time.monotonic()
    with pytest.raises(SourceError, match="the server was silent for"):
        download(f"{web.url}/a", tmp_path / "a", "the file", Deadline(60))
    assert 0.4 < time.monotonic() - start < 5


def test_a_slow_server_is_given_up_at_the_time_limit(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.replies["/a"] = web.crawl
    monkeypatch.setenv("FIRSTLIGHT_FETCH_LIMIT", "0.6")
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"not finished after 0\.6 s \(FIRSTLIGHT_FETCH_LIMIT"):
        download(f"{web.url}/a", tmp_path / "a", "the file", Deadline(600))
    assert 0.5 < time.monotonic() - start < 5


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FIRSTLIGHT_FETCH_LIMIT", text)
    with pytest.raises(InputError, match=f"FIRSTLIGHT_FETCH_LIMIT is '{text}'; expected a number of seconds"):
        Deadline(1)


def test_a_transfer_that_fails_does_not_say_it_was_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), Transfer("it", Deadline(60)):
        raise KeyError
    assert capsys.readouterr().err == "firstlight: fetching it\n"
