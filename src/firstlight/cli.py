"""The command line: parse, call, print. Whatever costs time to import is imported inside the commands."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from firstlight import __version__
from firstlight.cli_filters import compare, inspect
from firstlight.cli_moments import moments
from firstlight.errors import FirstlightError, InputError, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from firstlight.reproduction import Reproduction

BAD_INPUT, INTERRUPTED = 2, 130

app = App(
    name="firstlight",
    help="Measure, explain and reproduce what the first layer of a convolutional network learns.",
    version=f"firstlight {__version__}",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # main says how to go on
)
data_app = App(name="data", help="The data sets that firstlight knows, and where they are.")
runs_app = App(name="runs", help="The trained runs in a folder of results.")
app.command(inspect)
app.command(compare)
app.command(moments)
app.command(data_app)
app.command(runs_app)

DataDir = Annotated[
    Path | None,
    Parameter(help="Folder for data sets, or one that already holds the original CIFAR files [env: FIRSTLIGHT_CACHE]."),
]
Out = Annotated[Path, Parameter(help="Folder of results, whose runs/ holds the trained networks.")]
DEFAULT_OUT = Path("firstlight-out")


@app.command
def reproduce(
    *experiments: str,
    preset: Literal["quick", "standard", "full"] = "quick",
    data: str | None = None,
    data_dir: DataDir = None,
    device: str = "auto",
    jobs: int = 1,
    out: Path | None = None,
    recorded: Annotated[bool, Parameter(negative=())] = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
) -> int:
    """Train networks, test the published claims on them, and write tables, figures and a report.

    `--list` shows the experiments and what each preset trains. An interrupted command goes on where it was when it is
    given again. The exit code is 0 when every claim that was tested was reproduced, 1 when some were not, 2 for bad
    input.

    Parameters
    ----------
    experiments
        Names of experiments; none for all.
    preset
        How much to train: quick in minutes and standard in an hour or two on 2 CPU cores, full on a GPU.
    data
        cifar10, cifar100, photos, or an .npz file with a train and a test split of labelled images, at least 256
        and 32 x 32 pixels. Default: cifar10, or photos where that cannot be had.
    device
        auto, cpu, cuda or cuda:N.
    jobs
        How many networks to train at once, each on its share of the CPU's cores.
    out
        Folder for results and trained runs. Default: firstlight-out, or firstlight-out/recorded with --recorded.
    recorded
        Train nothing: rebuild every table, figure and verdict from the recorded results, in seconds.
    list_
        Show the experiments with their cost, and do nothing.
    """
    from rich.console import Console

    console = Console()
    if list_:
        from firstlight.report.terminal import experiments_table
        from firstlight.reproduction import chosen_experiments

        console.print(experiments_table(chosen_experiments(experiments)))
        return 0
    if recorded:
        found = _rebuilt(experiments, preset, data, device, jobs, out)
    else:
        from firstlight.reproduction import reproduce as run

        out = out or DEFAULT_OUT
        found = run(experiments, preset=preset, data=data, data_dir=data_dir, device=device, jobs=jobs, out=out)
    _print_claims(found, console)
    return 0 if found.all_reproduced else 1


def _rebuilt(
    experiments: Sequence[str], preset: str, data: str | None, device: str, jobs: int, out: Path | None
) -> "Reproduction":
    """The recorded reproduction, written like one that was just made."""
    from dataclasses import replace

    from firstlight.record import recorded
    from firstlight.reproduction import write_reproduction

    given = {"preset": preset != "quick", "data": data, "device": device != "auto", "jobs": jobs != 1}
    if ignored := [name for name, value in given.items() if value]:
        raise InputError(f"--recorded was given with --{ignored[0]}: expected it alone, a record has its own; drop one")
    out = out or DEFAULT_OUT / "recorded"
    found = replace(recorded(experiments), out=out.expanduser())
    write_reproduction(found, png=False)
    return found


def _print_claims(found: "Reproduction", console: "Console") -> None:
    """Every experiment's claims, with the command that measures a recorded one again, and the summary."""
    from firstlight.report.claims_pages import repeat
    from firstlight.report.terminal import claims_table

    for result in found.results:
        title = result.experiment
        if entry := found.about.get("recorded", {}).get(result.experiment):
            title += f": recorded {entry['date']}; {repeat(result.experiment, entry)}"
        console.print(claims_table(result.claims, title))
    for claim in found.claims:
        if claim.name.startswith("formula/") and claim.name.endswith("/correlation"):
            console.print(f"{claim.name}: {claim.measured}", highlight=False)
    print(f"{found.summary}, preset {found.about['preset']}.")
    print(f"Report: {found.report}")


@app.command
def theory(
    *,
    data: str = "cifar10",
    data_dir: DataDir = None,
    kernel_size: int = 3,
    lr: float = 0.01,
    steps: Annotated[list[float] | None, Parameter(consume_multiple=True, negative=())] = None,
    out: Path | None = None,
) -> None:
    """Print and plot eq. 3: the energy profile that a linear CNN learns, after several numbers of steps.

    Parameters
    ----------
    data
        cifar10, cifar100, photos, or an .npy or .npz file of images.
    kernel_size
        Side of the patches, in pixels.
    lr
        Learning rate of the linear CNN.
    steps
        Numbers of gradient steps, such as --steps 1 100 10000 inf. Default: from early to whitened.
    out
        Also write the table (CSV) and the figure (SVG, PNG) into this folder.
    """
    from firstlight.report.theory import show_theory

    show_theory(data, data_dir, kernel_size, lr, steps, out)


@runs_app.command(name="list")
def list_runs(*, out: Out = DEFAULT_OUT) -> None:
    """List the trained networks, and whether each is finished, unfinished, failed or damaged."""
    from rich.console import Console

    from firstlight.report.runs import runs_table
    from firstlight.training import stored_runs

    runs = stored_runs(_store(out))
    Console().print(runs_table(runs))
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{len(runs)} runs in {_store(out)}" + (f": {counts}" if counts else ""))


@runs_app.command(name="show")
def show_run(name: str, *, out: Out = DEFAULT_OUT) -> None:
    """Show one run in full: what was trained, how well it learnt, on what machine.

    Parameters
    ----------
    name
        The run's hash, or as much of its beginning as no other run has.
    """
    from rich.console import Console

    from firstlight.report.runs import run_details
    from firstlight.training import find_run

    Console().print(run_details(find_run(_store(out), name)))


@runs_app.command(name="clean")
def clean_runs(
    *names: str,
    out: Out = DEFAULT_OUT,
    state: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
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
    from firstlight.training import find_run, remove_runs, stored_runs
    from firstlight.training.store import STATES

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
    for run in runs:
        print(f"{'would remove' if dry_run else 'removed'} {run.hash} ({run.state})")
    if not runs:
        print(f"nothing to remove in {store}: no run is {' or '.join(wanted)}")


def _store(out: Path) -> Path:
    from firstlight.reproduction import RUNS

    return out.expanduser() / RUNS


@data_app.command(name="list")
def list_data(*, data_dir: DataDir = None) -> None:
    """List the data sets, and whether they are there already."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from firstlight.images import data_sets

    table = Table()
    for header in ("name", "what it is", "there?", "where"):
        table.add_column(header, overflow="fold")
    for info in data_sets(data_dir=data_dir):
        table.add_row(
            info.name,
            f"{info.description}; {info.size}",
            "yes" if info.present else "no",
            escape(str(info.location or "-")),
        )
    Console().print(table)


@data_app.command
def fetch(name: str, *, data_dir: DataDir = None) -> None:
    """Download a data set, check it, and print the folder that it is in.

    Parameters
    ----------
    name
        cifar10, cifar100 or photos.
    """
    from firstlight.images import fetch as run

    print(run(name, data_dir=data_dir))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done, and for `reproduce` every tested claim reproduced; 1: some claims were not; 2: bad input, told in
    one line; 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters gets question marks
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image is said in the summary
    logging.basicConfig(format="firstlight: %(message)s")
    logging.getLogger("firstlight").setLevel(logging.INFO)  # that a run goes on where it was, say
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes at exit
        return 0
    except (CycloptsError, FirstlightError, OSError) as error:
        print(f"firstlight: error: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(
            "firstlight: interrupted; what takes long goes on where it was when the same command is given again",
            file=sys.stderr,
        )
        return INTERRUPTED
    return result if isinstance(result, int) else 0
