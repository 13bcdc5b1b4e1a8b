"""Tables and small charts for the terminal, and what all of them share."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from firstlight.utils.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from firstlight.experiments.experiment import Experiment
    from firstlight.experiments.schedule import Preset
    from firstlight.experiments.verdicts import Verdict

BARS = 60  # at most, in a row
_BARS = "▁▂▃▄▅▆▇█"
_COLOURS: "dict[Verdict, str]" = {
    "reproduced": "green",
    "not reproduced": "red",
    "inconclusive": "yellow",
    "not tested": "bright_black",
    "holds": "green",
    "violated": "red",
}


def bars(values: np.ndarray, width: int = BARS) -> str:
    """A profile as a row of bars, one character a component; longer ones are averaged down to `width`."""
    values = np.where(np.isfinite(values), values, 0.0)
    if len(values) > width:
        values = np.array([part.mean() for part in np.array_split(values, width)])
    largest = values.max()
    levels = np.zeros(len(values)) if largest <= 0 else values / largest
    return "".join(_BARS[round(level * (len(_BARS) - 1))] for level in levels)


def plain_table(**options: Any) -> Table:
    """A table without frames, as it is read fastest."""
    return Table(box=SIMPLE, padding=(0, 1, 0, 0), **options)


def grid() -> Table:
    """Two columns without anything around them: short names, and text that is wrapped beside them."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def frame_table(frame: "pd.DataFrame") -> Table:
    """A table as an experiment returns it, numbers with two decimals; a name that the row above has is left out."""
    table = plain_table()
    for column in frame:
        numbers = frame[column].dtype.kind == "f"
        table.add_column(str(column).replace("_", " "), justify="right" if numbers else "left", no_wrap=numbers)
    above = ""
    for name, *values in frame.itertuples(index=False):
        cells = [f"{value:.2f}" if isinstance(value, float) else escape(str(value)) for value in values]
        table.add_row(*("" if text == "nan" else text for text in ("" if name == above else escape(name), *cells)))
        above = name
    return table


def two_columns(rows: Iterable[tuple[str, str]], title: str) -> Group:
    """Names and their values, which may hold any text, under a title."""
    table = grid()
    for name, value in rows:
        table.add_row(f"[dim]{name}[/dim]", escape(value))
    return Group(heading(title), "", table)


def heading(title: str) -> Text:
    """What follows is about this, whatever it is called."""
    return Text(printable(title), style="underline", overflow="fold")


def coloured(verdict: "Verdict") -> str:
    """A verdict, by colour and word."""
    return f"[{_COLOURS[verdict]}]{verdict}[/{_COLOURS[verdict]}]"


def experiments_table(experiments: "Sequence[Experiment]", presets: "Sequence[Preset]") -> Table:
    """The experiments: question, what it answers to, and what each preset costs."""
    table = grid()
    for number, experiment in enumerate(experiments):
        if number:
            table.add_row()
        question = f"{escape(experiment.question)} [dim]({escape(experiment.answers)})[/dim]"
        table.add_row(f"[bold]{experiment.name}[/bold]", question)
        for preset in presets:
            table.add_row("", f"{preset}: {escape(experiment.cost(preset))}")
    return table
