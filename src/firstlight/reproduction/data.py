"""What is trained on: the data set that was asked for, and those that experiments use beside it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from firstlight.errors import InputError, SourceError
from firstlight.experiments import Experiment
from firstlight.experiments.context import Sets
from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.schedule import SCHEDULES
from firstlight.images import ImageSet, load_splits
from firstlight.images.named_sets import NAMES
from firstlight.training import RunSpec
from firstlight.training.prepare import chosen_images
from firstlight.utils.text import counted

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
            f"data {name!r} has {counted(len(train_set), 'training image')} of "
            f"{counted(len(train_set.classes), 'class', 'classes')}; expected at least {BATCH_SIZE}, one batch, of 2 "
            "classes: give more images"
        )
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"data {name!r} has images of {height} x {width} pixels; expected at least {SMALLEST_SIDE} x "
            f"{SMALLEST_SIDE}, which VGG11 halves five times: pad or enlarge them"
        )


def too_few(specs: Iterable[RunSpec], sets: Mapping[str, Sets]) -> dict[str, str]:
    """Why specs that keep some classes cannot be trained, by hash: too few images have these."""
    found = {}
    for spec in specs:
        if spec.only is not None:
            try:
                chosen_images(spec, *sets[spec.data])
            except InputError as error:
                found[spec.hash] = str(error)
    return found


def sets_of(
    data: str | Path | None, data_dir: str | Path | None, others: Sequence[str], console: Console
) -> list[Sets]:
    """The main data set, and the others as far as they can be had."""

    def warn(text: str) -> None:
        console.print(text, style="yellow", markup=False, highlight=False)

    try:
        sets = [load_splits(data if data is not None else "cifar10", data_dir)]
    except SourceError as error:
        if data is not None:
            raise
        warn(str(error))
        warn(f"Going on with {OFFLINE_DATA!r}, which needs no network.")
        sets = [load_splits(OFFLINE_DATA)]
    if sets[0][0].name not in NAMES:
        console.print(_described(*sets[0]), markup=False, highlight=False, soft_wrap=True)
    for name in others:
        if name == sets[0][0].name:
            continue
        try:
            sets.append(load_splits(name, data_dir))
        except SourceError as error:
            warn(f"Going on without {name!r}: {error}")
    return sets


def _described(train_set: ImageSet, test_set: ImageSet) -> str:
    """How many images a user's own set has, and how they are normalised."""
    height, width = train_set.size
    mean, std = (" ".join(f"{value:.4f}" for value in values) for values in (train_set.mean, train_set.std))
    return (
        f"{train_set.name}: {len(train_set):,} train and {len(test_set):,} test images of {train_set.channels} x "
        f"{height} x {width} in {len(train_set.classes)} classes, normalised by the mean {mean} and the standard "
        f"deviation {std} of the train images"
    )
