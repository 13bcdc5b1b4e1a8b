"""The pictures that README and docs show, made from recorded results: `make pictures` writes them again.

They are SVG files with a background of their own, so that they can be read on a light and on a dark page.
"""

import io
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from firstlight.errors import FirstlightError, InputError
from firstlight.experiments.results import Reproduction
from firstlight.reproduction.record import recorded
from firstlight.utils.whole_files import write_text

TERMINAL = "inspect"  # the picture of a command's output
_NETWORK, _COLUMNS = "vgg11", 80


def pictures(reproduction: Reproduction) -> dict[str, str]:
    """Every figure of a reproduction by EXPERIMENT_FIGURE, and what `inspect` prints of one of its networks, as SVG."""
    found = {
        f"{result.experiment}_{name}": entry.svg
        for result in reproduction.results
        for name, entry in result.figures.items()
    }
    runs = [run for result in reproduction.results for run in result.runs if run.spec.model == _NETWORK]
    if runs:
        found[TERMINAL] = inspect_picture({_NETWORK: runs[0].final, f"{_NETWORK}-initial": runs[0].initial})
    return found


def inspect_picture(weights: Mapping[str, np.ndarray]) -> str:
    """What `firstlight inspect NAME.npy --initial OTHER.npy` prints, as a picture of a terminal.

    Parameters
    ----------
    weights : mapping of str to ndarray, shape (K, C, k, k)
        NAME with the trained filters, then OTHER with the initial ones.
    """
    from rich.console import Console

    from firstlight.filters import load_filters
    from firstlight.inspection.inspect_banks import inspect_all, load_banks
    from firstlight.inspection.not_inspected import Failure
    from firstlight.report.filter_tables import inspection_parts

    trained, initial = (f"{name}.npy" for name in weights)
    with tempfile.TemporaryDirectory() as place:
        for name, weight in weights.items():
            np.save(Path(place) / f"{name}.npy", weight.astype(np.float32))
        banks = load_banks([str(Path(place) / trained)], None, False)
        (found,) = inspect_all(banks, None, initial=load_filters(str(Path(place) / initial)))
    if isinstance(found, Failure):
        raise InputError(found.error)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    found = replace(found, bank=replace(found.bank, source=trained))  # and not the folder that it was in
    for part in inspection_parts(found, _COLUMNS):
        console.print(part)
    title = f"firstlight inspect {trained} --initial {initial}"
    return _plain_fonts(console.export_svg(title=title, unique_id=TERMINAL))


def _plain_fonts(svg: str) -> str:
    """The picture without fonts that a browser would have to load."""
    lines = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace", lines)


def write_pictures(reproduction: Reproduction, folder: Path) -> None:
    """Write all pictures into a folder, as NAME.svg, and remove from it those that are no longer made."""
    made = pictures(reproduction)
    for name, text in made.items():
        write_text(folder / f"{name}.svg", text)
    for path in folder.glob("*.svg"):
        if path.stem not in made:
            path.unlink()


if __name__ == "__main__":
    try:
        write_pictures(recorded(results=sys.argv[1]), Path(sys.argv[2]))
    except FirstlightError as error:
        sys.exit(f"pictures: error: {error}")
