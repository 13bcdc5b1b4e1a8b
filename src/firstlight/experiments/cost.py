"""What a preset trains of some networks, and how long that takes: from times that were measured."""

from collections.abc import Iterable

from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.schedule import SCHEDULES, Preset
from firstlight.training.progress.estimate import STEP_SECONDS, STRIDED
from firstlight.utils.text import counted

GPU_STEPS = 500  # a second: the 54 recorded runs, 327,600 steps, took 11 minutes


def training_seconds(names: Iterable[str], preset: str) -> float:
    """Seconds on two cores for all seeds of those networks that a preset trains."""
    schedule = SCHEDULES[preset]
    seconds = {
        (network.model, tuple(sorted(network.changes.items(), key=str)), training): (
            len(training.seeds or schedule.seeds)
            * training.steps
            * (training.batch_size / 256)
            * STEP_SECONDS[network.model]
            * (STRIDED if "stride" in network.changes else 1.0)
        )
        for name in names
        if (training := schedule.trainings.get(name))
        for network in (NETWORKS[name],)
    }
    return sum(seconds.values())


def cost_of(names: Iterable[str], preset: Preset) -> str:
    """The same in words."""
    names = [name for name in names if name in SCHEDULES[preset].trainings]
    if not names:
        return "trains nothing"
    schedule = SCHEDULES[preset]
    trainings = [schedule.trainings[name] for name in names]
    each = [len(training.seeds or schedule.seeds) for training in trainings]
    what = f"{counted(max(each), 'seed')} of {counted(len(names), 'network')}"
    if preset == "full":
        steps = sum(count * training.steps for count, training in zip(each, trainings, strict=True))
        return f"{what}: {minutes(steps / GPU_STEPS)} of an H200 with --jobs 13"
    return f"{what}: {minutes(training_seconds(names, preset))} on 2 CPU cores"


def minutes(seconds: float) -> str:
    """A time in whole minutes, at least one."""
    return counted(max(1, round(seconds / 60)), "minute")
