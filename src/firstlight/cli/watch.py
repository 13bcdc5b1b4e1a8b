"""The command `watch`: a training that is followed by the checkpoints that it writes."""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from firstlight.cli.inspection_options import DEFAULTS, InspectionOptions, command_line
from firstlight.cli.output import Flag, Json, Output, give_json, give_text, result_console, write_csv
from firstlight.cli.safe_outputs import Force, check_outputs, csv_target, html_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError, SourceError
from firstlight.utils.console import note
from firstlight.utils.text import duration, printable

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod

    from firstlight.training.monitor.followed import FollowedTraining, SeenCheckpoint

_UNITS = {None: 1, "s": 1, "min": 60, "h": 3600, "d": 86_400}
_LEAST, _MOST = 0.01, 366 * 86_400  # seconds
_HEADER = ("written", "name", "step", "peak", "r", "change", "dead", "most like")
_NAME = (16, 40)  # columns, at least and at most
_OTHERS = 72  # columns, of all but the name


def watch(
    *places: str,
    options: InspectionOptions = DEFAULTS,
    initial: str | None = None,
    every: str = "10s",
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    once: Flag = False,
    json: Json = None,
    csv: Output = None,
    html: Output = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Follow a training by the checkpoints that it writes.

    A line a checkpoint, as they appear. What is watched is neither changed nor locked; a file that cannot be read is
    told of once and passed over. Ctrl-C ends it, with exit code 130, and what was seen is written.

    Parameters
    ----------
    places
        A folder of checkpoints, or a pattern of their names in quotes, such as 'run/*.pt'; or one file that is written
        again and again.
    initial
        The network at initialisation: profiles are then those of the change. Default: changes are told against the
        first checkpoint that is seen.
    every
        How often to look, such as 10s, 5min or 1h.
    for_
        How long to watch, such as 8h. Default: until Ctrl-C.
    once
        Look at what is there, and end.
    json
        Write what was seen into this file at the end; - prints it, and nothing else.
    csv
        Write a row a checkpoint into this file at the end.
    html
        Write a page that plays the training into this file, again whenever there is a new checkpoint.
    """
    from firstlight.training.monitor.checkpoint_files import CheckpointFiles
    from firstlight.training.monitor.followed import FollowedTraining

    if len(places) != 1:
        raise InputError(
            f"watch was given {len(places) or 'no'} places; expected a folder, or a pattern: put it in quotes, so that "
            "the shell leaves it as it is"
        )
    (place,) = places
    seconds, left = _seconds("--every", every), None if for_ is None else _seconds("--for", for_)
    targets = (json_target(json, "watched"), csv_target(csv, "time", "name", "step"), html_target(html))
    check_outputs(targets, (place, initial, options.data, options.data_dir), force)
    verbosity.apply()
    followed = FollowedTraining(
        CheckpointFiles(place, seconds),
        options.data,
        initial=initial,
        layer=options.layer,
        mean=options.mean,
        std=options.std,
        fold_batch_norm=options.fold_batch_norm,
        data_dir=options.data_dir,
        **options.image_options(),
    )
    kept = _Kept(place, followed, json, csv, html)
    end = time.monotonic() + (seconds if once else float("inf") if left is None else left)
    if not once:
        note(f"watches {place} every {duration(seconds)}; Ctrl-C ends it")
    try:
        _follow(followed, kept, seconds, end, once, result_console(json, csv, html))
    except (KeyboardInterrupt, BrokenPipeError):
        kept.write()
        raise
    kept.write()
    if not followed.rows:
        raise SourceError(
            f"{place} has no checkpoint that can be read; expected one: give it more time (--for), or name another"
        )


@dataclass
class _Kept:
    """What is written of what was seen."""

    place: str
    followed: "FollowedTraining"
    json: Path | None
    csv: Path | None
    html: Path | None
    paged: int = 0  # rows that the page has

    def write_page(self) -> None:
        """Bring the page up to date."""
        from firstlight.report.filter_pages import inspections_page

        seen = self.followed
        if self.html is not None and len(seen.rows) > self.paged:
            history = seen.history()
            view = history.view() if seen.change else replace(history.view(), initial=None)
            give_text(self.html, inspections_page([history.inspection()], seen.failures, command_line(), [view]))
            self.paged = len(seen.rows)

    def write(self) -> None:
        """Write all that was asked for, if anything was seen."""
        seen = self.followed
        if not seen.rows:
            return
        self.write_page()
        if self.csv is not None:
            import pandas as pd

            rows = [
                {"time": row.time, "name": printable(row.name), **asdict(row.measures)}
                | {f"e{number}": energy for number, energy in enumerate(row.energy, 1)}
                for row in seen.rows
            ]
            write_csv(self.csv, [pd.DataFrame(rows)])
        failures = [asdict(failure) for failure in seen.failures]
        about = {"watched": self.place, "data": seen.data, "against": seen.first.source, "of_change": seen.change}
        give_json(self.json, {**about, "checkpoints": [row.to_dict() for row in seen.rows], "failures": failures})


def _follow(
    followed: "FollowedTraining", kept: _Kept, seconds: float, end: float, once: bool, console: "Console"
) -> None:
    """Look until the end, or once at all that is there."""
    from firstlight.training.monitor.checkpoint_files import SETTLED

    waits: bool | None = None  # which is told once
    while True:
        last = time.monotonic() >= end
        for row in followed.look(last):
            if waits is not False:
                _print(console, _line(_HEADER, console), style="bold")
            waits = False
            _print(console, _line(_cells(row), console))
        if str(kept.html) != "-":
            kept.write_page()
        if last or (once and not followed.is_unsettled):
            return
        if waits is None and not followed.is_unsettled:
            note(f"{kept.place} has no checkpoint that can be read yet: waits")
            waits = True
        pause = min(seconds, SETTLED) if followed.is_unsettled else seconds
        time.sleep(max(0.0, min(pause, end - time.monotonic())))


def _cells(row: "SeenCheckpoint") -> tuple[str, ...]:
    found = row.measures
    when = datetime.fromisoformat(row.time).strftime("%m-%d %H:%M")
    numbers = f"{found.peak}", _number(found.r, ".2f"), _number(found.change, ".3f"), f"{found.dead}"
    alike = f"{found.r_nearest:.2f} {found.nearest}" if found.nearest else ""
    return when, row.name, f"{found.step}", *numbers, alike


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _line(cells: Sequence[str], console: "Console") -> str:
    when, name, step, peak, r, change, dead, alike = map(printable, cells)
    width = max(_NAME[0], min(console.width - _OTHERS, _NAME[1]))
    if console.is_terminal and len(name) > width:
        name = f"…{name[1 - width :]}"
    return f"{when:<11}  {name:<{width}}  {step:>7}  {peak:>4}  {r:>5}  {change:>6}  {dead:>4}  {alike}"


def _print(console: "Console", line: str, style: str | None = None) -> None:
    cut: OverflowMethod = "ellipsis" if console.is_terminal else "ignore"  # what is piped stays whole
    console.print(line, style=style, markup=False, highlight=False, no_wrap=True, overflow=cut, crop=cut != "ignore")


def _seconds(option: str, text: str) -> float:
    """A time as it is given."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?) ?(s|min|h|d)?", text.strip())
    if not found or not _LEAST <= (seconds := float(found[1]) * _UNITS[found[2]]) <= _MOST:
        raise InputError(f"{option} is {text!r}; expected a time from 0.01s to a year, such as 10s, 5min, 2h or 3d")
    return seconds
