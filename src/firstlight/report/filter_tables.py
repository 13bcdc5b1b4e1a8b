"""`inspect` and `compare` in the terminal."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from firstlight.report.terminal import bars, plain_table, two_columns
from firstlight.theory.null import percentile
from firstlight.utils.text import listed, spaced

if TYPE_CHECKING:
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
        ("patches", f"{found.data}, mean {spaced(basis.mean)}, std {spaced(basis.std)}"),
        (f"profile of the {what}", bars(profile.energy)),
        ("peak", f"component {peak + 1} of {basis.size}, {found.frequency[peak]:.2f} cycles/pixel"),
        ("eq. 3", fit),
        ("unevenness of the profile", f"{spread} (standard deviation / mean; 0 is flat)"),
        ("distance from whitening", f"{whitening} (0 is whitened, 1 has equal energy everywhere)"),
        ("effective rank", f"{found.rank:.1f} of {min(count, basis.size)}"),
        ("dead filters", _filters(found.faults.dead)),
        ("duplicate filters", f"{len(found.faults.duplicates)} groups" if found.faults.duplicates else "none"),
        ("noise filters", _filters(found.faults.noise)),
    ]


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


def _filters(numbers: Sequence[int]) -> str:
    return f"{len(numbers)}: {listed(numbers, _NUMBERS, ', ')}" if numbers else "none"


def _pair(pair: "tuple[int, int] | None") -> str:
    return "unknown" if pair is None else str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"
