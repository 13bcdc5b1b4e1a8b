"""How many trainings a device takes at once, tried on devices that are made up."""

from collections.abc import Callable, Sequence

import pytest

from firstlight.training.steps import record_steps
from firstlight.training.workers.room import MOST, GrowingRoom, Memory, Room

PLENTY = Memory(taken=1, free=10**12)
STEPS = 3000
RECORDS = record_steps(STEPS)


class Device:
    """A device on which one step of each of n trainings takes `seconds(n)`, and one more run always waits."""

    def __init__(self, seconds: Callable[[int], float], memory: Callable[[int], Memory] = lambda count: PLENTY) -> None:
        self.seconds, self.time = seconds, 0.0
        self.steps: dict[str, int] = {}
        self.begun = 0
        self.most = 0
        self.room = GrowingRoom(lambda: memory(len(self.steps)), lambda: self.time)

    def train(self, seconds: float) -> int:
        """For so long; returns how many are let in then."""
        while self.time < seconds:
            while len(self.steps) < self.room.limit:
                self.begun += 1
                self.steps[f"run {self.begun}"] = 0
                self.room.saw(f"run {self.begun}", 0)
            self.most = max(self.most, len(self.steps))
            self.time += self.seconds(len(self.steps))
            for name, step in list(self.steps.items()):
                self.steps[name] = step + 1
                if step + 1 == STEPS:
                    del self.steps[name]
                    self.room.ended(name)
                elif step + 1 in RECORDS or step % 16 == 0:
                    self.room.saw(name, step + 1)
        return self.room.limit


def shared(capacity: float) -> Callable[[int], float]:
    """A device that does the work of so many at once."""
    return lambda count: 0.002 * max(1.0, count / capacity)


def measured(milliseconds: Sequence[float]) -> Callable[[int], float]:
    """Of a device on which a step takes so long on average, with 1, 2, 3 ... at once."""
    return lambda count: count * milliseconds[min(count, len(milliseconds)) - 1] / 1000


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (shared(1), 1),
        (shared(2), 2),
        (shared(3.5), 4),
        (shared(100), MOST),
        (measured([2.3, 1.8, 1.6, 1.5, 1.47]), 4),
        (measured([2.3, 2.28]), 1),
        (measured([2.3, 4.6]), 1),  # they are in each other's way
    ],
)
def test_as_many_are_let_in_as_make_all_together_faster(seconds, expected):
    device = Device(seconds)
    assert device.train(40) == expected
    assert device.most == min(expected + 1, MOST)  # one too many was tried


def test_a_number_is_judged_within_seconds():
    assert Device(shared(3)).train(8) == 3


@pytest.mark.parametrize(("card", "expected"), [(100, 1), (249, 1), (250, 2), (449, 3), (10_000, MOST)])
def test_nobody_is_let_in_for_whom_there_is_no_memory(card, expected):
    """Each takes 100, and half of that stays free beside."""
    device = Device(shared(100), lambda count: Memory(100 * count, card - 100 * count))
    assert device.train(40) == expected


def test_test_images_looked_at_meanwhile_count_little():
    """Now and then a step takes a hundred times as long, with two at once only."""
    calls = iter(range(10**9))
    device = Device(lambda count: 0.002 * (100 if count > 1 and next(calls) % 150 == 0 else 1))
    assert device.train(60) == MOST


def test_after_too_little_memory_there_are_never_more():
    device = Device(shared(100))
    assert device.train(2) > 1
    device.room.too_many(1)
    assert device.train(40) == 1


def test_a_given_number_stays():
    room = Room(3)
    for step in range(1000):
        room.saw("a", step)
    room.ended("a")
    assert room.limit == room.most == 3
    room.too_many(2)
    assert room.limit == 2
