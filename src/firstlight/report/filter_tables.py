"""`inspect` and `compare` in the terminal, and as files: JSON, CSV, and one page of HTML."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from firstlight.report.terminal import bars
from firstlight.theory.null import percentile
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from firstlight.inspection import Comparison, Inspection

_NUMBERS = 12  # of filters, written out


def inspection_rows(found: "Inspection") -> list[tuple[str, str]]:
    """What is said of a first layer: names of measures and their values with units."""
    bank, basis, profile, null = found.bank, found.basis, found.profile, found.null
    count, channels, rows, columns = bank.weight.shape
    stride = "" if bank.stride in (None, (1, 1)) else f", stride {_pair(bank.stride)}"
    stored = f", stored as {bank.dtype}" if bank.dtype else ""
    peak = profile.peak
    what = "change since the initialisation" if profile.change else "filters"
    fit = f"none: {found.unfitted}"
    if found.fit is not None and null is not None:
        one = found.fit
        fit = (
            f"tau = {one.tau:.4g}, correlation {one.correlation:.3f}, R² of log energy {one.log_r2:.2f}\n"
            f"random banks: correlation {null.correlations.mean():.2f} on average, 95th percentile "
            f"{percentile(null.correlations):.2f}"
        )
    spread = f"{found.spread:.2f}"
    if null is not None:
        spread += f"; random banks {null.spreads.mean():.2f}, 95th percentile {percentile(null.spreads):.2f}"
    whitening = f"{found.whitening:.2f}" if math.isfinite(found.whitening) else "not defined"
    return [
        ("layer", f"{bank.layer or '-'}: {count} filters of {channels} x {rows} x {columns}{stride}{stored}"),
        ("patches", f"{found.data}, mean {_numbers(basis.mean)}, std {_numbers(basis.std)}"),
        (f"profile of the {what}", bars(profile.energy)),
        ("peak", f"component {peak + 1} of {basis.size}, {found.frequency[peak]:.2f} cycles/pixel"),
        ("eq. 3", fit),
        ("unevenness of the profile", f"{spread} (standard deviation / mean; 0 is flat)"),
        ("distance from whitening", f"{whitening} (0 is whitened, 1 has equal energy everywhere)"),
        ("effective rank", f"{found.rank:.1f} of {min(count, basis.size)}"),
        ("dead filters", _listed(found.faults.dead)),
        ("duplicate filters", f"{len(found.faults.duplicates)} groups" if found.faults.duplicates else "none"),
        ("noise filters", _listed(found.faults.noise)),
    ]


def inspection_table(found: "Inspection") -> Table:
    """A first layer as a table of two columns, findings last."""
    table = Table(title=escape(found.source), title_justify="left", show_header=False, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column(style="dim", max_width=26)
    table.add_column(overflow="fold")
    for name, value in inspection_rows(found):
        table.add_row(name, escape(value))
    for number, finding in enumerate(found.findings):
        table.add_row("findings" if number == 0 else "", f"[bold]•[/bold] {escape(finding)}")
    return table


def print_comparison(found: "Comparison", console: "Console") -> None:
    """The matrix of correlations, the profiles as bars, and how they were compared."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for header in ("", "", *(str(number + 1) for number in range(len(found.labels)))):
        table.add_column(header, justify="right" if header else "left", no_wrap=bool(header), overflow="fold")
    for number, (label, row) in enumerate(zip(found.labels, found.correlations, strict=True)):
        table.add_row(str(number + 1), escape(label), *(_coloured(r, found.chance) for r in row))
    console.print(table)
    profiles = Table(box=SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    profiles.add_column(overflow="fold")
    profiles.add_column(overflow="fold")
    for number, profile in enumerate(found.profiles):
        profiles.add_row(str(number + 1), bars(profile.energy))
    console.print(profiles)
    console.print(
        f"Correlation of energy profiles, in {found.basis.size} components; 95% of pairs of random banks stay below "
        f"{found.chance:.2f}.",
        highlight=False,
    )
    if found.note:
        console.print(f"Note: {found.note}.", highlight=False)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, or print it where the path is "-"."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if str(path) == "-":
        print(text, end="")
    else:
        write_text(path, text)


def write_csv(path: Path, frames: Sequence[Any]) -> None:
    """Write tables of the same columns beneath each other; floats keep all their digits."""
    import pandas as pd

    write_text(path, pd.concat(frames).to_csv(index=False, lineterminator="\n"))


def write_matrix(path: Path, found: "Comparison") -> None:
    """Write the correlations, a row and a column a source."""
    write_text(path, found.to_frame().to_csv(index_label="source", lineterminator="\n"))


def _coloured(r: float, chance: float) -> str:
    if not np.isfinite(r):
        return "[dim]-[/dim]"
    return f"[green]{r:.3f}[/green]" if r > chance else f"[yellow]{r:.3f}[/yellow]"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NUMBERS]))
    return f"{len(numbers)}: {shown}" + (", ..." if len(numbers) > _NUMBERS else "") if numbers else "none"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _pair(pair: "tuple[int, int] | None") -> str:
    return "unknown" if pair is None else str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"
