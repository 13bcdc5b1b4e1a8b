"""What a preset trains of some networks, and how long that takes: from times that were measured."""

from collections.abc import Iterable

from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.schedule import SCHEDULES, Preset
from firstlight.training.progress.estimate import STEP_SECONDS, STRIDED
from firstlight.utils.text import counted


def training_seconds(names: Iterable[str], preset: str) -> float:
    """Seconds on two cores for all seeds of those networks that a preset trains."""
    schedule = SCHEDULES[preset]
    seconds = {
        (network.model, tuple(sorted(network.changes.items(), key=str)), training): (
            training.steps * STEP_SECONDS[network.model] * (STRIDED if "stride" in network.changes else 1.0)
        )
        for name in names
        if (training := schedule.trainings.get(name))
        for network in (NETWORKS[name],)
    }
    return len(schedule.seeds) * sum(seconds.values())


def cost_of(names: Iterable[str], preset: Preset) -> str:
    """The same in words."""
    names = [name for name in names if name in SCHEDULES[preset].trainings]
    if not names:
        return "trains nothing"
    seeds = counted(len(SCHEDULES[preset].seeds), "seed")
    what = f"{seeds} of {counted(len(names), 'network')}"
    if preset == "full":
        return f"{what}: for a GPU"
    return f"{what}: {max(1, round(training_seconds(names, preset) / 60))} minutes on 2 CPU cores"
