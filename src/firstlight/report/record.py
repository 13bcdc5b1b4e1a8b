"""Record a reproduction: keep its small files. `python -m firstlight.report.record OUT FOLDER`."""

import json
import shutil
import sys
from pathlib import Path

from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC, Run

KEPT = ("claims.json", "claims.md", "reproduction.json")


def record(out: Path, folder: Path) -> None:
    """Copy what a reproduction found and the runs that it rests on, checked, in place of an older record.

    Parameters
    ----------
    out : Path
        What `reproduce` wrote.
    folder : Path
        The record: claims, how to repeat it, and `runs/HASH/` with spec, first-layer weights, metrics and seal.
    """
    about = json.loads((out / "reproduction.json").read_text())
    runs = [Run.load(out / "runs" / run["hash"]).path for run in about["runs"]]
    shutil.rmtree(folder, ignore_errors=True)
    for run in runs:
        target = folder / "runs" / run.name
        target.mkdir(parents=True)
        for name in (SPEC, FILTERS, METRICS, SEAL):
            shutil.copyfile(run / name, target / name)
    for name in KEPT:
        shutil.copyfile(out / name, folder / name)
    figures = folder / "figures"
    figures.mkdir()
    for path in sorted((out / "figures").glob("*.png")):
        shutil.copyfile(path, figures / path.name)


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
