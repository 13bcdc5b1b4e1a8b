"""A training in turns, so that one thread can lead several: each turn does something short, or finds it must wait."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from enum import Enum

import torch
from torch import Tensor

from firstlight.training.progress.state import Progress
from firstlight.training.run import Run

# Seconds to leave a device alone that nothing has come from: each time a little longer, so that of what is waited for
# no more than a two-hundredth passes unseen.
PAUSE, LONGEST_PAUSE = 1e-4, 0.05


class Turn(Enum):
    """What a turn did, if it has nothing to tell."""

    WORKED = "worked"
    WAITS = "waits"


# Of a training; its end returns the run.
Turns = Generator[Turn | Progress, None, Run]


def to_the_end(turns: Turns, on_progress: Callable[[Progress], None]) -> Run:
    """Let one training have all turns."""
    pause = PAUSE
    with closing(turns):
        while True:
            try:
                turn = next(turns)
            except StopIteration as end:
                return end.value
            if isinstance(turn, Progress):
                on_progress(turn)
            pause = paused(pause) if turn is Turn.WAITS else PAUSE


def paused(pause: float) -> float:
    """Pause, and return for how long to do so the next time, if nothing comes until then."""
    time.sleep(pause)
    return min(1.005 * pause, LONGEST_PAUSE)


def fetched(tensor: Tensor) -> Generator[Turn, None, Tensor]:
    """A device's tensor in the computer's memory, in turns that wait while the device has other work before it."""
    if tensor.device.type == "cpu":
        return tensor
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()
    while not copied.query():
        yield Turn.WAITS
    return here
