"""Record a reproduction: keep its small files, and show its claims in the README.

`python -m firstlight.report.record OUT FOLDER [README]`, which `make record` calls.
"""

import json
import shutil
import sys
from pathlib import Path

from firstlight.errors import InputError
from firstlight.files import PARTIAL, write_text
from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC, Run

KEPT = ("claims.json", "claims.md", "reproduction.json")
BEGIN, END = "<!-- recorded claims: begin -->", "<!-- recorded claims: end -->"


def record(out: Path, folder: Path) -> None:
    """Copy what a reproduction found and the runs that it rests on, checked, in place of an older record.

    Parameters
    ----------
    out : Path
        What `reproduce` wrote.
    folder : Path
        The record: claims, how to repeat it, figures as PNG, and `runs/HASH/` with spec, first-layer weights, metrics
        and seal.
    """
    about = json.loads((out / "reproduction.json").read_text())
    runs = [Run.load(out / "runs" / run["hash"]).path for run in about["runs"]]
    if folder.exists() and not (folder / "reproduction.json").is_file():
        raise InputError(f"{folder} is not a record; expected a new folder, or one that was recorded before")
    new = folder.with_name(PARTIAL + folder.name)
    shutil.rmtree(new, ignore_errors=True)
    for run in runs:
        target = new / "runs" / run.name
        target.mkdir(parents=True)
        for name in (SPEC, FILTERS, METRICS, SEAL):
            shutil.copyfile(run / name, target / name)
    for name in KEPT:
        shutil.copyfile(out / name, new / name)
    figures = new / "figures"
    figures.mkdir()
    for path in sorted((out / "figures").glob("*.png")):
        shutil.copyfile(path, figures / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def recorded_claims(folder: Path) -> str:
    """What the README shows of a record: on what it was measured, the command that repeats it, and the claims."""
    about = json.loads((folder / "reproduction.json").read_text())
    measured = (
        f"Recorded {about['date']}: preset `{about['preset']}` on {about['data']}, seeds "
        f"{', '.join(map(str, about['seeds']))}, {'; '.join(about['device'])}, "
        f"{' or '.join(map(str, about['threads']))} threads, {about['training_seconds'] / 60:.0f} minutes of training. "
        f"Repeat it with `{about['command']}`."
    )
    return f"{measured}\n\n{(folder / 'claims.md').read_text()}"


def show_in_readme(folder: Path, readme: Path) -> None:
    """Put a record's claims between the README's markers."""
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    write_text(readme, f"{before}{BEGIN}\n{recorded_claims(folder)}{END}{after}")


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
    if len(sys.argv) > 3:
        show_in_readme(Path(sys.argv[2]), Path(sys.argv[3]))
