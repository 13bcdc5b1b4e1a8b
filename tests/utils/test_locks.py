"""Folders that one process holds at a time, other processes included, and dead ones."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from firstlight.errors import InputError
from firstlight.utils import locks
from firstlight.utils.locks import LOCK, hold, hold_if_free, is_held

HOLDER = """
import sys, time
from pathlib import Path
from firstlight.utils.locks import hold
with hold(Path(sys.argv[1]), "tests", print):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_waits_and_is_told_so_until_the_first_is_killed(tmp_path: Path):
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        with hold_if_free(tmp_path) as free:
            assert not free
        assert is_held(tmp_path)  # still by the first
        entered = threading.Event()

        def second() -> None:
            with hold(tmp_path, "tests", told.append):
                entered.set()

        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
        first.kill()
    thread.join(10)
    assert entered.is_set()
    [line] = told  # with its number where the system tells
    assert line.replace(f" ({first.pid})", "") == f"waiting for another process that tests {tmp_path}"
    assert not is_held(tmp_path)


def test_whoever_never_lets_go_is_named_and_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match=r"has been held for .* hours by another process"),
            hold(tmp_path, "tests", lambda _: None),
        ):
            pass
        first.kill()


def test_whoever_would_wait_for_itself_is_told_so(tmp_path: Path):
    with (
        hold(tmp_path, "tests", print),
        pytest.raises(InputError, match="this thread tests it; expected that to end first"),
        hold(tmp_path, "tests", print),
    ):
        pass
    with hold(tmp_path, "tests", print):
        assert is_held(tmp_path)


def test_who_has_other_work_meanwhile_may_ask_often_and_the_system_is_asked_rarely(tmp_path: Path, monkeypatch):
    tried, own = [], locks._try
    monkeypatch.setattr(locks, "_try", lambda lock: tried.append(lock) or own(lock))
    with hold_if_free(tmp_path), locks.hold_in_turn(tmp_path, "tests", lambda _: None) as attempts:
        for _ in zip(range(1000), attempts, strict=False):
            pass
    assert 2 <= len(tried) < 100


def test_a_free_folder_is_held_at_once_and_let_go_after_an_error(tmp_path: Path):
    told: list[str] = []
    for _ in range(2):
        with pytest.raises(KeyError), hold(tmp_path, "tests", told.append):
            raise KeyError
        with hold_if_free(tmp_path) as free:
            assert free
            assert is_held(tmp_path)
    assert told == []
    assert not is_held(tmp_path)


def test_whoever_only_asks_writes_nothing(tmp_path: Path):
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / LOCK).symlink_to(tmp_path)  # no file
    assert not is_held(tmp_path)


def test_a_lock_that_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path):
    (tmp_path / LOCK).mkdir()
    with pytest.raises(OSError, match="lock"), hold(tmp_path, "tests", print):
        pass
    with pytest.raises(OSError, match="lock"), hold_if_free(tmp_path):
        pass
