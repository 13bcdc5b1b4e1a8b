"""How many trainings a device takes at once: more, as long as all together come forward faster by it."""

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import mean, median
from typing import NamedTuple

import torch

# A number of trainings is judged by so many seconds, in which each was heard of so often.
SECONDS = 1.0
TIMES_HEARD = 4
# One more must make all together faster by this factor.
WORTH = 1.05
MOST = 8
# Of the memory that one takes, what must be free for one more.
MARGIN = 1.5


class Memory(NamedTuple):
    """Of a device, in bytes: what this process has taken, and what is free."""

    taken: int
    free: int


class Room:
    """A number of trainings that stays as it is.

    Parameters
    ----------
    limit : int
        So many at once.

    Attributes
    ----------
    limit : int
        So many at once, as things stand.
    most : int
        So many at once at most.
    """

    def __init__(self, limit: int, most: int | None = None) -> None:
        self.limit, self.most = limit, most or limit

    def saw(self, name: str, step: int) -> None:
        """A training has been seen at a step."""

    def ended(self, name: str) -> None:
        """A training is no longer there."""

    def too_many(self, left: int) -> None:
        """There is no memory for more than are left."""
        self.limit = min(self.limit, left)


class GrowingRoom(Room):
    """Begins with one, and lets one more in while that pays and there is memory for it.

    One more pays if those that were there before keep enough of their pace: where n - 1 of them become slower by the
    factor s on average, all together are faster by n / (n - 1) / s, since the new one gets no less than they.

    Parameters
    ----------
    memory : callable
        Returns a `Memory`.
    clock : callable, optional
        Seconds from some moment on.
    """

    def __init__(self, memory: Callable[[], Memory], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(1, MOST)
        self._memory, self._clock = memory, clock
        self._settled = False
        self._began = 0.0
        self._heard: dict[str, list[tuple[float, int]]] = {}
        self._paces: dict[str, float] = {}  # seconds a step, before the last was let in

    def saw(self, name: str, step: int) -> None:
        if self._settled:
            return
        if name not in self._heard:
            self._begin_again()
        self._heard.setdefault(name, []).append((self._clock(), step))
        often = len(self._heard) == self.limit and all(len(times) > TIMES_HEARD for times in self._heard.values())
        if often and self._clock() - self._began >= SECONDS:
            self._judge()

    def ended(self, name: str) -> None:
        self._heard.pop(name, None)
        self._begin_again()

    def too_many(self, left: int) -> None:
        super().too_many(left)
        self._settled = True

    def _begin_again(self) -> None:
        self._began = self._clock()
        self._heard = {name: [] for name in self._heard}

    def _judge(self) -> None:
        paces = {name: _pace(times) for name, times in self._heard.items()}
        both = paces.keys() & self._paces.keys()
        if self.limit > 1 and not (both and self._pays(mean(paces[name] / self._paces[name] for name in both))):
            self.limit -= 1
            self._settled = True
            return
        memory = self._memory()
        if self.limit == self.most or memory.free < MARGIN * memory.taken / self.limit:
            self._settled = True
            return
        self.limit += 1
        self._paces = paces
        self._begin_again()

    def _pays(self, slower: float) -> bool:
        return self.limit / (self.limit - 1) / slower >= WORTH


def _pace(times: list[tuple[float, int]]) -> float:
    """Seconds a step, the median between two looks, so that test images looked at between count little.

    Of the longer stretches: a new training is looked at after its every step.
    """
    stretches = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(times)]
    longest = max(steps for _, steps in stretches)
    return median(seconds / steps for seconds, steps in stretches if 2 * steps >= longest)


def cuda_memory(device: torch.device) -> Memory:
    """That of a GPU."""
    return Memory(torch.cuda.memory_reserved(device), torch.cuda.mem_get_info(device)[0])
