"""Tables as CSV and figures as SVG and PNG, byte for byte the same from the same numbers."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from firstlight.experiments.results import Result
from firstlight.utils.whole_files import atomic_write, write_text


def write_tables(result: Result, folder: Path) -> None:
    """Write every table of an experiment as `folder/EXPERIMENT_TABLE.csv`."""
    for name, table in result.tables.items():
        write_table(table, folder / f"{result.experiment}_{name}.csv")


def write_figures(result: Result, folder: Path, png: bool = True) -> None:
    """Write every figure of an experiment as `folder/EXPERIMENT_FIGURE.svg`, and as `.png` unless told not to."""
    for name, entry in result.figures.items():
        stem = folder / f"{result.experiment}_{name}"
        if png:
            write_figure(entry.figure, entry.svg, stem)
        else:
            write_text(stem.with_suffix(".svg"), entry.svg)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; floats keep all their digits."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_figure(figure: Figure, svg: str, stem: Path) -> None:
    """Write a figure, and the SVG that was drawn of it, as `stem.svg` and `stem.png` (200 dots an inch)."""
    write_text(stem.with_suffix(".svg"), svg)
    with atomic_write(stem.with_suffix(".png")) as file:
        figure.savefig(file, format="png", dpi=200)
