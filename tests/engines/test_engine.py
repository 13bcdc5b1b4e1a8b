"""Where tasks run: every result once, few under way, errors in one line."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from os import _exit
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from firstlight.engines import engine_of, open_engine
from firstlight.errors import EngineError, InputError, SourceError


@settings(deadline=None, max_examples=25)
@given(items=st.lists(st.integers(), max_size=40), workers=st.integers(1, 4))
def test_every_item_has_its_result_once(items, workers):
    with open_engine("local", workers=workers) as engine:
        found = list(engine.run(lambda item: item**2, items))
    assert sorted(found) == list(enumerate(item**2 for item in items))


def test_one_worker_is_this_thread():
    with open_engine("local", workers=1) as engine:
        assert {name for _, name in engine.run(lambda _: threading.current_thread().name, range(3))} == {"MainThread"}
        assert engine.describe() == "this process"


def test_several_work_at_the_same_time():
    both = threading.Barrier(2, timeout=30)
    with open_engine("local", workers=2) as engine:
        assert len(list(engine.run(lambda _: both.wait(), range(4)))) == 4
        assert engine.describe() == "2 threads of this process"


def test_items_are_drawn_as_there_is_room_for_them():
    drawn = []

    def items():
        for item in range(100):
            drawn.append(item)
            yield item

    with open_engine("local", workers=2) as engine:
        results = engine.run(abs, items())
        for taken in range(1, 20):
            next(results)
            assert len(drawn) <= taken + 3  # a task for each thread, and the next one
        results.close()


def test_only_as_many_as_are_worked_on_are_drawn_if_none_shall_wait():
    drawn = []

    def items():
        for item in range(20):
            drawn.append(item)
            yield item

    with open_engine("local", workers=2) as engine:
        for taken, _ in enumerate(engine.run(abs, items(), queued=1), start=1):
            assert len(drawn) <= taken + 1  # that taken is done with, and two are worked on
    assert len(drawn) == 20


def test_what_the_function_raises_is_passed_on_and_the_rest_is_not_begun():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise SourceError("no such thing")
        return item

    with open_engine("local", workers=2) as engine:
        with pytest.raises(SourceError, match=r"^no such thing$"):
            list(engine.run(work, range(1000)))
        assert engine.stopping is not None
        assert engine.stopping.is_set()
        assert sorted(engine.run(abs, [-1])) == [(0, 1)]  # the engine can be used again
        assert not engine.stopping.is_set()
    assert len(begun) < 10


def test_threads_have_ended_after_the_block():
    before = threading.active_count()
    with open_engine("local", workers=3) as engine:
        next(engine.run(lambda _: time.sleep(0.01), range(50)))
        assert threading.active_count() > before
    assert threading.active_count() == before


class Twofold(Future[Any]):
    """A future that delivers twice at once, and a third time when the next one does."""

    late: list[tuple[Any, Any]]
    delivered = 0

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        for callback, future in self.late:
            callback(future)
        self.late[:] = [(fn, self)]
        for _ in range(2):
            super().add_done_callback(fn)
        Twofold.delivered += 2


class Twice:
    """An executor that works every task twice and delivers the results several times."""

    def __init__(self) -> None:
        self._late: list[tuple[Any, Any]] = []

    def submit(self, fn, /, *args):
        fn(*args)
        future = Twofold()
        future.late = self._late
        future.set_result(fn(*args))
        return future


def test_what_is_delivered_several_times_counts_once():
    found = list(engine_of(Twice(), width=3).run(abs, range(-20, 0)))
    assert sorted(found) == [(index, 20 - index) for index in range(20)]
    assert Twofold.delivered == 40


def test_any_executor_will_do():
    with ThreadPoolExecutor(2) as pool:
        engine = engine_of(pool)
        assert sorted(engine.run(abs, [-3, -4])) == [(0, 3), (1, 4)]
        assert engine.describe() == "ThreadPoolExecutor"


def test_processes_that_die_are_an_error_of_one_line():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(EngineError) as caught:
            list(engine_of(pool, width=2).run(_exit, [3, 3, 3]))
        assert str(caught.value) == (
            "ProcessPoolExecutor: its workers are gone (BrokenProcessPool): open another, and start again"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "slurm"}, "engine is 'slurm'; expected one of local, dask"),
        ({"workers": 0}, "workers is 0; expected a whole number of at least 1"),
        ({"workers": True}, "workers is True; expected"),
        ({"scheduler": "tcp://node:1"}, "a scheduler and resources are Dask's"),
        ({"resources": {"GPU": 1}}, "a scheduler and resources are Dask's"),
        ({"kind": "dask", "resources": {"GPU": 0}}, "resources['GPU'] is 0; expected a positive number"),
        ({"kind": "dask", "scheduler": "tcp://node:1", "workers": 2}, "the workers of tcp://node:1 are those"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InputError) as caught, open_engine(**options):
        pass
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_executor_without_submit_is_refused():
    with pytest.raises(InputError, match=r"^executor is a int; expected an object with submit"):
        engine_of(3)  # pyright: ignore[reportArgumentType]


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"^the engine 'dask' needs dask and distributed: pip install"),
        open_engine("dask"),
    ):
        pass
