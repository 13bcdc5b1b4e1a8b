"""Keep the small files of a real reproduction: `make record` calls `python -m tools.record OUT RESULTS README DOCS`."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError, InputError, RunError
from firstlight.experiments import EXPERIMENTS
from firstlight.report.claims_pages import BEGIN, END, readme_block, reproducibility_page
from firstlight.reproduction.folder import ABOUT, FORMAT, MEASUREMENTS, RECORD, RUNS
from firstlight.reproduction.rebuild import KEPT, context_of, load_runs, read_record
from firstlight.reproduction.record import recorded
from firstlight.training import Run
from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC
from firstlight.utils.whole_files import PARTIAL, write_text
from tools.pictures import write_pictures


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
    record = read_record(folder) if (folder / RECORD).is_file() else empty
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
    context = context_of(new, record, entry["preset"], entry["data"])
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
    record = read_record(folder)
    for name, entry in record["experiments"].items():
        context = context_of(folder, record, entry["preset"], entry["data"])
        load_runs(context, folder, EXPERIMENTS[name])
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
    write_text(readme, f"{before}{BEGIN}\n{readme_block(reproduction)}{END}{after}")
    write_text(docs / "reproducibility.md", reproducibility_page(reproduction))
    write_pictures(reproduction, docs / "figures")


if __name__ == "__main__":
    try:
        add_to_record(Path(sys.argv[1]), Path(sys.argv[2]))
        show(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    except FirstlightError as error:
        sys.exit(f"record: error: {error}")
