"""The program: its commands. Whatever costs time to import is imported inside the commands."""

import gc
import os
import re
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError, MissingArgumentError

from firstlight.cli import completion
from firstlight.cli.atlas import atlas_app
from firstlight.cli.clean import clean
from firstlight.cli.compare import compare
from firstlight.cli.data import data_app
from firstlight.cli.figures import figures
from firstlight.cli.initialise import initialise
from firstlight.cli.inspect import inspect
from firstlight.cli.lists import lists_last
from firstlight.cli.missing import missing
from firstlight.cli.moments import moments
from firstlight.cli.overview import OVERVIEW
from firstlight.cli.reproduce import reproduce
from firstlight.cli.runs import runs_app
from firstlight.cli.theory import theory
from firstlight.cli.verbosity import log_on_stderr
from firstlight.cli.watch import watch
from firstlight.errors import InputError
from firstlight.utils.text import one_line
from firstlight.utils.version import __version__

app = App(
    name="firstlight",
    help="Measure, explain and reproduce what the first layer of a convolutional network learns.",
    version=f"firstlight {__version__}",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # how to go on is said where the program ends
)
for command in (
    inspect,
    compare,
    watch,
    moments,
    figures,
    data_app,
    runs_app,
    reproduce,
    theory,
    initialise,
    atlas_app,
    clean,
):
    app.command(command)


@app.command(name="--install-completion")
def install_completion(*, shell: completion.Shell | None = None) -> None:
    """Have the shell complete commands when Tab is pressed.

    Options are completed, too. This writes a script into your home folder.

    Parameters
    ----------
    shell
        Default: the shell that this runs in.
    """
    print(completion.install(app, shell))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    gc.set_threshold(100_000, 20, 20)  # figures are millions of objects: cycles are looked for less
    os.environ["MPLBACKEND"] = "agg"  # figures are drawn without one, and a wrong name would stop matplotlib
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image is said in the summary
    if not arguments:
        print(OVERVIEW, end="")
        return 0
    empty = [one for one in arguments if re.fullmatch(r"(--[\w-]+=)?", one)]
    if empty:
        raise InputError(f"an argument is empty ({empty[0]!r}); expected a name or a value: give one, or leave it out")
    try:
        with log_on_stderr():
            result = app(lists_last(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except MissingArgumentError as error:
        raise missing(error, arguments) from None
    except CycloptsError as error:
        raise InputError(one_line(error)) from None
    return result if isinstance(result, int) else 0
