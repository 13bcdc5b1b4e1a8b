"""The figures of a folder of results, by name, in publication form."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import InputError
from firstlight.experiments import EXPERIMENTS
from firstlight.figures.styles import Style, use
from firstlight.report.publication import Drawn, Format, drawn
from firstlight.reproduction.folder import DRAWING_SECONDS
from firstlight.reproduction.rebuild import rebuild
from firstlight.utils.progress_line import Line, in_turn
from firstlight.utils.whole_files import atomic_write

if TYPE_CHECKING:
    from rich.console import Console


def draw_figures(
    folder: Path,
    style: Style,
    formats: Sequence[Format],
    names: Sequence[str] = (),
    console: "Console | None" = None,
) -> list[Drawn]:
    """Draw the figures of a folder of results in a style.

    Parameters
    ----------
    folder : Path
        A record, or what `reproduce` wrote; it is analysed again, without training and without images.
    style : Style
    formats : sequence of {"pdf", "svg", "png"}
    names : sequence of str
        Experiments, or single figures such as "formula/pairs"; empty for all.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Raises
    ------
    InputError
        The folder holds no results, or not these figures.
    RunError
        Something in the folder is missing or damaged.
    """
    experiments = list(dict.fromkeys(name.split("/")[0] for name in names))
    with use(style), Line(console) as line:
        line.later = DRAWING_SECONDS * (len(experiments) or len(EXPERIMENTS))
        found = rebuild(folder, experiments, command="firstlight figures", console=console)
        line.later = 0.0
        entries = {f"{result.experiment}/{key}": fig for result in found.results for key, fig in result.figures.items()}
        wanted = chosen_figures(names, list(entries), folder)
        turns = in_turn(wanted, line, "drawing", str, lambda _: DRAWING_SECONDS / 3)
        return [drawn(name, entries[name], style, formats) for name in turns]


def write_drawn(figures: Iterable[Drawn], folder: Path) -> list[Path]:
    """Write figures into a folder, each as `EXPERIMENT_FIGURE.FORMAT`; returns the files.

    Raises
    ------
    OutputError
        One cannot be written.
    """
    paths = []
    for figure in figures:
        for kind, content in figure.files.items():
            path = folder / figure.file_name(kind)
            with atomic_write(path) as file:
                file.write(content)
            paths.append(path)
    return paths


def chosen_figures(names: Sequence[str], there: Sequence[str], folder: Path) -> list[str]:
    """The figures that some names ask for, in the order of the experiments."""
    wanted: set[str] = set()
    for name in names:
        those = [figure for figure in there if name in (figure, figure.split("/")[0])]
        if not those:
            own = [figure for figure in there if figure.split("/")[0] == name.split("/")[0]]
            close = difflib.get_close_matches(name, own, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"figure {name!r} is not in {folder}; expected one of {', '.join(own) or 'none'}{hint}")
        wanted.update(those)
    return [figure for figure in there if not names or figure in wanted]


def is_name(text: str) -> bool:
    """Whether a text names an experiment or one of its figures, and not a folder."""
    return text.split("/")[0] in EXPERIMENTS
