"""The program: its commands, and how it ends. Whatever costs time to import is imported inside the commands."""

import gc
import io
import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from firstlight.cli import completion
from firstlight.cli.atlas import atlas_app
from firstlight.cli.compare import compare
from firstlight.cli.data import data_app
from firstlight.cli.figures import figures
from firstlight.cli.inspect import inspect
from firstlight.cli.lists import lists_last
from firstlight.cli.moments import moments
from firstlight.cli.overview import OVERVIEW
from firstlight.cli.reproduce import reproduce
from firstlight.cli.runs import runs_app
from firstlight.cli.theory import theory
from firstlight.cli.verbosity import log_on_stderr
from firstlight.errors import FirstlightError
from firstlight.utils.progress_line import stop_line
from firstlight.utils.text import one_line
from firstlight.utils.version import __version__

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141

app = App(
    name="firstlight",
    help="Measure, explain and reproduce what the first layer of a convolutional network learns.",
    version=f"firstlight {__version__}",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # main says how to go on
)
for command in (inspect, compare, moments, figures, data_app, runs_app, reproduce, theory, atlas_app):
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done; 1: some claims were not reproduced, of `reproduce --check` alone; 2: bad input, told in one line; 130:
    interrupted; 141: whoever read the output went away before its end, as `head` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters gets question marks
    gc.set_threshold(100_000, 20, 20)  # figures are millions of objects: cycles are looked for less
    os.environ["MPLBACKEND"] = "agg"  # figures are drawn without one, and a wrong name would stop matplotlib
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with an image is said in the summary
    try:
        if not arguments:
            print(OVERVIEW, end="")
            return 0
        with log_on_stderr():
            result = app(lists_last(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes at exit
        return BROKEN_PIPE
    except (CycloptsError, FirstlightError, OSError) as error:
        print(f"firstlight: error: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        stop_line()
        print(
            "firstlight: interrupted; what takes long goes on where it was when the same command is given again",
            file=sys.stderr,
        )
        return INTERRUPTED
    return result if isinstance(result, int) else 0
