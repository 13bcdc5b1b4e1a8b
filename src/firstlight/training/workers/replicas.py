"""Several trainings at once in this process: they take turns, and on a GPU each has a stream of its own."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from firstlight.errors import RunError
from firstlight.training.describe import describe
from firstlight.training.loop import training
from firstlight.training.machine import Lane, reproducible
from firstlight.training.outcome import Load, Outcome, named_error
from firstlight.training.prepared import Preparation
from firstlight.training.progress.state import Progress
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.training.turns import PAUSE, Turn, Turns, paused
from firstlight.training.workers.room import GrowingRoom, Room, cuda_memory
from firstlight.utils.text import first_line

if TYPE_CHECKING:
    from firstlight.training.progress.display import TrainingProgress, TrainingsDisplay


def room_on(device: torch.device, replicas: int | None) -> Room:
    """For so many trainings at once; None for as many as a GPU takes, and for one on a CPU."""
    if replicas is None and device.type == "cuda":
        return GrowingRoom(lambda: cuda_memory(device))
    return Room(replicas or 1)


@dataclass
class _Replica:
    spec: RunSpec
    line: "TrainingProgress"
    turns: Turns
    lane: Lane


class Replicas:
    """Trains specs, as many at once as there is room for; an iterator over their outcomes as they come.

    Parameters
    ----------
    specs : list of RunSpec
        What to train.
    load : Load
        The images of a data set.
    store : Path
        Folder of runs.
    device : torch.device
        Where to train.
    room : Room
        How many at once.
    display : TrainingsDisplay
        Where each is shown.
    """

    def __init__(
        self,
        specs: list[RunSpec],
        load: Load,
        store: Path,
        device: torch.device,
        room: Room,
        display: "TrainingsDisplay",
    ) -> None:
        self._waiting, self._active = deque(specs), list[_Replica]()
        self._load, self._store, self._room, self._display = load, store, room, display
        self._preparation, self._threads = Preparation(device), torch.get_num_threads()
        self._lanes: list[Lane] = []  # that are free

    def __iter__(self) -> Iterator[Outcome]:
        try:
            while self._waiting or self._active:
                # Whoever takes the outcome finds torch as it was.
                with reproducible(self._preparation.device):
                    outcome = self._next()
                yield outcome
        finally:
            for replica in self._active:
                replica.turns.close()

    def _next(self) -> Outcome:
        """Give turns until one of them has ended."""
        pause = PAUSE
        while True:
            while self._waiting and len(self._active) < self._room.limit:
                self._begin(self._waiting.popleft())
            worked = False
            for replica in list(self._active):
                turn = self._turn(replica)
                if isinstance(turn, Outcome):
                    return turn
                worked = worked or turn is not Turn.WAITS
            pause = PAUSE if worked else paused(pause)

    def _begin(self, spec: RunSpec) -> None:
        turns = training(spec, *self._load(spec.data), self._store, self._preparation, self._threads)
        # Rather one that has been used: for each stream, libraries keep memory as long as the process lives.
        lane = self._lanes.pop() if self._lanes else Lane(self._preparation.device)
        self._active.append(_Replica(spec, self._display.add(spec), turns, lane))

    def _turn(self, replica: _Replica) -> Turn | Outcome | None:
        """What a replica's turn gave; None where it told how far it is."""
        spec = replica.spec
        try:
            with replica.lane.current():
                turn = next(replica.turns)
        except StopIteration as end:
            return self._end(replica, end.value)
        except RunError as error:
            return self._end(replica, None, str(error))
        except torch.OutOfMemoryError as error:
            return self._try_with_fewer(replica, error)
        except OSError as error:
            said = error.strerror or str(error)
            raise named_error(error.errno, said, error.filename, self._store / spec.hash) from None
        if not isinstance(turn, Progress):
            return turn
        replica.line.update(turn)
        self._room.saw(spec.hash, turn.step)
        return None

    def _end(self, replica: _Replica, run: Run | None, failure: str = "") -> Outcome:
        self._leave(replica)
        return Outcome(replica.spec, run, failure)

    def _try_with_fewer(self, replica: _Replica, error: torch.OutOfMemoryError) -> Turn:
        """Put one back for which there was no memory beside the others: it goes on from its checkpoint."""
        if len(self._active) == 1:
            raise RunError(
                f"the GPU's memory is too small for {describe(replica.spec)} ({first_line(error)}): "
                "give the same command again with --device cpu, or when others leave more of it free"
            ) from None
        self._leave(replica)
        self._waiting.appendleft(replica.spec)
        self._room.too_many(len(self._active))
        return Turn.WORKED

    def _leave(self, replica: _Replica) -> None:
        self._active.remove(replica)
        self._lanes.append(replica.lane)
        self._room.ended(replica.spec.hash)
        replica.line.end()
