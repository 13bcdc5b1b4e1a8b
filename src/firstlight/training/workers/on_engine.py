"""Trainings on an engine: sent out, and their runs taken from the folder that all machines share."""

import logging
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from firstlight.engines import Engine
from firstlight.errors import EngineError, RunError
from firstlight.training.describe import describe
from firstlight.training.outcome import DataPlaces, Outcome, outcome_of
from firstlight.training.progress.engine_display import EngineDisplay
from firstlight.training.run import SEAL, SPEC, write_spec
from firstlight.training.spec import RunSpec
from firstlight.training.workers.engine_task import Task, TaskResult, train_task, wait_for_file
from firstlight.utils.locks import hold_if_free

logger = logging.getLogger(__name__)

# After so long a network file system shows what another machine has written, if it ever does.
SECONDS_TO_APPEAR = 90.0


def train_on_engine(
    specs: list[RunSpec], data: DataPlaces, store: Path, device: str, engine: Engine, display: EngineDisplay
) -> Iterator[Outcome]:
    """Train on an engine; as `train_all`."""
    store = store.absolute()
    store.mkdir(parents=True, exist_ok=True)
    warned = False
    # By the lock of the store workers see whether locks hold.
    with hold_if_free(store) as locked, display:
        tasks = (_task(spec, data, store, locked, device) for spec in specs)
        try:
            with closing(engine.run(partial(train_task, stopping=engine.stopping), tasks, queued=1)) as results:
                for index, result in results:
                    for level, text in result.log:
                        logger.log(level, "worker %s: %s", result.worker, text)
                    if not result.locks_hold and not warned:
                        warned = True
                        logger.warning(
                            "a lock on %s does not hold on worker %s: no two commands should train into this folder at "
                            "a time; mount it so that locks work (flock)",
                            store,
                            result.worker,
                        )
                    outcome = _outcome(result, specs[index], store)
                    display.ended(outcome.spec, outcome.run, result.worker)
                    yield outcome
        except EngineError as error:
            raise EngineError(f"{error}; {store} keeps what was trained") from None


def _task(spec: RunSpec, data: DataPlaces, store: Path, locked: bool, device: str) -> Task:
    """The task of a spec, which is in the store from now on: by it a worker sees whether that is the same folder."""
    folder = store / spec.hash
    if not (folder / SPEC).exists():
        folder.mkdir(exist_ok=True)
        write_spec(folder, spec)
    return Task(data.task(spec), spec.hash, str(store), locked, device)


def _outcome(result: TaskResult, spec: RunSpec, store: Path) -> Outcome:
    """The outcome that a worker tells of; raises what ends all of them."""
    by, event = f"worker {result.worker}: ", result.message["event"]
    if event == "interrupted":
        raise KeyboardInterrupt  # Ctrl-C came to that process first
    if event == "died":
        raise RunError(
            f"{by}the process that trained run {spec.hash} ({describe(spec)}) {result.message['text']}, twice; "
            "expected it to live: give workers more memory and then the same command again, "
            f"{store} keeps what was trained"
        )
    seal = store / spec.hash / SEAL
    if event == "not shared" or (event == "finished" and not wait_for_file(seal, SECONDS_TO_APPEAR)):
        what = "does not see what is written here" if event == "not shared" else "wrote what is not seen here"
        raise EngineError(
            f"{by}{what} into {store / spec.hash}; expected a folder for the results that all machines share, under "
            "the same path"
        )
    return outcome_of(result.message, spec, store, by)
