"""The runs of a store, for the terminal: a table of all, and one in full."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from firstlight.report.terminal import plain_table
from firstlight.training import Run, StoredRun, describe

_COLOURS = {
    "finished": "green",
    "training": "cyan",
    "unfinished": "yellow",
    "failed": "red",
    "damaged": "red",
    "refused": "magenta",
}
_UNKNOWN = "-"


def runs_table(runs: Sequence[StoredRun]) -> Table:
    """A row a run: hash, state by colour and word, what is trained, steps done of all, and what else to know."""
    table = plain_table(pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("what", overflow="fold", min_width=14)
    table.add_column("steps", justify="right", no_wrap=True)
    noted = any(run.detail for run in runs)
    if noted:
        table.add_column("note", overflow="fold")
    for run in runs:
        note = [escape(run.detail)] if noted else []
        table.add_row(run.hash, _state(run), escape(_what(run)), _steps(run), *note)
    return table


def run_details(run: StoredRun, finished: Run | None = None) -> Table:
    """A run in full: where it is, every field of its spec, and where it is finished its metrics and its training."""
    table = Table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    _add(table, {"run": run.hash, "what": _what(run)})
    table.add_row("state", f"{_state(run)}  {escape(run.detail)}".rstrip())
    _add(table, {"folder": run.path, "size": decimal(run.size), "steps": _steps(run)}, end=True)
    if run.spec:
        fields = {name: value for name, value in vars(run.spec).items() if name != "steps"}
        _add(table, fields, end=True)
    if finished is not None:
        last = finished.metrics.iloc[-1].drop("step").dropna()
        measured = {str(name).replace("_", " "): f"{value:.4g}" for name, value in last.items()}
        filters = " x ".join(map(str, finished.final.shape))
        _add(table, {"records": f"{len(finished.steps)} of {filters} filters", **measured}, end=True)
        _add(table, {name.replace("_", " "): value for name, value in finished.environment.items() if name != "hash"})
    return table


def run_dict(run: StoredRun) -> dict[str, Any]:
    """A run in JSON's types."""
    return {
        "hash": run.hash,
        "state": run.state,
        "what": describe(run.spec) if run.spec else None,
        "step": run.step,
        "steps": run.spec.steps if run.spec else None,
        "size": run.size,
        "detail": run.detail,
        "path": str(run.path),
    }


def full_run_dict(run: StoredRun, finished: Run | None = None) -> dict[str, Any]:
    """The same with its spec, and where it is finished with its last metrics and the machine."""
    found = {**run_dict(run), "spec": run.spec.to_dict() if run.spec else None}
    if finished is not None:
        found["metrics"] = json.loads(finished.metrics.iloc[-1].to_json())
        found["environment"] = finished.environment
    return found


def _add(table: Table, rows: dict[str, Any], end: bool = False) -> None:
    """Rows of names and values; with `end`, a line after the last."""
    for number, (name, value) in enumerate(rows.items(), 1):
        table.add_row(name, escape(_text(value)), end_section=end and number == len(rows))


def _text(value: Any) -> str:
    if value is None:
        return _UNKNOWN
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _what(run: StoredRun) -> str:
    return describe(run.spec) if run.spec else _UNKNOWN


def _state(run: StoredRun) -> str:
    colour = _COLOURS[run.state]
    return f"[{colour}]{run.state}[/{colour}]"


def _steps(run: StoredRun) -> str:
    """Steps done of all, or all of them where that says the same."""
    done = _UNKNOWN if run.step is None else str(run.step)
    if run.spec is None or run.step == run.spec.steps:
        return done
    return f"{done}/{run.spec.steps}"
