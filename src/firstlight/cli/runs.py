"""The command `runs`: the trained networks in a folder of results."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from firstlight.cli.folders import DEFAULT_OUT, Out
from firstlight.cli.output import Flag, Json, give_json, print_line, result_console
from firstlight.cli.safe_outputs import Force, check_outputs, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.given import user_path
from firstlight.utils.text import counted

runs_app = App(name="runs", help="List, show and clean trained networks.")


@runs_app.command(name="list")
def list_runs(*, out: Out = DEFAULT_OUT, json: Json = None, force: Force = False, verbosity: Verbosity = USUAL) -> None:
    """List the trained networks, and the state of each."""
    from rich.filesize import decimal

    from firstlight.report.runs_tables import run_dict, runs_table
    from firstlight.training import stored_runs

    check_outputs([json_target(json, "hash")], [out], force)
    verbosity.apply()
    runs = stored_runs(_store(out))
    console = result_console(json)
    console.print(runs_table(runs))
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    size = decimal(sum(run.size for run in runs))
    said = f"{counted(len(runs), 'run')} in {_store(out)}" + (f": {counts}, {size}" if counts else "")
    print_line(console, said)
    give_json(json, [run_dict(run) for run in runs])


@runs_app.command(name="show")
def show_run(
    name: str, *, out: Out = DEFAULT_OUT, json: Json = None, force: Force = False, verbosity: Verbosity = USUAL
) -> None:
    """Show one run in full: what, how well, on what machine.

    Parameters
    ----------
    name
        The run's hash, or as much of its beginning as no other run has.
    """
    from firstlight.report.runs_tables import full_run_dict, run_details
    from firstlight.training import Run, find_run

    check_outputs([json_target(json, "hash")], [out], force)
    verbosity.apply()
    run = find_run(_store(out), name)
    finished = Run.load(run.path) if run.state == "finished" else None
    result_console(json).print(run_details(run, finished))
    give_json(json, full_run_dict(run, finished))


@runs_app.command(name="clean")
def clean_runs(
    *names: str,
    out: Out = DEFAULT_OUT,
    state: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    dry_run: Flag = False,
    json: Json = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Remove runs: those named, or else those failed or damaged.

    Parameters
    ----------
    names
        Hashes, or as much of their beginnings as no other run has.
    state
        Instead: remove every run in these states: finished, unfinished, failed, damaged, refused.
    dry_run
        Only say what would be removed.
    """
    from firstlight.report.runs_tables import run_dict
    from firstlight.training import find_run, remove_runs, stored_runs
    from firstlight.training.store import STATES

    check_outputs([json_target(json, "removed")], [out], force)
    verbosity.apply()
    if names and state:
        raise InputError(f"clean was given {names[0]!r} and --state {state[0]}; expected hashes or states: drop one")
    removable = [one for one in STATES if one != "training"]
    if unknown := [one for one in state or () if one not in removable]:
        raise InputError(f"state is {unknown[0]!r}; expected some of {', '.join(removable)}")
    store = _store(out)
    wanted = state or ["failed", "damaged"]
    runs = [find_run(store, name) for name in names] or [run for run in stored_runs(store) if run.state in wanted]
    if not dry_run:
        remove_runs(runs)
    console = result_console(json)
    for run in runs:
        print_line(console, f"{'would remove' if dry_run else 'removed'} {run.hash} ({run.state})")
    if not runs and not verbosity.quiet:
        print_line(console, f"nothing to remove in {store}: no run is {' or '.join(wanted)}")
    give_json(json, {"removed": not dry_run, "runs": [run_dict(run) for run in runs]})


def _store(out: Path) -> Path:
    from firstlight.reproduction.folder import RUNS

    return user_path(out) / RUNS
