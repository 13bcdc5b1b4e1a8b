"""The command line, a file a command: parse, call, print.

Read first: `output.py`.
"""

import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from firstlight.cli import completion
from firstlight.cli.engine_options import LOCAL, EngineOptions
from firstlight.cli.figures import figures
from firstlight.cli.filters import compare, inspect
from firstlight.cli.moments import moments
from firstlight.cli.output import PLAIN, Flag, Json, Quiet, be_quiet, give_json, result_console
from firstlight.cli.stores import DEFAULT_OUT, DataDir, data_app, runs_app
from firstlight.errors import FirstlightError, InputError
from firstlight.utils.progress import stop_bars
from firstlight.utils.text import one_line
from firstlight.utils.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from firstlight.experiments.results import Reproduction

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141

app = App(
    name="firstlight",
    help="Measure, explain and reproduce what the first layer of a convolutional network learns.",
    version=f"firstlight {__version__}",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # main says how to go on
)
app.command(inspect)
app.command(compare)
app.command(moments)
app.command(figures)
app.command(data_app)
app.command(runs_app)


@app.command
def reproduce(
    *experiments: str,
    preset: Literal["quick", "standard", "full"] = "quick",
    data: str | None = None,
    data_dir: DataDir = None,
    device: str = "auto",
    jobs: int = 1,
    engine_options: EngineOptions = LOCAL,
    out: Path | None = None,
    recorded: Flag = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    json: Json = None,
    quiet: Quiet = False,
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
    be_quiet(quiet)
    console = result_console(json)
    if list_:
        from firstlight.report.terminal import experiments_table
        from firstlight.reproduction.reproduction import chosen_experiments

        chosen = chosen_experiments(experiments)
        console.print(experiments_table(chosen))
        keys = ("name", "question", "answers", "costs")
        give_json(json, [{key: getattr(one, key) for key in keys} for one in chosen])
        return 0
    if recorded:
        found = _rebuilt(experiments, preset, data, device, jobs, engine_options, out)
    else:
        from firstlight.reproduction.reproduction import reproduce as run

        out = out or DEFAULT_OUT
        with engine_options.open_cluster() as engine:
            found = run(
                experiments,
                preset=preset,
                data=data,
                data_dir=data_dir,
                device=device,
                jobs=jobs,
                engine=engine,
                out=out,
            )
    _print_claims(found, console)
    claims = [claim.to_dict() for claim in found.claims]
    give_json(json, {"claims": claims, "about": found.about, "summary": found.summary, "report": str(found.report)})
    return 0 if found.all_reproduced else 1


def _rebuilt(
    experiments: Sequence[str],
    preset: str,
    data: str | None,
    device: str,
    jobs: int,
    engine_options: EngineOptions,
    out: Path | None,
) -> "Reproduction":
    """The recorded reproduction, written like one that was just made."""
    from dataclasses import replace

    from firstlight.reproduction.record import recorded
    from firstlight.reproduction.reproduction import write_reproduction

    given = {
        "preset": preset != "quick",
        "data": data,
        "device": device != "auto",
        "jobs": jobs != 1,
        "engine": engine_options != LOCAL,
    }
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
    console.print(f"{found.summary}, preset {found.about['preset']}.", **PLAIN)
    console.print(f"Report: {found.report}", **PLAIN)


@app.command(name="--install-completion")
def install_completion(*, shell: completion.Shell | None = None) -> None:
    """Have the shell complete commands and options when Tab is pressed: writes a script into your home folder.

    Parameters
    ----------
    shell
        Default: the shell that this runs in.
    """
    print(completion.install(app, shell))


@app.command
def theory(
    *,
    data: str = "cifar10",
    data_dir: DataDir = None,
    kernel_size: int = 3,
    lr: float = 0.01,
    steps: Annotated[list[float] | None, Parameter(consume_multiple=True, negative=())] = None,
    out: Path | None = None,
    json: Json = None,
    quiet: Quiet = False,
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
    from firstlight.report.theory_tables import show_theory

    be_quiet(quiet)
    found = show_theory(data, data_dir, kernel_size, lr, steps, out, result_console(json), hints=not quiet)
    give_json(json, found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done, and for `reproduce` every tested claim reproduced; 1: some claims were not; 2: bad input, told in
    one line; 130: interrupted; 141: whoever read the output went away before its end, as `head` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters gets question marks
    os.environ["MPLBACKEND"] = "agg"  # figures are drawn without one, and a wrong name would stop matplotlib
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image is said in the summary
    logging.basicConfig(format="firstlight: %(message)s")
    be_quiet(False)
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes at exit
        return BROKEN_PIPE
    except (CycloptsError, FirstlightError, OSError) as error:
        print(f"firstlight: error: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        stop_bars()
        print(
            "firstlight: interrupted; what takes long goes on where it was when the same command is given again",
            file=sys.stderr,
        )
        return INTERRUPTED
    finally:
        be_quiet(False)
    return result if isinstance(result, int) else 0
