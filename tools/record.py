"""Keep the small files of real trainings, and show what they say in README and docs.

`make record` calls `python -m tools.record OUT RESULTS README DOCS` for what `firstlight reproduce` wrote. Runs that
were trained elsewhere are recorded by `python -m tools.record --runs FOLDER --preset full --data cifar10
--date 2026-11-27 RESULTS README DOCS`.
"""

import argparse
import dataclasses
import datetime
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError, InputError
from firstlight.experiments import EXPERIMENTS, Context
from firstlight.experiments.context import Sets
from firstlight.experiments.schedule import FIRST_VERSION
from firstlight.images import SetFacts, load_images
from firstlight.report.claims_pages import BEGIN, END, readme_block
from firstlight.reproduction.folder import FORMAT, MEASUREMENTS, RECORD, RUNS
from firstlight.reproduction.rebuild import context_of, load_runs, read_record
from firstlight.reproduction.record import recorded
from firstlight.reproduction.reproduction import PRESETS
from firstlight.training import Run
from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC
from firstlight.training.run_files import file_digest
from firstlight.utils.partials import PARTIAL
from firstlight.utils.whole_files import write_text
from tools.claim_pages import write_claim_pages
from tools.pictures import write_pictures

FILES = (SPEC, FILTERS, METRICS, SEAL)


def add_to_record(out: Path, folder: Path) -> None:
    """Add what a reproduction found to a record, in place of what the record held of the same experiments.

    Runs and measurements that no experiment uses any more are left out, and planned runs that are nowhere are missing
    from it. A crash leaves the old record or the new one.

    Parameters
    ----------
    out : Path
        What `reproduce` wrote.
    folder : Path
        The record; made if need be.

    Raises
    ------
    InputError
        A folder is not what it should be, or both have another run of the same spec or another data set of one name.
    RunError
        A run is damaged or unfinished.
    """
    record, found = _opened(folder), read_record(out)
    if any(entry["preset"].endswith(FIRST_VERSION) for entry in found["experiments"].values()):
        raise InputError(f"{out} is of the first version of the criteria; expected what this firstlight trained")
    for name, facts in found["sets"].items():
        if record["sets"].setdefault(name, facts) != facts:
            raise InputError(
                f"data {name!r} of {out} is another than that of {folder}; expected one: name it otherwise"
            )
    record["experiments"] |= found["experiments"]
    record["failures"] |= found["failures"]
    for name in found["runs"]:
        record["failures"].pop(name, None)
    _replace(folder, record, [out / RUNS, folder / RUNS], [folder / MEASUREMENTS, out / MEASUREMENTS])


def add_runs(
    runs: Path, folder: Path, preset: str, data: str, date: str, load: Callable[[str], Sets] | None = None
) -> list[str]:
    """Record runs that were trained elsewhere, as what a preset trains on a data set for all experiments.

    Measurements that the record lacks are made on the images.

    Parameters
    ----------
    runs : Path
        Folder of finished runs; every one of them is checked.
    folder : Path
        The record; made if need be. It keeps its own runs as far as the preset trains them, too.
    preset, data, date : str
    load : callable, optional
        The images of a named data set, train and test.

    Returns
    -------
    list of str
        The runs that the preset does not train, and which are therefore left out.

    Raises
    ------
    InputError, RunError
        As `add_to_record`; the preset is unknown, or there are no runs.
    """
    load = load or _images
    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    names = [Run.load(path).spec.hash for path in sorted(runs.glob("*")) if path.is_dir()]
    if not names:
        raise InputError(f"{runs} holds no runs; expected a folder of them, each named by the hash of its spec")
    record = _opened(folder)
    if data not in record["sets"]:
        record["sets"][data] = [dataclasses.asdict(SetFacts.of(images)) for images in load(data)]
    command = f"firstlight reproduce --preset={preset} --data={data}"
    record["experiments"] = {
        name: {"preset": preset, "data": data, "date": date, "command": command} for name in EXPERIMENTS
    }
    record["failures"] = {}
    _replace(folder, record, [runs, folder / RUNS], [folder / MEASUREMENTS], load)
    return [name for name in names if not (folder / RUNS / name).is_dir()]


def _images(name: str) -> Sets:
    return load_images(name, "train"), load_images(name, "test")


def _opened(folder: Path) -> dict[str, Any]:
    """The record of a folder, or an empty one; what was interrupted while it was replaced is put back."""
    old = _beside(folder, "old")
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    if (folder / RECORD).is_file():
        return read_record(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not a record; expected a new folder, or one that was recorded before")
    return {"experiments": {}, "sets": {}, "failures": {}}


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{PARTIAL}{what}-{folder.name}")


def _replace(
    folder: Path,
    record: dict[str, Any],
    runs: Sequence[Path],
    measurements: Sequence[Path],
    load: Callable[[str], Sets] | None = None,
) -> None:
    """Put a new record in the place of the old one, once it is whole; of measurements the last folder's win."""
    new, old = _beside(folder, "new"), _beside(folder, "old")
    shutil.rmtree(new, ignore_errors=True)
    try:
        _fill(new, record, runs, measurements, load)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _fill(
    new: Path,
    record: dict[str, Any],
    runs: Sequence[Path],
    measurements: Sequence[Path],
    load: Callable[[str], Sets] | None,
) -> None:
    for name in (RUNS, MEASUREMENTS):
        (new / name).mkdir(parents=True)
    for path in (path for source in measurements for path in sorted(source.glob("*.npz"))):
        shutil.copyfile(path, new / MEASUREMENTS / path.name)
    contexts: dict[tuple[str, str], Context] = {}
    kept: dict[str, str] = {}
    used: set[str] = set()
    for name, entry in record["experiments"].items():
        key = entry["preset"], entry["data"]
        context = contexts.setdefault(key, context_of(new, record, *key, load=load))
        planned = {spec.hash for spec in EXPERIMENTS[name].plan(context)} - record["failures"].keys()
        kept |= {run: _copy_run(run, runs, new) for run in planned - kept.keys() if _places(run, runs)}
        load_runs(context, new, EXPERIMENTS[name], kept)
        EXPERIMENTS[name].run(context)
        used |= context.measurements.used
    for path in (new / MEASUREMENTS).iterdir():
        if path.name not in used:
            path.unlink()
    texts = {**record, "format": FORMAT, "runs": dict(sorted(kept.items()))}
    write_text(new / RECORD, json.dumps(texts, indent=2, ensure_ascii=False) + "\n")
    read_record(new)  # it is one


def _places(name: str, stores: Sequence[Path]) -> list[Path]:
    return [store / name for store in stores if (store / name).is_dir()]


def _copy_run(name: str, stores: Sequence[Path], new: Path) -> str:
    """Copy a run into a new record, once it is known to be whole and the only one of its spec; its seal's digest."""
    source, *others = _places(name, stores)
    Run.load(source)
    for other in others:
        if file_digest(other / SEAL) != file_digest(source / SEAL):
            raise InputError(
                f"run {name} of {source.parent} is another than that of {other.parent}; expected one record of a spec: "
                "delete one of them"
            )
    target = new / RUNS / name
    target.mkdir()
    for file in FILES:
        shutil.copyfile(source / file, target / file)
    return file_digest(target / SEAL)


def show(folder: Path, readme: Path, docs: Path) -> None:
    """Show a record: its claims between the README's markers, the docs' pages of claims, and the pictures."""
    reproduction = recorded(results=folder)
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    write_text(readme, f"{before}{BEGIN}\n{readme_block(reproduction)}{END}{after}")
    write_claim_pages(reproduction, docs)
    write_pictures(reproduction, docs / "figures")


def _day(text: str) -> str:
    return datetime.date.fromisoformat(text).isoformat()


def main(arguments: Sequence[str]) -> None:
    """Record and show, as the module's text says."""
    parser = argparse.ArgumentParser(prog="python -m tools.record", allow_abbrev=False)
    parser.add_argument("--runs", type=Path, help="record these runs, and not a reproduction in OUT")
    parser.add_argument("--preset", default="full")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--date", type=_day, help="YYYY-MM-DD, when the runs were trained")
    parser.add_argument("paths", type=Path, nargs="+", metavar="[OUT] RESULTS README DOCS")
    given = parser.parse_args(arguments)
    if len(given.paths) != (4 if given.runs is None else 3) or (given.runs is None) != (given.date is None):
        parser.error("expected OUT RESULTS README DOCS, or --runs FOLDER --date DATE RESULTS README DOCS")
    *out, results, readme, docs = given.paths
    if given.runs is None:
        add_to_record(out[0], results)
    else:
        for name in add_runs(given.runs, results, given.preset, given.data, given.date):
            print(f"record: run {name} is left out: the preset {given.preset} does not train it")
    show(results, readme, docs)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FirstlightError as error:
        print(f"record: error: {error}", file=sys.stderr)
        sys.exit(2)
