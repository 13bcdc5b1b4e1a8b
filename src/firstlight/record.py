"""Recorded results: the small files of real reproductions, from which every table, figure and verdict is rebuilt.

A record is a folder with `record.json` (what was run: preset, data, command, date, by experiment), `runs/HASH/` (spec,
first-layer weights over the steps, metrics, environment) and `measurements/` (small arrays measured on the images).
`python -m firstlight.record OUT RESULTS README DOCS`, which `make record` calls, adds a reproduction to one.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from firstlight.errors import FirstlightError, InputError, RunError
from firstlight.experiments import EXPERIMENTS, Context, Result
from firstlight.experiments.context import Facts
from firstlight.experiments.measurements import Measurements
from firstlight.files import PARTIAL, write_text
from firstlight.images import SetFacts
from firstlight.report.claims_pages import BEGIN, END, claims_table_markdown, reproducibility_page
from firstlight.reproduction import (
    ABOUT,
    MEASUREMENTS,
    RUNS,
    Reproduction,
    about_runs,
    chosen_experiments,
    run_experiments,
)
from firstlight.training import Run
from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC

FORMAT = 1
RECORD = "record.json"
KEPT = ("preset", "data", "date", "command")


def recorded_results() -> Path:
    """The record that comes with firstlight: in its source tree, or inside the installed package.

    Raises
    ------
    InputError
        There is none.
    """
    package = Path(__file__).parent
    for folder in (package / "results", package.parents[1] / "results"):
        if (folder / RECORD).is_file():
            return folder
    expected = package.parents[1] / "results" / RECORD
    raise InputError(f"no recorded results here: expected {expected}; clone the repository")


def recorded(
    experiments: Sequence[str] | str = (), *, results: str | Path | None = None, console: Console | None = None
) -> Reproduction:
    """Rebuild tables, figures and verdicts from recorded results, without training anything and without images.

    Parameters
    ----------
    experiments : sequence of str
        Their names; empty for all that are recorded.
    results : str or Path, optional
        The record; the one that comes with firstlight by default.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Returns
    -------
    Reproduction
        Not written anywhere yet: `firstlight.reproduction.write_reproduction` does that.

    Raises
    ------
    InputError
        There is no such record, or it lacks an experiment that was asked for.
    RunError
        A file of the record is missing or damaged.
    """
    chosen = chosen_experiments(experiments)
    folder = Path(results) if results is not None else recorded_results()
    record = _read(folder)
    entries = record["experiments"]
    if not experiments:
        chosen = [experiment for experiment in chosen if experiment.name in entries]
    for experiment in chosen:
        if experiment.name not in entries:
            raise InputError(f"experiment {experiment.name!r} is not recorded; expected one of {', '.join(entries)}")
    contexts: dict[tuple[str, str], Context] = {}
    found: list[Result] = []
    console = console or Console(stderr=True)
    for experiment in chosen:
        key = entries[experiment.name]["preset"], entries[experiment.name]["data"]
        context = contexts.setdefault(key, _context(folder, record, *key))
        _load_runs(context, folder, [spec.hash for spec in experiment.plan(context)])
        found += run_experiments([experiment], context, console)
    return Reproduction(folder, tuple(found), _about(record, found))


def _context(folder: Path, record: dict[str, Any], preset: str, data: str) -> Context:
    facts: dict[str, Facts] = {
        name: (SetFacts.from_dict(train), SetFacts.from_dict(test)) for name, (train, test) in record["sets"].items()
    }

    def load(name: str) -> NoReturn:
        raise RunError(f"the record lacks a measurement on {name!r}")

    measurements = Measurements(folder / MEASUREMENTS, recorded=True)
    return Context(preset, data, facts, load, measurements, {}, record["failures"])


def _load_runs(context: Context, folder: Path, hashes: Sequence[str]) -> None:
    for key in hashes:
        if key not in context.finished and key not in context.failures:
            context.finished[key] = Run.load(folder / RUNS / key)


def _about(record: dict[str, Any], results: Sequence[Result]) -> dict[str, Any]:
    entries = {result.experiment: record["experiments"][result.experiment] for result in results}
    first = next(iter(entries.values()))
    train = SetFacts.from_dict(record["sets"][first["data"]][0])

    def every(key: str) -> str:
        return ", ".join(dict.fromkeys(entry[key] for entry in entries.values()))

    return {
        "command": "firstlight reproduce --recorded",
        "preset": every("preset"),
        "data": every("data"),
        "date": max(entry["date"] for entry in entries.values()),
        **about_runs(results, train),
        "recorded": entries,
    }


def _read(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    try:
        record = json.loads(path.read_bytes())
        version = record["format"]
    except FileNotFoundError:
        raise InputError(f"{folder} is not a record; expected a folder with {RECORD}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error}): restore the record") from None
    if version != FORMAT:
        raise RunError(f"{path} has format {version!r}; expected {FORMAT}: use the firstlight that wrote it")
    return record


def add_to_record(out: Path, folder: Path) -> None:
    """Add what a reproduction found to a record, in place of what the record held of the same experiments.

    Runs and measurements that no experiment uses any more are left out. A crash leaves the old record or the new one.

    Parameters
    ----------
    out : Path
        What `reproduce` wrote.
    folder : Path
        The record; made if need be.
    """
    if folder.exists() and not (folder / RECORD).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} is not a record; expected a new folder, or one that was recorded before")
    about = json.loads((out / ABOUT).read_text())
    empty: dict[str, Any] = {"format": FORMAT, "experiments": {}, "sets": {}, "failures": {}}
    record = _read(folder) if (folder / RECORD).is_file() else empty
    record["experiments"] |= {name: {key: about[key] for key in KEPT} for name in about["experiments"]}
    record["sets"] |= about["sets"]
    record["failures"] |= about["failures"]
    for run in about["runs"]:
        record["failures"].pop(run["hash"], None)
    new = folder.with_name(PARTIAL + folder.name)
    shutil.rmtree(new, ignore_errors=True)
    sources = [out, folder]
    for entry in EXPERIMENTS.values():
        if entry.name in record["experiments"]:
            _copy_runs(entry.name, record, sources, new)
    (new / MEASUREMENTS).mkdir(parents=True, exist_ok=True)
    for source in reversed(sources):  # so that those of the new reproduction win
        for path in (source / MEASUREMENTS).glob("*.npz"):
            shutil.copyfile(path, new / MEASUREMENTS / path.name)
    write_text(new / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    _drop_unused_measurements(new)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _copy_runs(experiment: str, record: dict[str, Any], sources: Sequence[Path], new: Path) -> None:
    entry = record["experiments"][experiment]
    context = _context(new, record, entry["preset"], entry["data"])
    for spec in EXPERIMENTS[experiment].plan(context):
        target = new / RUNS / spec.hash
        if target.exists() or spec.hash in record["failures"]:
            continue
        source = next((path / RUNS / spec.hash for path in sources if (path / RUNS / spec.hash).is_dir()), None)
        if source is None:
            where = ", ".join(map(str, sources))
            raise RunError(f"{experiment} needs the run {spec.hash}, which is in none of {where}")
        Run.load(source)  # whole and undamaged
        target.mkdir(parents=True)
        for name in (SPEC, FILTERS, METRICS, SEAL):
            shutil.copyfile(source / name, target / name)


def _drop_unused_measurements(folder: Path) -> None:
    used: set[str] = set()
    record = _read(folder)
    for name, entry in record["experiments"].items():
        context = _context(folder, record, entry["preset"], entry["data"])
        _load_runs(context, folder, [spec.hash for spec in EXPERIMENTS[name].plan(context)])
        EXPERIMENTS[name].run(context)
        used |= context.measurements.used
    for path in (folder / MEASUREMENTS).iterdir():
        if path.name not in used:
            path.unlink()


def show(folder: Path, readme: Path, docs: Path) -> None:
    """Write the pages that show a record: its claims between the README's markers, and `docs/reproducibility.md`."""
    reproduction = recorded(results=folder)
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    write_text(readme, f"{before}{BEGIN}\n{claims_table_markdown(reproduction)}{END}{after}")
    write_text(docs / "reproducibility.md", reproducibility_page(reproduction))
    # The figures that the pages show; tables, page and verdicts are rebuilt by `reproduce --recorded`.
    shown = docs / "figures"
    shutil.rmtree(shown, ignore_errors=True)
    for result in reproduction.results:
        for name, entry in result.figures.items():
            write_text(shown / f"{result.experiment}_{name}.svg", entry.svg)


if __name__ == "__main__":
    try:
        add_to_record(Path(sys.argv[1]), Path(sys.argv[2]))
        show(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    except FirstlightError as error:
        sys.exit(f"record: error: {error}")
