"""The folder of a reproduction: claims, tables, figures and the page, beside the runs that they rest on.

Tables are CSV, figures SVG and PNG, byte for byte the same from the same numbers.
"""

import json
import tempfile
from pathlib import Path

from firstlight.errors import InputError, RunError
from firstlight.experiments import Result
from firstlight.experiments.results import Reproduction
from firstlight.figures.svg import write_figure
from firstlight.report.claims_data import claims_data
from firstlight.report.claims_pages import claims_markdown
from firstlight.report.reproduction_page import reproduction_page
from firstlight.utils.csv_text import csv_text
from firstlight.utils.progress_line import Line, in_turn
from firstlight.utils.whole_files import write_text

FORMAT = 2  # of reproduction.json and record.json; 1 is that of the first version of the criteria
DRAWING_SECONDS = 1.5  # an experiment, on two cores
CLAIMS, ABOUT, RECORD = "claims.json", "reproduction.json", "record.json"
TABLES, FIGURES, RUNS, MEASUREMENTS = "tables", "figures", "runs", "measurements"


def make_folders(out: Path) -> list[Path]:
    """Make the folders of a reproduction, before hours of training and not after them.

    Returns
    -------
    list of Path
        Those that were not there, the innermost first.

    Raises
    ------
    InputError
        One of them cannot be written.
    """
    folders = (out, out / TABLES, out / FIGURES, out / RUNS, out / MEASUREMENTS)
    new = [folder for folder in (*reversed(folders), *out.parents) if not folder.exists()]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise InputError(
                f"out needs {str(folder)!r}; expected a folder that can be written ({error.strerror})"
            ) from None
    return new


def write_reproduction(reproduction: Reproduction, png: bool = True) -> None:
    """Write claims, tables, figures and the page into `reproduction.out`.

    Parameters
    ----------
    reproduction : Reproduction
    png : bool
        Whether figures are also written as PNG, a third of the time that all of this takes.

    Raises
    ------
    RunError
        The disk is full or the folder cannot be written.
    """
    out = reproduction.out
    try:
        write_text(out / CLAIMS, json.dumps(claims_data(reproduction), indent=2, ensure_ascii=False) + "\n")
        write_text(out / "claims.md", claims_markdown(reproduction))
        write_text(out / ABOUT, json.dumps(reproduction.about, indent=2, ensure_ascii=False) + "\n")
        with Line() as line:
            for result in in_turn(reproduction.results, line, "drawing", lambda one: one.experiment, _drawing_seconds):
                _write_tables(result, out / TABLES)
                _write_figures(result, out / FIGURES, png)
            write_text(reproduction.report, reproduction_page(reproduction))
    except OSError as error:
        raise RunError(
            f"the results cannot be written ({error.filename}: {error.strerror}); the trained runs in {out / RUNS} are "
            "safe: mend that and run the same command again"
        ) from None


def _drawing_seconds(result: Result) -> float:
    return 0.2 + 0.4 * len(result.figures)


def _write_tables(result: Result, folder: Path) -> None:
    """Every table of an experiment as `folder/EXPERIMENT_TABLE.csv`; floats keep all their digits."""
    for name, table in result.tables.items():
        write_text(folder / f"{result.experiment}_{name}.csv", csv_text(table, index=False))


def _write_figures(result: Result, folder: Path, png: bool) -> None:
    """Every figure of an experiment as `folder/EXPERIMENT_FIGURE.svg`, and as `.png` unless told not to."""
    for name, entry in result.figures.items():
        stem = folder / f"{result.experiment}_{name}"
        if png:
            write_figure(entry.figure, entry.svg, stem)
        else:
            write_text(stem.with_suffix(".svg"), entry.svg)
