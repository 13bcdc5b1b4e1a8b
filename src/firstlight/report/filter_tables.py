"""`inspect` and `compare` in the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from firstlight.report.terminal import BARS, bars, grid, heading
from firstlight.utils.text import counted, printable

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection

_CELL = 8  # columns of a correlation, with the space after it


def inspection_parts(found: "Inspection", width: int) -> Iterator[Table | Text]:
    """A first layer in so many columns: what was found, then the numbers, each with how to read it."""
    yield heading(f"{found.source}, seen with patches of {found.data}")
    yield Text(str(found.findings[0]), style="bold")
    if more := found.findings[1:]:
        listed = grid()
        for finding in more:
            listed.add_row("•", escape(str(finding)))
        yield listed
    profile = "change" if found.profile.change else "profile"
    numbers = [(name, value, how) for name, value, how in found.measures]
    name_width = max(len(name) for name, *_ in numbers)
    value_width = max(len(value) for _, value, _ in numbers)
    shown = bars(found.profile.energy, min(BARS, width - name_width - 2))
    yield Text()
    table = grid()
    for name, value in (*found.about, (profile, shown)):
        table.add_row(f"[dim]{name}[/dim]", escape(printable(value)))
    for name, value, how in numbers:
        table.add_row(f"[dim]{name}[/dim]", escape(f"{value:{value_width}}  {how}".rstrip()))
    yield table
    if rows := found.theory_rows:
        yield Text()
        yield _theories(rows, found.theories.refusal if found.theories else "")


def _theories(rows: list[tuple[str, str, str, str]], refusal: str) -> Table:
    """Two theories beside each other, how to read it, and why one is missing."""
    table = grid()
    widths = [max(len(row[column]) for row in rows) for column in (1, 2)]
    for name, one, other, how in rows:
        table.add_row(f"[dim]{name}[/dim]", escape(f"{one:{widths[0]}}  {other:{widths[1]}}  {how}".rstrip()))
    if refusal:
        table.add_row("[dim]refused[/dim]", escape(printable(refusal)))
    return table


def comparison_parts(found: "Comparison", width: int) -> Iterator[Table | Text]:
    """How alike first layers are, in so many columns: the most and the least alike, then profiles and all pairs."""
    yield _alike(found)
    yield Text()
    yield _profiles(found, width)
    count = len(found.labels)
    block = max(1, (width - len(str(count))) // _CELL)
    for start in range(0, count - 1, block):
        yield Text()
        yield _correlations(found, range(start, min(start + block, count - 1)))
    if found.note:
        yield Text()
        yield Text(f"Note: {found.note}.")


def _alike(found: "Comparison") -> Table:
    """The two ends of the correlations, and what chance gives."""
    names, pairs = list(map(printable, found.labels)), found.pairs
    if len(pairs) > 1:
        rows = [("most alike", *pairs[0]), ("least alike", *pairs[-1])]
    else:
        rows = [("alike", *pair) for pair in pairs]
    table = grid()
    for name, r, one, other in rows:
        table.add_row(f"[bold]{name}[/bold]", Text(f"{r:6.3f}  {names[one]} and {names[other]}"))
    if not pairs:
        table.add_row("[bold]alike[/bold]", "not defined: a profile is constant")
    for word, which in found.caveats:
        table.add_row(f"[bold]{word}[/bold]", Text(printable(which)))
    table.add_row("by chance", f"{found.chance:6.3f}  95% of pairs of random banks stay below this")
    if found.described:
        table.add_row("theories", found.described)
    table.add_row("compared", f"energy profiles, in {counted(found.basis.size, 'component')}")
    return table


def _profiles(found: "Comparison", width: int) -> Table:
    """Number and name of each network, and its profile as bars."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for number, (label, profile) in enumerate(zip(found.labels, found.profiles, strict=True), 1):
        table.add_row(str(number), Text(printable(label)), bars(profile.energy, min(BARS, width // 2 - 4)))
    return table


def _correlations(found: "Comparison", columns: range) -> Table:
    """Of these networks with all that follow, each pair once."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for header in ("", *(str(column + 1) for column in columns)):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_row("", *(f"[dim]{column + 1:{_CELL - 2}}[/dim]" for column in columns))
    for row in range(columns.start + 1, len(found.labels)):
        cells = (_coloured(found, row, column) if column < row else "" for column in columns)
        table.add_row(f"[dim]{row + 1}[/dim]", *cells)
    return table


def _coloured(found: "Comparison", row: int, column: int) -> str:
    r = found.correlations[row, column]
    if not np.isfinite(r):
        return "[dim]-[/dim]"
    return f"[green]{r:.3f}[/green]" if found.is_beyond_chance(row, column) else f"[yellow]{r:.3f}[/yellow]"
