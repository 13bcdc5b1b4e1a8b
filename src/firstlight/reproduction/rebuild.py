"""What a folder of results holds, analysed again: nothing is trained, and no image is read.

Such a folder is one that `reproduce` wrote, or a record (see `record`). Both hold `runs/HASH/` (spec,
first-layer weights over the steps, metrics, environment), `measurements/` (small arrays measured on the images), and a
file that says by experiment what was run on what: `reproduction.json` or `record.json`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from firstlight.errors import FirstlightError, InputError, RunError
from firstlight.experiments import Context, Experiment, Result
from firstlight.experiments.context import Facts, Sets
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.results import Reproduction
from firstlight.experiments.schedule import FIRST_VERSION, SCHEDULES
from firstlight.images import SetFacts
from firstlight.reproduction.about import about_runs
from firstlight.reproduction.folder import ABOUT, FORMAT, MEASUREMENTS, RECORD, RUNS
from firstlight.reproduction.reproduction import chosen_experiments, measured_in_turn
from firstlight.training import Run
from firstlight.training.run import SEAL
from firstlight.training.run_files import file_digest
from firstlight.utils.given import json_file
from firstlight.utils.progress_line import Line

KEPT = ("preset", "data", "date", "command")  # of each experiment
_MENDING = {
    RECORD: "restore the record, or use the firstlight that wrote it",
    ABOUT: "give the command again that wrote it",
}


def rebuild(
    folder: Path, experiments: Sequence[str] | str = (), *, command: str, console: Console | None = None
) -> Reproduction:
    """Tables, figures and verdicts of what a folder holds.

    Parameters
    ----------
    folder : Path
        A record, or what `reproduce` wrote.
    experiments : sequence of str
        Their names; empty for all that it holds.
    command : str
        The command that does this, for the report.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Returns
    -------
    Reproduction
        Not written anywhere.

    Raises
    ------
    InputError
        It is no such folder, or lacks an experiment that was asked for.
    RunError
        A file in it is missing or damaged.
    """
    chosen = chosen_experiments(experiments)
    record = read_record(folder)
    entries = record["experiments"]
    if not experiments:
        chosen = [experiment for experiment in chosen if experiment.name in entries]
    for experiment in chosen:
        if experiment.name not in entries:
            raise InputError(f"experiment {experiment.name!r} is not recorded; expected one of {', '.join(entries)}")
    if not chosen:
        raise InputError(f"{folder} holds no experiment that this firstlight knows; expected some of its own results")
    contexts: dict[tuple[str, str], Context] = {}
    found: list[Result] = []
    with Line(console) as line:
        for experiment in measured_in_turn(chosen, line):
            key = entries[experiment.name]["preset"], entries[experiment.name]["data"]
            context = contexts.setdefault(key, context_of(folder, record, *key))
            load_runs(context, folder, experiment, record["runs"])
            found.append(experiment.run(context))
    return Reproduction(folder, tuple(found), _about(record, found, command))


def read_record(folder: Path) -> dict[str, Any]:
    """What a folder holds: experiments with preset, data, date and command, facts of the data sets, failed runs.

    Raises
    ------
    InputError
        It holds no results, or only the pages that show some.
    RunError
        The file that says so is damaged.
    """
    name = next((name for name in (RECORD, ABOUT) if (folder / name).is_file()), None)
    if name is None:
        raise InputError(
            f"{folder} is not a record; expected a folder with {RECORD}, or with {ABOUT} as `firstlight reproduce` "
            "writes it"
        )
    path = folder / name
    try:
        found = json_file(path)
        version = found.get("format", 1)
        if version not in (1, FORMAT):
            raise RunError(f"{path} has format {version!r}; expected {FORMAT}: {_MENDING[name]}")
        if name == ABOUT and "recorded" in found:
            raise InputError(
                f"{folder} shows recorded results but holds no runs; expected the folder of a reproduction"
            )
        record = found if name == RECORD else _as_record(found)
        return _checked(_of_first_version(record, folder) if version == 1 else record, folder)
    except FirstlightError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{path} cannot be read ({error!r}): {_MENDING[name]}") from None


def _as_record(about: dict[str, Any]) -> dict[str, Any]:
    experiments = {name: {key: about[key] for key in KEPT} for name in about["experiments"]}
    runs = {run["hash"]: None for run in about["runs"]}
    return {"experiments": experiments, "sets": about["sets"], "failures": about["failures"], "runs": runs}


def _of_first_version(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record with the schedules of that time: all that it holds, judged by the criteria of today."""
    experiments = {
        name: {**entry, "preset": f"{entry['preset']}{FIRST_VERSION}"} for name, entry in record["experiments"].items()
    }
    runs = {path.name: None for path in (folder / RUNS).glob("*") if (path / SEAL).is_file()}
    return {**record, "experiments": experiments, "runs": runs}


def _checked(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record, if it is one throughout."""
    for train, test in record["sets"].values():
        SetFacts.from_dict(train)
        SetFacts.from_dict(test)
    for name, entry in record["experiments"].items():
        for key, known in (("preset", SCHEDULES), ("data", record["sets"])):
            if entry[key] not in known:
                raise ValueError(f"the {key} of {name} is {entry[key]!r}")
        date.fromisoformat(entry["date"])
    dict(record["failures"])
    for name, seal in record["runs"].items():
        path = folder / RUNS / name / SEAL
        if seal is not None and (not path.is_file() or file_digest(path) != seal):
            raise RunError(f"run {name} of {folder} is not the one that was recorded; expected {SEAL} of hash {seal}")
    return record


def context_of(
    folder: Path, record: dict[str, Any], preset: str, data: str, load: Callable[[str], Sets] | None = None
) -> Context:
    """What the experiments of one preset and data set may ask for; no run is loaded yet.

    Without `load`, which gives the images of a named data set, measurements that the folder lacks are an error.
    """
    facts: dict[str, Facts] = {
        name: (SetFacts.from_dict(train), SetFacts.from_dict(test)) for name, (train, test) in record["sets"].items()
    }

    def lacking(name: str) -> NoReturn:
        raise RunError(f"the record lacks a measurement on {name!r}")

    measurements = Measurements(folder / MEASUREMENTS, recorded=load is None)
    return Context(preset, data, facts, load or lacking, measurements, {}, record["failures"])


def load_runs(context: Context, folder: Path, experiment: Experiment, recorded: Iterable[str]) -> None:
    """Load the runs that an experiment needs, of those that are recorded."""
    for spec in experiment.plan(context):
        if spec.hash in recorded and spec.hash not in context.finished:
            context.finished[spec.hash] = Run.load(folder / RUNS / spec.hash)


def _about(record: dict[str, Any], results: Sequence[Result], command: str) -> dict[str, Any]:
    entries = {result.experiment: record["experiments"][result.experiment] for result in results}
    # What is said of the whole is said of runs; of an experiment that keeps none, its own page says it.
    with_runs = [entries[result.experiment] for result in results if result.runs] or list(entries.values())
    first = with_runs[0]
    train = SetFacts.from_dict(record["sets"][first["data"]][0])

    def every(key: str) -> str:
        return ", ".join(dict.fromkeys(entry[key] for entry in with_runs))

    return {
        "command": command,
        "preset": every("preset"),
        "data": every("data"),
        "date": max(entry["date"] for entry in with_runs),
        **about_runs(results, train),
        "recorded": entries,
        "first_version": any(entry["preset"].endswith(FIRST_VERSION) for entry in entries.values()),
    }
