"""What is trained on: the data set that was asked for, and those that experiments use beside it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from firstlight.errors import InputError, SourceError
from firstlight.experiments import Experiment
from firstlight.experiments.context import Sets
from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.schedule import SCHEDULES
from firstlight.images import ImageSet, load_images

OFFLINE_DATA = "photos"
BATCH_SIZE, SMALLEST_SIDE = 256, 32  # of the paper's protocol and its networks


def other_data(chosen: Iterable[Experiment], preset: str) -> list[str]:
    """The data sets beside the main one that the networks of these experiments are trained on."""
    trained = SCHEDULES[preset].trainings
    names = (name for experiment in chosen for name in experiment.networks if name in trained)
    return list(dict.fromkeys(data for name in names if (data := NETWORKS[name].changes.get("data"))))


def check_trainable(train_set: ImageSet, test_set: ImageSet) -> None:
    """Refuse before anything is trained what these networks cannot be trained on."""
    name, (height, width) = train_set.name, train_set.size
    for image_set in (train_set, test_set):
        if image_set.labels is None:
            raise InputError(f"data {name!r} has no labels; expected a class for each image, to train on")
    if len(train_set) < BATCH_SIZE or len(train_set.classes) < 2:
        raise InputError(
            f"data {name!r} has {len(train_set)} training images of {len(train_set.classes)} classes; expected at "
            f"least {BATCH_SIZE}, one batch, of 2 classes: give more images"
        )
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"data {name!r} has images of {height} x {width} pixels; expected at least {SMALLEST_SIDE} x "
            f"{SMALLEST_SIDE}, which VGG11 halves five times: pad or enlarge them"
        )


def sets_of(
    data: str | Path | None, data_dir: str | Path | None, others: Sequence[str], console: Console
) -> list[Sets]:
    """The main data set, and the others as far as they can be had."""

    def load(name: str | Path) -> Sets:
        return load_images(name, "train", data_dir=data_dir), load_images(name, "test", data_dir=data_dir)

    def warn(text: str) -> None:
        console.print(text, style="yellow", markup=False, highlight=False)

    try:
        sets = [load(data if data is not None else "cifar10")]
    except SourceError as error:
        if data is not None:
            raise
        warn(str(error))
        warn(f"Going on with {OFFLINE_DATA!r}, which needs no network.")
        sets = [load(OFFLINE_DATA)]
    for name in others:
        try:
            sets.append(load(name))
        except SourceError as error:
            warn(f"Going on without {name!r}: {error}")
    return sets
