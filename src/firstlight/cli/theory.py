"""What the command `theory` loads, prints and writes: eq. 3 for the patches of a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.cli.output import write_csv
from firstlight.figures.svg import svg, write_figure
from firstlight.images import load_images
from firstlight.patches import patch_basis
from firstlight.report.theory_tables import theory_figure, theory_lines, theory_table
from firstlight.theory.over_time import formula_over_time

if TYPE_CHECKING:
    from rich.console import Console


def show_theory(
    data: str | Path,
    data_dir: Path | None,
    kernel_size: int,
    lr: float,
    steps: Sequence[float] | None,
    out: Path | None,
    console: "Console",
    *,
    hints: bool = True,
) -> dict[str, Any]:
    """Print eq. 3; with `out`, also write `theory.csv`, `.svg` and `.png` there; returns it in JSON's types."""
    images = load_images(data, data_dir=data_dir)
    found = formula_over_time(patch_basis(images, kernel_size), lr, steps)
    for line in theory_lines(found, images.name):
        console.print(line, markup=False)
    console.print(theory_table(found))
    if hints:
        console.print(
            "τ = lr × steps, on pixels normalised per channel; bars: energy by component, relative to its peak"
        )
    if out is not None:
        write_csv(out / "theory.csv", [found.to_frame()])
        figure = theory_figure(found)
        write_figure(figure, svg(figure), out / "theory")
        if hints:
            console.print(f"Written: {out / 'theory.csv'}, theory.svg, theory.png", soft_wrap=True, markup=False)
    return {"data": images.name, **found.to_dict()}
