"""The command line, a file a command: parse, call, print.

Read first: `compare.py`.
"""

from collections.abc import Sequence

from firstlight.cli.ending import run_to_end

__all__ = ["app", "main"]

TYPE_CHECKING = False  # as in typing, which costs time to import
if TYPE_CHECKING:
    from firstlight.cli.command_line import app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done; 1: what was asked for with `--check` or `--fail-on` is not so; 2: bad input, or trouble, told in one line;
    130: interrupted; 141: whoever read the output went away before its end, as `head` does; 143: terminated.
    """
    return run_to_end(arguments)


def __getattr__(name: str) -> object:
    if name != "app":  # which costs time to import
        raise AttributeError(name)
    from firstlight.cli.command_line import app

    return app
