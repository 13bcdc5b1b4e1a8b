"""The machine's own trouble is told from the data's, and tried again."""

import errno
import os
import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest

from firstlight.errors import InputError, MachineError
from firstlight.utils import trouble
from firstlight.utils.trouble import check_room, insist, refuse_trouble, trouble_of

MEMORY = "out of memory"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "_WAITS", (0.0, 0.0, 0.0))


def of_system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def too_large(count: int) -> MemoryError:
    with pytest.raises(MemoryError) as caught:
        np.empty(count, np.uint8)
    return caught.value


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT],
)
def test_what_the_system_lacks_is_trouble(number: int) -> None:
    assert trouble_of(of_system(number)) == os.strerror(number)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        of_system(errno.ENOMEM),
        pa.ArrowMemoryError("malloc of size 4294967296 failed"),
        OSError("out of memory when reading image file"),
        RuntimeError("Failed to decode image: Out of memory"),
    ],
)
def test_out_of_memory_in_any_clothes(error: Exception) -> None:
    assert trouble_of(error) == MEMORY


@pytest.mark.parametrize(
    "error",
    [
        OSError("broken data stream when reading image file"),
        of_system(errno.EINVAL),  # of seeking before the beginning, as a damaged file asks for
        of_system(errno.ENOENT),
        of_system(errno.ELOOP),
        ValueError("out of memory"),
        pa.ArrowMemoryError("malloc of size 9223372036854775807 failed"),
        too_large(1 << 50),
    ],
)
def test_what_the_data_say_is_none(error: Exception) -> None:
    assert trouble_of(error) == ""
    refuse_trouble(error, "x.png")


def test_no_threads_are_trouble() -> None:
    assert trouble_of(RuntimeError("can't start new thread")) == "can't start new thread"


class Work:
    """Fails so many times."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.calls = error, times, 0

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


@pytest.mark.parametrize(("error", "times"), [(of_system(errno.EMFILE), 3), (MemoryError(), 1)])
def test_trouble_that_passes_leaves_nothing(error: Exception, times: int) -> None:
    assert insist(Work(error, times), "x.png") == "done"


@pytest.mark.parametrize(
    ("error", "calls", "message"),
    [
        (of_system(errno.EACCES), 4, "x.png cannot be read on this machine (Permission denied): let this user read it"),
        (of_system(errno.ESTALE), 4, "x.png cannot be read on this machine (Stale file handle): see to the disk"),
        (MemoryError(), 2, "x.png cannot be read on this machine (out of memory): give fewer workers"),
    ],
)
def test_trouble_that_stays_names_the_file(error: Exception, calls: int, message: str) -> None:
    work = Work(error, 9)
    with pytest.raises(MachineError) as caught:
        insist(work, "x.png")
    assert str(caught.value).startswith(message)
    assert work.calls == calls
    travelled = pickle.loads(pickle.dumps(caught.value))
    again = Work(travelled, 9)
    with pytest.raises(MachineError, match=r"^x\.png cannot"):
        insist(again, "shard 3")
    assert again.calls == 1  # it was tried again already


def test_what_is_wrong_with_the_data_is_not_tried_again() -> None:
    work = Work(InputError("no"), 9)
    with pytest.raises(InputError, match=r"^no$"):
        insist(work, "x.png")
    assert work.calls == 1


def test_without_memory_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    other = threading.Thread(target=lambda: insist(lambda: order.append("other"), "y"))

    def work() -> None:
        order.append("again" if order else "first")
        if order == ["first"]:
            raise MemoryError
        other.start()
        other.join(0.1)
        insist(lambda: order.append("inner"), "z")

    insist(work, "x")
    other.join()
    assert order == ["first", "again", "inner", "other"]


def test_room() -> None:
    check_room(1 << 20)
    with pytest.raises(MemoryError):
        check_room(1 << 62)
