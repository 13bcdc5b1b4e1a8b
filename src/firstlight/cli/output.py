"""What all commands share about their output: results on standard output, the rest on standard error."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from cyclopts import Parameter

from firstlight.errors import InputError
from firstlight.utils.csv_text import csv_text
from firstlight.utils.given import user_path
from firstlight.utils.text import first_line, printable
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from cyclopts import Token
    from rich.console import Console, RenderableType


def _path(_: object, tokens: "Sequence[Token]") -> Path:
    name = tokens[0].value
    if not name:
        raise ValueError("an empty name; expected that of a file")
    return user_path(name)


Output = Annotated[Path | None, Parameter(allow_leading_hyphen=True, converter=_path)]  # "-" is standard output
Place = Annotated[Path, Parameter(allow_leading_hyphen=True, converter=_path)]
Flag = Annotated[bool, Parameter(negative=())]
Json = Annotated[
    Path | None,
    Parameter(
        allow_leading_hyphen=True,
        converter=_path,
        help="Write the results into this file; - prints them, and nothing else.",
    ),
]
_WIDEST = 100
_NARROWEST = 40  # where no sentence stands on one letter a line


def result_console(*outputs: Path | None) -> "Console":
    """Where tables go: standard output, or nowhere where that is for an output."""
    from firstlight.cli.trimming import Trimming
    from firstlight.utils.visible_console import VisibleConsole

    console = VisibleConsole(quiet="-" in map(str, outputs))
    console.on_broken_pipe = _broken_pipe  # rich would exit with 1, which says that claims were not reproduced
    console.push_render_hook(Trimming())
    return console


def _broken_pipe() -> NoReturn:
    raise BrokenPipeError


def text_width(console: "Console") -> int:
    """The columns that sentences may take: in long lines they are hard to read."""
    return max(_NARROWEST, min(console.width, _WIDEST))


def print_parts(console: "Console", parts: "Iterable[RenderableType]") -> None:
    """Print the parts of a result, in `text_width`."""
    for part in parts:
        console.print(part, width=text_width(console))


def print_line(console: "Console", text: str) -> None:
    """Print one line as it is, whatever brackets or breaks it has and however long it is."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def hint(console: "Console", text: str, quiet: bool = False) -> None:
    """A line that helps to read a result or to go on from it, as it is, whatever brackets it has."""
    if not quiet:
        console.print(printable(text), style="dim", highlight=False, markup=False, soft_wrap=not console.is_terminal)


def give_json(json: Path | None, value: Any) -> None:
    """Write JSON where it was asked for: into a file, or on standard output where that is "-"."""
    if json is None:
        return
    try:
        text = dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InputError(
            f"--json is given, but the results are not finite ({first_line(error)}); expected weights and data whose "
            "squares are: scale them"
        ) from None
    give_text(json, text + "\n")


def give_text(path: Path, text: str) -> None:
    """Write text into a file, or on standard output where that is "-"."""
    if str(path) == "-":
        print(text, end="")
    else:
        write_text(path, text)


def write_csv(path: Path, frames: "Sequence[pd.DataFrame]") -> None:
    """Write tables of the same columns beneath each other, or print them; floats keep all their digits."""
    import pandas as pd

    give_text(path, csv_text(pd.concat(frames), index=False))
