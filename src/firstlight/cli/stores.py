"""The commands that show what is stored: the trained `runs` of a folder of results, and the `data` sets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from firstlight.cli.output import PLAIN, Flag, Json, give_json, result_console
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError

data_app = App(name="data", help="The data sets that firstlight knows, and where they are.")
runs_app = App(name="runs", help="The trained runs in a folder of results.")

DataDir = Annotated[
    Path | None,
    Parameter(help="Folder for data sets, or one that already holds the original CIFAR files [env: FIRSTLIGHT_CACHE]."),
]
Out = Annotated[Path, Parameter(help="Folder of results, whose runs/ holds the trained networks.")]
DEFAULT_OUT = Path("firstlight-out")


@runs_app.command(name="list")
def list_runs(*, out: Out = DEFAULT_OUT, json: Json = None, verbosity: Verbosity = USUAL) -> None:
    """List the trained networks, and whether each is finished, unfinished, failed or damaged."""
    from firstlight.report.runs_tables import run_dict, runs_table
    from firstlight.training import stored_runs

    verbosity.apply()
    runs = stored_runs(_store(out))
    console = result_console(json)
    console.print(runs_table(runs))
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    said = f"{len(runs)} runs in {_store(out)}" + (f": {counts}" if counts else "")
    console.print(said, **PLAIN)
    give_json(json, [run_dict(run) for run in runs])


@runs_app.command(name="show")
def show_run(name: str, *, out: Out = DEFAULT_OUT, json: Json = None, verbosity: Verbosity = USUAL) -> None:
    """Show one run in full: what was trained, how well it learnt, on what machine.

    Parameters
    ----------
    name
        The run's hash, or as much of its beginning as no other run has.
    """
    from firstlight.report.runs_tables import run_details, run_dict
    from firstlight.training import find_run

    verbosity.apply()
    run = find_run(_store(out), name)
    result_console(json).print(run_details(run))
    give_json(json, run_dict(run, full=True))


@runs_app.command(name="clean")
def clean_runs(
    *names: str,
    out: Out = DEFAULT_OUT,
    state: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    dry_run: Flag = False,
    json: Json = None,
    verbosity: Verbosity = USUAL,
) -> None:
    """Remove runs: those that are named, or else those that failed or are damaged.

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

    verbosity.apply()
    if names and state:
        raise InputError(f"clean was given {names[0]!r} and --state {state[0]}: expected hashes or states; drop one")
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
        console.print(f"{'would remove' if dry_run else 'removed'} {run.hash} ({run.state})", **PLAIN)
    if not runs and not verbosity.quiet:
        console.print(f"nothing to remove in {store}: no run is {' or '.join(wanted)}", **PLAIN)
    give_json(json, {"removed": not dry_run, "runs": [run_dict(run) for run in runs]})


def _store(out: Path) -> Path:
    from firstlight.reproduction.reproduction import RUNS

    return out.expanduser() / RUNS


@data_app.command(name="list")
def list_data(*, data_dir: DataDir = None, json: Json = None, verbosity: Verbosity = USUAL) -> None:
    """List the data sets, and whether they are there already."""
    from rich.markup import escape
    from rich.table import Table

    from firstlight.images import data_sets

    verbosity.apply()
    table = Table()
    for header in ("name", "what it is", "there?", "where"):
        table.add_column(header, overflow="fold", no_wrap=header == "name")
    found = data_sets(data_dir=data_dir)
    for info in found:
        table.add_row(
            info.name,
            f"{info.description}; {info.size}",
            "yes" if info.present else "no",
            escape(str(info.location or "-")),
        )
    result_console(json).print(table)
    give_json(json, [{**asdict(info), "location": info.location and str(info.location)} for info in found])


@data_app.command
def fetch(name: str, *, data_dir: DataDir = None, verbosity: Verbosity = USUAL) -> None:
    """Download a data set, check it, and print the folder that it is in.

    Parameters
    ----------
    name
        cifar10, cifar100 or photos.
    """
    from firstlight.images import fetch as run

    verbosity.apply()
    print(run(name, data_dir=data_dir))
