"""How a reproduction is repeated: its command, and the data, machine and versions of its runs."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.errors import RunError
from firstlight.experiments import EXPERIMENTS, Result
from firstlight.images import SetFacts
from firstlight.training import Run, describe
from firstlight.training.run import SEAL

# What every run tells of its machine, beside what else it may tell.
_TOLD: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("firstlight", "torch", "numpy", "python", "device"), str),
    **{"threads": int, "seconds": (int, float), "images_per_second": (int, float)},
}


def command(names: Sequence[str], preset: str, options: Mapping[str, object]) -> str:
    """The command that repeats a reproduction; all experiments need no name."""
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    listed = [] if list(names) == list(EXPERIMENTS) else names
    return shlex.join(["firstlight", "reproduce", *listed, f"--preset={preset}", *given])


def about_runs(results: Sequence[Result], train: SetFacts) -> dict[str, Any]:
    """The data, and the machine and versions of the runs, which may be older than the analysis."""
    runs = list({run.spec.hash: run for result in results for run in result.runs}.values())

    for run in runs:
        _check(run)

    def every(key: str) -> list:
        return sorted({run.environment[key] for run in runs})

    return {
        "data_fingerprint": train.fingerprint,
        "mean": list(train.mean),
        "std": list(train.std),
        "seeds": sorted({run.spec.seed for run in runs}),
        "precision": sorted({run.spec.precision for run in runs}),
        "device": every("device"),
        "threads": every("threads"),
        "versions": {name: ", ".join(every(name)) for name in ("firstlight", "torch", "numpy", "python")},
        "training_seconds": round(sum(run.environment["seconds"] for run in runs), 1),
        "runs": [
            {
                "hash": run.spec.hash,
                "what": describe(run.spec),
                "steps": run.spec.steps,
                "batch_size": run.spec.batch_size,
                "lr": run.spec.lr,
                "seconds": run.environment["seconds"],
                "images_per_second": run.environment["images_per_second"],
            }
            for run in runs
        ],
    }


def _check(run: Run) -> None:
    """Refuse a run that does not tell what is shown of its machine: nothing else of it is needed to load it."""
    for name, kind in _TOLD.items():
        if not isinstance(run.environment.get(name), kind):
            raise RunError(
                f"{run.path / SEAL} has the {name} {run.environment.get(name)!r}; expected what was noted in training: "
                f"train again, or delete {run.path}"
            )
