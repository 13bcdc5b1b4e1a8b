"""`train`: from a spec to a finished run on disk, through interruptions, failures and other processes."""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firstlight.errors import RunError
from firstlight.training.checkpoint import CHECKPOINT, Checkpoint
from firstlight.training.failure import FAILED, diverged, stored_failure
from firstlight.training.image_checks import check_images
from firstlight.training.progress.state import Progress
from firstlight.training.run import SEAL, SPEC, Run, read_spec, write_run, write_spec
from firstlight.training.run_files import write_json
from firstlight.training.spec import RunSpec
from firstlight.utils.locks import hold_in_turn
from firstlight.utils.partials import remove_partials
from firstlight.utils.text import plural

if TYPE_CHECKING:
    from firstlight.images import ImageSet
    from firstlight.training.prepared import Preparation
    from firstlight.training.trainer import Trainer
    from firstlight.training.turns import Turn, Turns

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 10.0


def train(
    spec: RunSpec,
    train_set: "ImageSet",
    test_set: "ImageSet",
    store: Path | str,
    *,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a network, or return the run at once where the store holds it.

    A training that was killed goes on from its last checkpoint, at most some ten seconds back, and ends in
    the same bytes as one that was never interrupted, on the same device and with the same number of threads
    (which it sets). Only one process trains a run: others wait for it, and then return what it made. Global
    settings and random generators of torch are left as they were. What goes otherwise than asked (a damaged
    checkpoint, a damaged run) is told to the logger "firstlight", and the training starts over.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    train_set, test_set : ImageSet
        uint8 or float images and their labels; the training set is the one that the spec
        names.
    store : str or Path
        Folder of runs; this one goes into the folder `spec.hash` in it.
    device : str
        `"auto"` (a GPU where there is one), `"cpu"`, `"cuda"` or `"cuda:N"`.
    on_progress : callable, optional
        Called before the first step, after every step on a CPU, and every few steps on a GPU.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        The images are not those of the spec, too few, without labels or without a class that it keeps; or there is no
        such device.
    RunError
        The training diverged, now or in an earlier call.

    Examples
    --------
    >>> import tempfile
    >>> import firstlight as fl
    >>> images, tests = fl.load_images("photos").subset(64), fl.load_images("photos", "test")
    >>> spec = fl.RunSpec.for_data("vgg5", images, tests, steps=2, seed=0, batch_size=32, test_images=20)
    >>> with tempfile.TemporaryDirectory() as store:  # doctest: +SKIP
    ...     run = fl.train(spec, images, tests, store, device="cpu")
    >>> run.filters.shape  # doctest: +SKIP
    (3, 64, 3, 3, 3)
    """
    check_images(spec, train_set, test_set)
    with suppress(RunError):
        run = Run.load(Path(store) / spec.hash)
        logger.debug("%s is trained already", run.path)
        return run
    from firstlight.training.machine import choose_device
    from firstlight.training.prepared import Preparation

    preparation = Preparation(choose_device(device))
    return train_prepared(spec, train_set, test_set, store, preparation, on_progress or _ignore)


def train_prepared(
    spec: RunSpec,
    train_set: "ImageSet",
    test_set: "ImageSet",
    store: Path | str,
    preparation: "Preparation",
    on_progress: Callable[[Progress], None],
) -> Run:
    """`train`, on the device of a preparation, which keeps the images for the next."""
    import torch

    from firstlight.training.machine import reproducible
    from firstlight.training.turns import to_the_end

    with reproducible(preparation.device), preparation.lane.current():
        turns = training(spec, train_set, test_set, store, preparation, torch.get_num_threads())
        return to_the_end(turns, on_progress)


def training(
    spec: RunSpec,
    train_set: "ImageSet",
    test_set: "ImageSet",
    store: Path | str,
    preparation: "Preparation",
    threads: int,
) -> "Turns":
    """`train`, in turns: within `reproducible`, and on a GPU on a stream other than the default one.

    Others may have turns between, even such as change the number of threads.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    train_set, test_set : ImageSet
        As in `train`.
    store : str or Path
        Folder of runs.
    preparation : Preparation
        For the device to train on.
    threads : int
        CPU threads of a training that begins; one that goes on keeps its number.
    """
    check_images(spec, train_set, test_set)
    from firstlight.training.prepare import chosen_images
    from firstlight.training.turns import Turn

    # Bad input is refused before anything is written.
    chosen_images(spec, train_set, test_set)
    folder = Path(store) / spec.hash
    folder.mkdir(parents=True, exist_ok=True)
    with hold_in_turn(folder, "trains", logger.info) as attempts:
        for _ in attempts:
            yield Turn.WAITS
        # Again: another process may have trained it while this one waited.
        if run := _finished(folder):
            return run
        _note_spec(folder, spec)
        if error := _failure(folder, spec):
            raise error
        remove_partials(folder)
        # Of a damaged run, if it is there: without its seal a run is unfinished.
        (folder / SEAL).unlink(missing_ok=True)
        yield from _train(spec, train_set, test_set, folder, preparation, threads)
        return Run.load(folder)


def _train(
    spec: RunSpec,
    train_set: "ImageSet",
    test_set: "ImageSet",
    folder: Path,
    preparation: "Preparation",
    threads: int,
) -> "Generator[Turn | Progress, None, None]":
    from firstlight.training.machine import describe_device, describe_environment, use_threads
    from firstlight.training.trainer import Diverged, Trainer

    device = preparation.device
    checkpoint = _checkpoint(folder, spec, describe_device(device))
    threads = checkpoint.threads if checkpoint else threads
    use_threads(threads)
    trainer = Trainer(spec, preparation(spec, train_set, test_set), threads)
    what = f"{spec.model} on {spec.data}, seed {spec.seed}, {spec.steps} {plural(spec.steps, 'step')}"
    logger.debug("%s: trains %s, on %s with %d threads", folder, what, describe_device(device), threads)
    if checkpoint:
        trainer.resume(checkpoint)
        logger.info("%s goes on at step %d of %d", folder, trainer.step, spec.steps)
    try:
        for turn in trainer.run(_Saver(folder)):
            yield turn
            use_threads(threads)
    except Diverged as error:
        failed = {"hash": spec.hash, "step": error.step, "last_finite_loss": error.last_loss}
        write_json(folder / FAILED, failed)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        raise diverged(failed, folder, spec) from None
    seconds = trainer.seconds
    environment = {
        "hash": spec.hash,
        **describe_environment(),
        "device": describe_device(device),
        "threads": threads,
        "started": trainer.started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "images_per_second": round(spec.steps * spec.batch_size / seconds, 1),
        "resumed": trainer.resumed,
    }
    write_run(folder, spec, np.stack(trainer.filters), trainer.rows, environment)
    (folder / CHECKPOINT).unlink(missing_ok=True)


class _Saver:
    """Writes a checkpoint whenever the last one is old enough."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = time.monotonic()

    def __call__(self, trainer: "Trainer") -> None:
        if trainer.step < trainer.spec.steps and time.monotonic() - self._last >= CHECKPOINT_SECONDS:
            trainer.checkpoint().save(self._folder, trainer.spec)
            self._last = time.monotonic()


def _ignore(progress: Progress) -> None:
    """Stand in for a caller who does not ask how far the training is."""


def _finished(folder: Path) -> Run | None:
    """The finished run of a folder; None where there is none, or only a damaged one."""
    if not (folder / SEAL).exists():
        return None
    try:
        return Run.load(folder)
    except RunError as error:
        logger.warning("a finished run is not used and trained again: %s", error)
        return None


def _note_spec(folder: Path, spec: RunSpec) -> None:
    """Write down what is trained, for whoever finds the run unfinished."""
    if (folder / SPEC).exists():
        try:
            if read_spec(folder / SPEC) == spec:
                return
            problem = f"{folder / SPEC} is that of another run"
        except RunError as error:
            problem = str(error)
        logger.warning("%s is written again: %s", SPEC, problem)
    write_spec(folder, spec)


def _checkpoint(folder: Path, spec: RunSpec, machine: str) -> Checkpoint | None:
    """The checkpoint to go on from; None where there is none, or none that leads to the same bits."""
    try:
        checkpoint = Checkpoint.load(folder, spec)
    except RunError as error:
        logger.warning("the training starts over: %s", error)
        return None
    if checkpoint and checkpoint.machine != machine:
        logger.warning(
            "the training starts over: %s was written on %s, whose arithmetic rounds otherwise than %s",
            folder / CHECKPOINT,
            checkpoint.machine,
            machine,
        )
        return None
    return checkpoint


def _failure(folder: Path, spec: RunSpec) -> RunError | None:
    """What an earlier training failed of; None where none failed."""
    try:
        failed = stored_failure(folder)
    except RunError as error:
        logger.warning("the training is tried again: %s", error)
        (folder / FAILED).unlink(missing_ok=True)
        return None
    return diverged(failed, folder, spec) if failed else None
