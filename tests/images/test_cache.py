import os
import threading
from pathlib import Path

import pytest

from firstlight.errors import SourceError
from firstlight.images.cache import cache_dir, scratch_folder, sole_writer


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FIRSTLIGHT_CACHE", raising=False)
    default = cache_dir()
    assert default.name == "firstlight"
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path / "elsewhere"))
    assert cache_dir() == tmp_path / "elsewhere" != default
    assert cache_dir(tmp_path / "named") == tmp_path / "named"
    assert cache_dir("~/named") == tmp_path / "named"
    monkeypatch.setenv("FIRSTLIGHT_CACHE", "")
    assert cache_dir() == default
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".part-a").write_bytes(b"half")
    (tmp_path / ".part-folder").mkdir()
    (tmp_path / ".part-folder" / "b").write_bytes(b"half")
    (tmp_path / "kept").write_bytes(b"whole")
    with sole_writer(tmp_path), scratch_folder(tmp_path) as scratch:
        assert scratch.parent == tmp_path
        assert {entry.name for entry in tmp_path.iterdir()} == {"kept", ".lock", scratch.name}
    assert not scratch.exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    events: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with sole_writer(tmp_path):
            events.append("second")

    with sole_writer(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        thread.join(0.3)
        events.append("first")
    thread.join()
    assert events == ["first", "second"]


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), sole_writer(tmp_path):
        raise KeyError
    with sole_writer(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="uses a path below a plain file")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"file/x cannot be written .*data_dir= or FIRSTLIGHT_CACHE"):
        sole_writer(tmp_path / "file" / "x").__enter__()


def test_without_a_home_no_folder_is_made_that_is_called_as_its_sign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="there is no home folder"):
        sole_writer(Path("~/.cache/firstlight/cifar10")).__enter__()
    assert list(tmp_path.iterdir()) == []
