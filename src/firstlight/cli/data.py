"""The command `data`: the data sets that there are, and fetching them."""

from dataclasses import asdict

from cyclopts import App

from firstlight.cli.folders import DataDir
from firstlight.cli.output import Json, give_json, result_console
from firstlight.cli.safe_outputs import Force, check_outputs, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.utils.text import printable

data_app = App(name="data", help="List and fetch data sets.")


@data_app.command(name="list")
def list_data(
    *, data_dir: DataDir = None, json: Json = None, force: Force = False, verbosity: Verbosity = USUAL
) -> None:
    """List the data sets, and whether they are there already."""
    from rich.text import Text

    from firstlight.images import data_sets
    from firstlight.report.terminal import grid

    check_outputs([json_target(json, "name")], [data_dir], force)
    verbosity.apply()
    table = grid()
    found = data_sets(data_dir=data_dir)
    for info in found:
        absent = f"not in {info.location}" if info.location else "not here"
        there = f"in {info.location}" if info.present else f"{absent}: firstlight data fetch {info.name}"
        for number, line in enumerate((info.description, info.size, there)):
            table.add_row("" if number else info.name, Text(line))
    result_console(json).print(table)
    give_json(json, [{**asdict(info), "location": info.location and str(info.location)} for info in found])


@data_app.command
def fetch(name: str, *, data_dir: DataDir = None, verbosity: Verbosity = USUAL) -> None:
    """Download a data set, check it, and print the folder that it is in.

    Parameters
    ----------
    name
        cifar10, cifar100 or photos.
    """
    from firstlight.images import fetch as run

    verbosity.apply()
    print(printable(str(run(name, data_dir=data_dir))))
