"""Tables as CSV and figures as SVG and PNG, byte for byte the same from the same numbers."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from firstlight.experiments.base import Result
from firstlight.files import atomic_write, write_text


def write_tables(result: Result, folder: Path) -> None:
    """Write every table of an experiment as `folder/EXPERIMENT_TABLE.csv`; floats keep all their digits."""
    for name, table in result.tables.items():
        write_text(folder / f"{result.experiment}_{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def write_figures(result: Result, folder: Path) -> None:
    """Write every figure of an experiment as `folder/EXPERIMENT_FIGURE.svg` and `.png` (200 dots an inch)."""
    for name, entry in result.figures.items():
        write_text(folder / f"{result.experiment}_{name}.svg", svg(entry.figure))
        with atomic_write(folder / f"{result.experiment}_{name}.png") as file:
            entry.figure.savefig(file, format="png", dpi=200)


def svg(figure: Figure) -> str:
    """A figure as SVG text, without date and with identifiers that do not change from call to call."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "firstlight"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
