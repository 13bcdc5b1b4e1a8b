import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, strategies as st

from firstlight.images.streams.parallel import in_order


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "firstlight-images" in thread.name]


@given(st.lists(st.integers(0, 99), max_size=60), st.integers(1, 5), st.integers(0, 100))
def test_results_in_the_order_of_items(items: list[int], workers: int, least: int) -> None:
    assert list(in_order(lambda item: item * item, items, workers, lambda item: item >= least)) == [
        i * i for i in items
    ]
    assert threads() == []


def test_slow_items_do_not_change_the_order() -> None:
    def work(item: int) -> int:
        time.sleep(0.01 * (item % 3 == 0))
        return item

    assert list(in_order(work, range(20), 4, lambda _: True)) == list(range(20))


def test_few_items_are_drawn_ahead() -> None:
    drawn = []

    def items() -> Iterator[int]:
        for item in range(100):
            drawn.append(item)
            yield item

    with closing(in_order(lambda item: item, items(), 3, lambda _: True)) as results:
        for result in results:
            assert len(drawn) <= result + 6


def test_work_is_done_in_threads_at_once() -> None:
    meeting = threading.Barrier(3)
    for _ in in_order(lambda _: meeting.wait(10), range(6), 3, lambda _: True):
        assert len(threads()) == 3


def test_stopping_early_drops_the_rest_and_ends_the_threads() -> None:
    done = []

    def work(item: int) -> int:
        time.sleep(0.02)
        done.append(item)
        return item

    with closing(in_order(work, range(1000), 2, lambda _: True)) as results:
        assert next(results) == 0
    assert threads() == []
    assert len(done) <= 5
    before = len(done)
    time.sleep(0.05)
    assert len(done) == before


@pytest.mark.parametrize("workers", [1, 3])
def test_what_work_raises_is_raised_in_its_place(workers: int) -> None:
    results = in_order(lambda item: 1 / (3 - item), range(9), workers, lambda _: True)
    assert len([next(results) for _ in range(3)]) == 3
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threads() == []
