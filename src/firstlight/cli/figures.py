"""The command `figures`: what was found, drawn for a paper or for slides."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from firstlight.cli.output import Json, Place, give_json, hint, print_line, result_console
from firstlight.cli.safe_outputs import Force, check_folder, check_outputs, drawn_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.given import user_path
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

Formats = Annotated[tuple[Literal["pdf", "svg", "png"], ...], Parameter(name="--format", negative=())]


def figures(
    *given: Annotated[str, Parameter(name="DIR NAMES")],
    style: Literal["paper", "slides"] = "paper",
    format_: Formats = ("pdf",),
    out: Place | None = None,
    json: Json = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Draw what was found, for a paper or for slides.

    From results that are there: nothing is trained or downloaded.

    `firstlight figures` draws all figures of the recorded results as PDF files for a paper,
    `firstlight figures firstlight-out formula linear/regimes --style slides --format png` some of your own for slides.

    Parameters
    ----------
    given
        First a folder that `firstlight reproduce` wrote; none for the recorded results. Then experiments or single
        figures, such as formula/profile_against_formula; none for all. A folder that is called like an experiment is
        given as ./formula.
    style
        paper: 3.25 or 6.75 inches wide, the columns and the text width of ICML, with text of 8 points (legends 7) in
        STIX, which goes with Times. slides: 12 inches wide and at most 6.75 high (16:9), with text of 16 points.
    format_
        pdf with embedded TrueType fonts, svg with text as paths, png with 300 (slides: 200) dots an inch. May be given
        several times. The same results give the same bytes.
    out
        Folder for the files, EXPERIMENT_FIGURE.FORMAT. Default: figures-STYLE in the folder of results, or in
        firstlight-out/recorded.
    """
    from firstlight.figures.styles import STYLES
    from firstlight.reproduction.draw_figures import draw_figures, is_name, write_drawn
    from firstlight.reproduction.shipped_record import recorded_results

    verbosity.apply()
    own = user_path(given[0]) if given and not is_name(given[0]) else None
    names = given if own is None else given[1:]
    _check_names(names, own)
    target = out or (own or Path("firstlight-out/recorded")) / f"figures-{style}"
    check_folder("--out", target)
    formats = tuple(dict.fromkeys(format_))
    there = (path for kind in formats for path in target.glob(f"*_*.{kind}") if is_name(path.name.split("_")[0]))
    check_outputs([json_target(json, "style"), *(drawn_target("--out", path) for path in there)], [own], force)
    drawn = draw_figures(own or recorded_results(), STYLES[style], formats, names)
    paths = write_drawn(drawn, target)
    console = result_console(json)
    for path in paths:
        print_line(console, str(path))
    count = counted(len(drawn), "figure")
    hint(console, f"{count} in style {style}; --json - tells the captions", verbosity.quiet)
    result = [
        {
            "name": one.name,
            "title": one.title,
            "caption": one.caption,
            "inches": list(one.inches),
            "files": [str(target / one.file_name(kind)) for kind in one.files],
        }
        for one in drawn
    ]
    give_json(json, {"style": style, "figures": result})


def _check_names(names: "Sequence[str]", folder: Path | None) -> None:
    """Refuse what is no figure before anything is analysed."""
    from firstlight.reproduction.reproduction import chosen_experiments

    if folder is not None and not folder.is_dir():
        raise InputError(
            f"{str(folder)!r} is no folder, and no experiment that `firstlight reproduce --list` shows; expected a "
            "folder of results, or figures such as formula/profile_against_formula"
        )
    chosen_experiments([name.split("/")[0] for name in names])
