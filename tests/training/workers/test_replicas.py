"""Several trainings at once in one process."""

import errno
import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import ref

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from rich.console import Console
from tests.training.sets import TEST, TRAIN, make_spec

from firstlight.errors import InputError, RunError
from firstlight.training import Outcome, Progress, Run, RunSpec, prepared, train, train_all
from firstlight.training.checkpoint import Checkpoint
from firstlight.training.machine import Lane
from firstlight.training.trainer import Trainer
from firstlight.training.turns import Turn, Turns
from firstlight.training.update import Update
from firstlight.training.workers import replicas
from firstlight.utils.locks import LOCK

QUIET = Console(quiet=True)
SPECS = [
    make_spec(),
    make_spec(model="vgg5", steps=7),  # with dropout
    make_spec(labels="random", steps=20),
    make_spec(model="vgg5", seed=4, momentum=0.9, augmentation="flip"),
    make_spec(first_layer="pca", steps=3),
]


def results(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in ("filters.safetensors", "metrics.csv")]


def load(name: str):
    assert name == "noise"
    return TRAIN, TEST


def train_here(specs: list[RunSpec], store: Path, count: int, **options) -> Generator[Outcome, None, None]:
    return train_all(specs, load, store, device="cpu", replicas=count, console=QUIET, **options)


prepare = prepared.prepare


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Run]:
    store = tmp_path_factory.mktemp("alone")
    return {spec.hash: train(spec, TRAIN, TEST, store, device="cpu") for spec in SPECS}


@pytest.mark.parametrize("count", [1, 2, 9])
def test_those_that_take_turns_give_the_same_bytes_as_each_alone(count, alone, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(prepared, "prepare", lambda spec, *sets: made.append(spec.labels) or prepare(spec, *sets))
    outcomes = list(train_here(SPECS, tmp_path, count))
    assert {outcome.spec.hash for outcome in outcomes} == alone.keys()
    for outcome in outcomes:
        assert outcome.run is not None
        assert results(outcome.run) == results(alone[outcome.spec.hash])
    # The images that several see are prepared once for all, as long as one of them trains.
    assert sorted(made) == ["random", "true", *(["true"] if count < 9 else [])]
    ended = [outcome.spec.steps for outcome in outcomes]
    assert (ended == [spec.steps for spec in SPECS]) == (count == 1)


def test_one_that_diverges_leaves_the_others_alone(alone, tmp_path):
    specs = [SPECS[0], make_spec(lr=1e25), SPECS[1]]
    outcomes = {outcome.spec.hash: outcome for outcome in train_here(specs, tmp_path, 3)}
    failed = outcomes[specs[1].hash]
    assert failed.run is None
    assert "the training diverged" in failed.failure
    for spec in (SPECS[0], SPECS[1]):
        run = outcomes[spec.hash].run
        assert run is not None
        assert results(run) == results(alone[spec.hash])


def test_each_keeps_its_number_of_threads(tmp_path, monkeypatch):
    """One that was begun with another number goes on with that, beside others."""
    first, second = SPECS[0], replace(SPECS[0], seed=9)
    found: dict[int, set[int]] = {first.seed: set(), second.seed: set()}
    own = Update.__call__

    def noted(self: Update, step: int) -> torch.Tensor:
        found[self._spec.seed].add(torch.get_num_threads())
        return own(self, step)

    def stop(progress: Progress) -> None:
        if progress.step == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr("firstlight.training.loop.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Update, "__call__", noted)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with pytest.raises(KeyboardInterrupt):
            train(first, TRAIN, TEST, tmp_path, device="cpu", on_progress=stop)
        torch.set_num_threads(2)
        runs = {outcome.spec.seed: outcome.run for outcome in train_here([first, second], tmp_path, 2)}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert found == {first.seed: {1}, second.seed: {2}}
    assert [run.environment["threads"] for seed, run in sorted(runs.items()) if run] == [1, 2]


def test_one_that_another_process_trains_waits_and_the_others_go_on(alone, tmp_path):
    (tmp_path / SPECS[0].hash).mkdir()
    lock = FileLock(tmp_path / SPECS[0].hash / LOCK)
    lock.acquire()
    outcomes = train_here(SPECS[:2], tmp_path, 2)
    assert next(outcomes).spec == SPECS[1]
    lock.release()
    last = next(outcomes)
    assert last.run is not None
    assert results(last.run) == results(alone[SPECS[0].hash])


def test_whoever_takes_an_outcome_finds_torch_as_it_was(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(5))
    outcomes = train_here(SPECS[:3], tmp_path, 3)
    next(outcomes)
    assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    found = torch.rand(4)
    next(outcomes)
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    assert len(list(outcomes)) == 1
    assert torch.equal(found, expected)


def test_whoever_takes_an_outcome_may_train_others_but_none_that_is_being_trained(alone, tmp_path):
    outcomes = train_here([SPECS[0], SPECS[4]], tmp_path, 2)
    assert next(outcomes).spec == SPECS[4]
    assert results(train(SPECS[1], TRAIN, TEST, tmp_path, device="cpu")) == results(alone[SPECS[1].hash])
    with pytest.raises(InputError, match="this thread trains it; expected that to end first"):
        train(SPECS[0], TRAIN, TEST, tmp_path, device="cpu")
    [last] = outcomes
    assert last.run is not None
    assert results(last.run) == results(alone[SPECS[0].hash])


def test_a_training_that_has_ended_is_freed_at_once(tmp_path, monkeypatch):
    made, own = [], Trainer.__init__

    def noted(self: Trainer, *arguments) -> None:
        own(self, *arguments)
        made.extend(map(ref, (self, self.model, self.images)))

    monkeypatch.setattr(Trainer, "__init__", noted)
    gc.disable()
    try:
        outcomes = list(train_here([SPECS[4], make_spec(lr=1e25, labels="random")], tmp_path, 2))
        assert {outcome.run is None for outcome in outcomes} == {True, False}  # and one that diverged
        assert [one() for one in made] == [None] * 6
    finally:
        gc.enable()


@pytest.mark.parametrize("end", ["close", "interrupt"])
def test_those_that_are_interrupted_leave_no_lock_and_go_on_later(end, alone, tmp_path, monkeypatch):
    monkeypatch.setattr("firstlight.training.loop.CHECKPOINT_SECONDS", 0.0)
    specs = [SPECS[0], SPECS[4]]
    outcomes = train_here(specs, tmp_path, 2)
    if end == "close":
        assert next(outcomes).spec == SPECS[4]
        outcomes.close()
    else:
        with monkeypatch.context() as patch:
            patch.setattr("firstlight.training.trainer.is_test_step", lambda step, _: ctrl_c() if step == 3 else False)
            with pytest.raises(KeyboardInterrupt):
                list(outcomes)
    assert Checkpoint.load(tmp_path / SPECS[0].hash, SPECS[0]) is not None
    with FileLock(tmp_path / SPECS[0].hash / LOCK, timeout=0):
        pass
    for outcome in train_here(specs, tmp_path, 2):
        assert outcome.run is not None
        assert results(outcome.run) == results(alone[outcome.spec.hash])


def ctrl_c() -> bool:
    raise KeyboardInterrupt


class Made:
    """Trainings that are made up: each of so many turns, and at most so many at once."""

    def __init__(self, turns: int = 20, most: int = 99) -> None:
        self.turns, self.most = turns, most
        self.active: list[str] = []
        self.seen: list[tuple[str, ...]] = []

    def __call__(self, spec: RunSpec, train_set, test_set, store, preparation, threads) -> Turns:
        self.active.append(spec.hash)
        try:
            for step in range(self.turns):
                if len(self.active) > self.most and spec.hash == self.active[-1]:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
                self.seen.append(tuple(self.active))
                yield Turn.WORKED if step else Progress(step, self.turns, 1.0, 0.5, 100.0, np.zeros(1), None)
        finally:
            self.active.remove(spec.hash)
        return Run(store, spec, np.zeros(1, np.int64), np.zeros((1, 1, 3, 3, 3)), pd.DataFrame(), {})


MANY = [make_spec(seed=seed) for seed in range(7)]


def test_never_more_than_asked_take_turns_and_each_has_as_many(tmp_path, monkeypatch):
    made = Made()
    monkeypatch.setattr(replicas, "training", made)
    assert [outcome.spec.seed for outcome in train_here(MANY, tmp_path, 3)] == list(range(7))
    assert max(map(len, made.seen)) == 3
    assert len(made.seen) == 7 * 20
    first, second, third = (spec.hash for spec in MANY[:3])
    assert made.seen[:3] == [(first,), (first, second), (first, second, third)]


def test_a_lane_is_used_again_but_never_by_two_at_once(tmp_path, monkeypatch):
    lanes, used = [], []

    class Counted(Lane):
        def __init__(self, device: torch.device) -> None:
            super().__init__(device)
            lanes.append(self)

        @contextmanager
        def current(self) -> Iterator[None]:
            yield
            used.append(self)

    monkeypatch.setattr(replicas, "Lane", Counted)
    monkeypatch.setattr(replicas, "training", Made())
    assert len(list(train_here(MANY, tmp_path, 3))) == 7
    assert len(lanes) == 3
    assert set(used[:3]) == set(lanes)


def test_where_the_memory_is_too_small_for_so_many_there_are_fewer(tmp_path, monkeypatch):
    made = Made(most=2)
    monkeypatch.setattr(replicas, "training", made)
    outcomes = list(train_here(MANY, tmp_path, 4))
    assert sorted(outcome.spec.seed for outcome in outcomes) == list(range(7))
    assert max(map(len, made.seen)) == 2


def test_memory_too_small_for_one_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(replicas, "training", Made(most=0))
    with pytest.raises(
        RunError, match=r"the GPU's memory is too small for .*\(CUDA out of memory. Tried to allocate 2 GiB\)"
    ):
        list(train_here(MANY, tmp_path, 2))


def test_a_full_disk_ends_all_and_says_where(tmp_path, monkeypatch):
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("firstlight.training.run.write_tensors", full)
    with pytest.raises(OSError, match=rf"\[Errno 28\] No space left on device: '{tmp_path / SPECS[4].hash}'"):
        list(train_here([SPECS[0], SPECS[4]], tmp_path, 2))


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_the_number_is_checked_at_once(count, tmp_path):
    with pytest.raises(InputError, match=r"replicas is .*; expected a whole number of at least 1"):
        train_here([], tmp_path, count)


def test_replicas_and_jobs_are_not_given_together(tmp_path):
    with pytest.raises(InputError, match="jobs is 3 and replicas is 2; expected one of them"):
        train_here([], tmp_path, 2, jobs=3)


def test_how_many_where_nobody_says():
    assert replicas.room_on(torch.device("cpu"), None).most == 1
    assert replicas.room_on(torch.device("cuda", 0), None).most > 1
    assert replicas.room_on(torch.device("cuda", 0), 5).limit == 5


@pytest.mark.gpu
@pytest.mark.parametrize("count", [2, None])
def test_replicas_on_a_gpu_give_the_same_bytes_as_each_alone(count, gpu, tmp_path):
    alone = {spec.hash: train(spec, TRAIN, TEST, tmp_path / "alone", device=str(gpu)) for spec in SPECS}
    for outcome in train_all(SPECS, load, tmp_path / "together", device=str(gpu), replicas=count, console=QUIET):
        assert outcome.run is not None
        assert results(outcome.run) == results(alone[outcome.spec.hash])
