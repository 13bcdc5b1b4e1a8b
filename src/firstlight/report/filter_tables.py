"""`inspect` and `compare` in the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from firstlight.report.terminal import bars, plain_table, two_columns

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection


def inspection_rows(found: "Inspection") -> list[tuple[str, str]]:
    """What is said of a first layer, with its profile as bars."""
    rows = found.rows
    return [*rows[:2], (f"profile of the {found.shown}", bars(found.profile.energy)), *rows[2:]]


def inspection_table(found: "Inspection") -> Table:
    """A first layer as a table of two columns, findings last."""
    table = two_columns(inspection_rows(found), found.source)
    for number, finding in enumerate(found.findings):
        table.add_row("findings" if number == 0 else "", f"[bold]•[/bold] {escape(finding)}")
    return table


def comparison_parts(found: "Comparison") -> Iterator[Table | Text]:
    """The matrix of correlations, the profiles as bars, and how they were compared."""
    table = plain_table()
    for header in ("", "", *(str(number + 1) for number in range(len(found.labels)))):
        table.add_column(header, justify="right" if header else "left", no_wrap=bool(header), overflow="fold")
    for number, (label, row) in enumerate(zip(found.labels, found.correlations, strict=True)):
        table.add_row(str(number + 1), escape(label), *(_coloured(r, found.chance) for r in row))
    yield table
    profiles = plain_table(show_header=False)
    profiles.add_column(overflow="fold")
    profiles.add_column(overflow="fold")
    for number, profile in enumerate(found.profiles):
        profiles.add_row(str(number + 1), bars(profile.energy))
    yield profiles
    yield Text(
        f"Correlation of energy profiles, in {found.basis.size} components; 95% of pairs of random banks stay below "
        f"{found.chance:.2f}."
    )
    if found.note:
        yield Text(f"Note: {found.note}.")


def _coloured(r: float, chance: float) -> str:
    if not np.isfinite(r):
        return "[dim]-[/dim]"
    return f"[green]{r:.3f}[/green]" if r > chance else f"[yellow]{r:.3f}[/yellow]"
