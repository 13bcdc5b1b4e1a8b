"""The command line: parse, call, print. Whatever costs time to import is imported inside the commands."""

import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from firstlight import __version__
from firstlight.errors import FirstlightError

BAD_INPUT, INTERRUPTED = 2, 130

app = App(
    name="firstlight",
    help="Measure, explain and reproduce what the first layer of a convolutional network learns.",
    version=f"firstlight {__version__}",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # main says how to go on
)
data_app = App(name="data", help="The data sets that firstlight knows, and where they are.")
app.command(data_app)

DataDir = Annotated[
    Path | None,
    Parameter(help="Folder for data sets, or one that already holds the original CIFAR files [env: FIRSTLIGHT_CACHE]."),
]


@app.command
def reproduce(
    *experiments: str,
    preset: Literal["quick", "standard", "full"] = "quick",
    data: str | None = None,
    data_dir: DataDir = None,
    device: str = "auto",
    out: Path = Path("firstlight-out"),
) -> int:
    """Train networks, test the published claims on them, and write tables, figures and a report.

    Experiments: **formula** (seed section 3, Figure 1): does eq. 3 fit VGG11 and ResNet20?

    What each preset trains for *formula*, after the data is there:

    - quick: 2 seeds of VGG11 (20 steps) and ResNet20 (64 steps): 2 to 4 minutes on 2 CPU cores
    - standard: 3 seeds, 2 epochs of VGG11 and 5 of ResNet20 on CIFAR-10: about an hour on 2 CPU cores
    - full: 3 seeds, 30 epochs each on CIFAR-10, the paper's protocol: for one GPU

    An interrupted command goes on where it was when it is given again. The exit code is 0 when every claim that was
    tested was reproduced, 1 when some were not, 2 for bad input.

    Parameters
    ----------
    experiments
        Names of experiments; none for all.
    preset
        How much to train.
    data
        cifar10, cifar100, photos, or an .npz file with a train and a test split of labelled images, at least 256
        and 32 x 32 pixels. Default: cifar10, or photos where that cannot be had.
    device
        auto, cpu, cuda or cuda:N.
    out
        Folder for results and trained runs.
    """
    from rich.console import Console

    from firstlight.report import claims_table
    from firstlight.reproduction import reproduce as run

    found = run(experiments, preset=preset, data=data, data_dir=data_dir, device=device, out=out)
    console = Console()
    console.print(claims_table(found.claims))
    for claim in found.claims:
        if claim.name.endswith("/correlation"):
            console.print(f"{claim.name}: {claim.measured}", highlight=False)
    print(f"{found.summary}, preset {preset}.")
    print(f"Report: {found.report}")
    return 0 if found.all_reproduced else 1


@app.command
def theory(
    *,
    data: str = "cifar10",
    data_dir: DataDir = None,
    kernel_size: int = 3,
    lr: float = 0.01,
    steps: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
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
    logging.basicConfig(format="firstlight: %(message)s")
    logging.getLogger("firstlight").setLevel(logging.INFO)  # that a run goes on where it was, say
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes at exit
        return 0
    except (CycloptsError, FirstlightError, OSError) as error:
        print(f"firstlight: error: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("firstlight: interrupted; a training goes on when the same command is given again", file=sys.stderr)
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
