"""`inspect` and `compare` in the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from firstlight.report.terminal import BARS, bars, grid, plain_table
from firstlight.utils.text import printable

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection


def inspection_rows(found: "Inspection") -> list[tuple[str, str]]:
    """What is said of a first layer, with its profile as bars."""
    rows = found.rows
    return [*rows[:2], (f"profile of the {found.shown}", bars(found.profile.energy)), *rows[2:]]


def inspection_parts(found: "Inspection", width: int) -> Iterator[Table | Text]:
    """A first layer in so many columns: what was found, then the numbers, each with how to read it."""
    yield Text(printable(found.source), style="underline", overflow="fold")
    yield Text(found.findings[0], style="bold")
    if more := found.findings[1:]:
        listed = grid()
        for finding in more:
            listed.add_row("•", escape(finding))
        yield listed
    profile = "change" if found.profile.change else "profile"
    numbers = [(name, value, how) for name, value, how in found.measures]
    name_width = max(len(name) for name, *_ in numbers)
    value_width = max(len(value) for _, value, _ in numbers)
    shown = bars(found.profile.energy, min(BARS, width - name_width - 2))
    yield Text()
    table = grid()
    for name, value in (*found.about, (profile, shown)):
        table.add_row(f"[dim]{name}[/dim]", escape(value))
    for name, value, how in numbers:
        table.add_row(f"[dim]{name}[/dim]", escape(f"{value:{value_width}}  {how}".rstrip()))
    yield table


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
