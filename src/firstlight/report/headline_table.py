"""The one table that `reproduce` prints: published claims beside what was measured for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from firstlight.experiments.claims import Claim, number_format
from firstlight.experiments.headline import Row
from firstlight.experiments.results import Reproduction
from firstlight.report.claim_lines import NOTHING, Line, headline, lines
from firstlight.report.terminal import coloured

WIDE = 110  # characters, from which on most claims fit on one line


def headline_table(
    found: Reproduction, width: int, recorded: Reproduction | None = None, rows: Sequence[Row] | None = None
) -> Table:
    """A line a claim; the parts of a row stand below its statement.

    Parameters
    ----------
    found : Reproduction
    width : int
        Of the terminal, in characters.
    recorded : Reproduction, optional
        What is shown in a column before it.
    rows : sequence of Row, optional
        Of the criteria; those of the short table by default.
    """
    layout = _Layout(width >= WIDE, {claim.id: claim for claim in recorded.claims} if recorded else None)
    table = layout.table(how_recorded(recorded, found) if recorded else "")
    for row in headline(found) if rows is None else rows:
        shown, claims = lines(row), row.claims or (None,)
        said = row.criterion.id, *layout.said(row)
        if len(shown) > 1:
            table.add_row(*said)
        for line, claim in zip(shown, claims, strict=True):
            part = ["", f"  {escape(line.subject)}", *[""] * (len(said) - 2)]
            table.add_row(*(said if len(shown) == 1 else part), *layout.cells(line, claim))
    return table


def how_recorded(recorded: Reproduction, found: Reproduction) -> str:
    """On what, how long and where, as briefly as can be."""
    about = recorded.about
    data = [about["data"]] if about["data"] != found.about["data"] else []
    length = "30 epochs" if about["preset"] == "full" else about["preset"]
    return ", ".join([*data, length, *dict.fromkeys(map(_device, about["device"]))])


def _device(text: str) -> str:
    """Of "cuda NVIDIA H200, torch 2.11.0" the card, and of "cpu AVX512, torch 2.13.0" that it was none."""
    words = text.partition(",")[0].split()
    return next((word for word in words if word not in ("cuda", "NVIDIA")), text)


@dataclass(frozen=True)
class _Layout:
    """Which columns there are: what has no room of its own stands behind or below what it belongs to."""

    wide: bool
    recorded: Mapping[str, Claim] | None

    @property
    def _published(self) -> bool:
        return self.wide and self.recorded is None

    @property
    def _first_version(self) -> bool:
        return self.wide or self.recorded is None

    def table(self, how: str) -> Table:
        table = Table(box=SIMPLE, padding=(0, int(self.wide), 0, 0), pad_edge=False, show_edge=False)
        table.add_column("id", no_wrap=True)
        table.add_column("claim" if self._published else "claim: [dim]published[/dim]", ratio=1, overflow="fold")
        if self._published:
            table.add_column("published", max_width=18, overflow="fold")
        if self.recorded is not None:
            table.add_column(escape(f"recorded\n({how})"), max_width=18 if self.wide else 14, overflow="fold")
        here = "here" if self.recorded is None else "trained here"
        table.add_column(f"{here} [dim]{escape('[95%]') if self.wide else '±'}[/dim]", no_wrap=True)
        table.add_column("1 step", no_wrap=True)
        table.add_column("acc.", no_wrap=True, justify="right")
        table.add_column("verdict", no_wrap=True)
        if self._first_version:
            table.add_column("v1", no_wrap=True)
        return table

    def said(self, row: Row) -> list[str]:
        said, value = escape(row.criterion.statement), escape(row.criterion.published)
        if self._published:
            return [said, value]
        # A value in words repeats the statement.
        return [f"{said}: [dim]{value}[/dim]" if any(map(str.isdecimal, value)) else said]

    def cells(self, line: Line, claim: Claim | None) -> list[str]:
        before = [] if self.recorded is None else [_recorded_cell(self.recorded.get(claim.id if claim else ""))]
        measured = line.measured if self.wide else f"{line.mean}{_plus_minus(claim)}"
        verdict = coloured(line.verdict) + (f"\n[dim]{escape(line.aside)}[/dim]" if line.aside else "")
        first_version = [line.first_version] if self._first_version else []
        return [*before, _judged(measured, line), line.after_one_step, line.accuracy, verdict, *first_version]


def _plus_minus(claim: Claim | None) -> str:
    """Half the interval, which lies about the mean."""
    if claim is None or claim.interval is None or Line.of(claim).mean == NOTHING:
        return ""
    low, high = claim.interval
    return f" ± {number_format(claim.values)((high - low) / 2)}"


def _recorded_cell(claim: Claim | None) -> str:
    if claim is None:
        return ""
    line = Line.of(claim)
    return f"{_judged(line.mean, line)}\n{coloured(line.verdict)}"


def _judged(text: str, line: Line) -> str:
    """A value; one of networks that are not judged steps back."""
    return f"[dim]{escape(text)}[/dim]" if line.verdict == "not tested" else escape(text)
