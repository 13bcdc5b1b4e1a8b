"""The command `theory`: eq. 3 for the patches of a data set, over time."""

from typing import Annotated

from cyclopts import Parameter

from firstlight.cli.folders import DataDir
from firstlight.cli.inspection_options import Layout
from firstlight.cli.output import Json, Place, give_json, hint, print_line, result_console, write_csv
from firstlight.cli.safe_outputs import Force, check_folder, check_outputs, csv_target, drawn_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.cli.whole import WholeIfGiven
from firstlight.utils.text import printable


def theory(
    *,
    data: str = "cifar10",
    data_dir: DataDir = None,
    layout: Layout = None,
    only: list[str] | None = None,
    kernel_size: WholeIfGiven = None,
    lr: float = 0.01,
    steps: Annotated[list[float] | None, Parameter(consume_multiple=True, negative=())] = None,
    out: Place | None = None,
    json: Json = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Show eq. 3: the profile that a linear CNN learns.

    After several numbers of steps, as a table and as a figure.

    Parameters
    ----------
    data
        As for inspect: a name, a folder or a file of images, or a file of patch moments.
    layout
        NCHW or NHWC, of images in an array whose shape does not tell.
    only
        Which images of a folder to read, as a pattern of their names, such as '*.jpg'. May be repeated.
    kernel_size
        Side of the patches, in pixels. Default: 3, or that of the moments.
    lr
        Learning rate of the linear CNN.
    steps
        Numbers of gradient steps, such as --steps 1 100 10000 inf. Default: from early to whitened.
    out
        Also write the table (CSV) and the figure (SVG, PNG) into this folder.
    """
    from firstlight.figures.svg import svg, write_figure
    from firstlight.patches.statistics import basis_of_size, patch_statistics
    from firstlight.report.theory_tables import theory_figure, theory_lines, theory_table
    from firstlight.theory.over_time import formula_over_time

    written = [json_target(json, "data")]
    if out is not None:
        check_folder("--out", out, [data, data_dir])
        written.append(csv_target(out / "theory.csv", "component", "variance", option="--out"))
        written += [drawn_target("--out", out / f"theory.{kind}") for kind in ("svg", "png")]
    check_outputs(written, (data, data_dir), force)
    verbosity.apply()
    console = result_console(json)
    statistics = patch_statistics(data, data_dir, layout=layout, only=only)
    found = formula_over_time(basis_of_size(statistics, kernel_size), lr, steps)
    for line in theory_lines(found, statistics.data):
        console.print(printable(line), markup=False)
    console.print(theory_table(found, console.width))
    hint(console, "τ = lr × steps, on pixels normalised per channel", verbosity.quiet)
    hint(console, "energy profile: a bar a component, relative to the highest", verbosity.quiet)
    if out is not None:
        write_csv(out / "theory.csv", [found.to_frame()])
        figure = theory_figure(found)
        write_figure(figure, svg(figure), out / "theory")
        if not verbosity.quiet:
            print_line(console, f"Written: {out / 'theory.csv'}, theory.svg, theory.png")
    give_json(json, {"data": statistics.data, **found.to_dict()})
