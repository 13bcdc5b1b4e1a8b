"""The command `atlas`: known networks among which `inspect` places a first layer, those of the package or one's own."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from firstlight.cli.output import Json, Place, give_json, result_console
from firstlight.cli.safe_outputs import Force, Target, check_outputs, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.given import user_path
from firstlight.utils.whole_files import PRINTED

if TYPE_CHECKING:
    from firstlight.inspection.known import Known

atlas_app = App(name="atlas", help="List known networks, or collect your own.")


@atlas_app.command(name="list")
def list_networks(
    *, atlas: Path | None = None, json: Json = None, force: Force = False, verbosity: Verbosity = USUAL
) -> None:
    """List the known networks.

    Parameters
    ----------
    atlas
        A collection of your own, in place of the package's.
    """
    from dataclasses import asdict

    from rich.text import Text

    from firstlight.inspection.atlas import described
    from firstlight.utils.text import printable

    check_outputs([json_target(json, "name")], [atlas], force)
    verbosity.apply()
    known = _known(atlas)
    console = result_console(json)
    for line in described(known):
        console.print(Text(printable(line), overflow="fold"))
    give_json(json, [asdict(one) for one in known])


@atlas_app.command
def build(*sources: str, out: Place, family: str = "", layer: str | None = None, verbosity: Verbosity = USUAL) -> int:
    """Collect the first layers of networks in a new file, for `inspect --atlas`.

    Profiles and measures are kept, no weights. A source that cannot be read is told, and left out; the exit code is
    then 2.

    Parameters
    ----------
    sources
        As of `inspect`.
    out
        The file; it must not be there yet. - prints it.
    family
        What kind of architecture they are. Default: unknown.
    layer
        Name of the layer to take instead of the first.
    """
    if out.is_file():
        raise InputError(f"{out} is there already; expected a new file: firstlight atlas add --atlas {out} SOURCE...")
    check_outputs([Target("--out", out, lambda _: True)], sources)
    if str(out) == "-":
        out, verbosity = PRINTED, replace(verbosity, quiet=True, verbose=False)
    return _collect(sources, out, [], family, layer, verbosity)


@atlas_app.command
def add(*sources: str, atlas: Path, family: str = "", layer: str | None = None, verbosity: Verbosity = USUAL) -> int:
    """Add the first layers of networks to a collection of your own.

    Parameters
    ----------
    sources
        As of `inspect`; what is there of the same name is replaced.
    atlas
        The file that `atlas build` wrote.
    family
        What kind of architecture they are. Default: unknown.
    layer
        Name of the layer to take instead of the first.
    """
    from firstlight.inspection.atlas import read_atlas

    path = user_path(atlas)
    check_outputs([Target("--atlas", path, lambda _: True)], sources)
    return _collect(sources, path, read_atlas(path), family, layer, verbosity)


@atlas_app.command
def check(*, atlas: Path | None = None, json: Json = None, force: Force = False, verbosity: Verbosity = USUAL) -> None:
    """Say how often the nearest known network is of the same family, each being left out in turn.

    Parameters
    ----------
    atlas
        A collection of your own, in place of the package's.
    """
    from dataclasses import asdict

    from firstlight.inspection.atlas import leave_one_out
    from firstlight.utils.text import counted

    check_outputs([json_target(json, "weights")], [atlas], force)
    verbosity.apply()
    known = _known(atlas)
    found = {
        what: leave_one_out([one for one in known if one.change == change])
        for what, change in (("weights", False), ("change", True))
    }
    console = result_console(json)
    for what, left in found.items():
        if left.entries:
            console.print(
                f"{what}: the nearest of another name is of the same family for {left.same} of "
                f"{counted(left.entries, 'entry', 'entries')} ({left.same / left.entries:.0%}); any other, drawn at "
                f"random, would be for {left.chance:.0%}",
                highlight=False,
            )
        else:
            console.print(f"{what}: nothing to compare", highlight=False)
    give_json(json, {what: asdict(left) if left.entries else None for what, left in found.items()})


def _known(atlas: Path | None) -> "list[Known]":
    from firstlight.inspection.atlas import read_atlas, shipped_atlas

    return list(shipped_atlas()) if atlas is None else read_atlas(user_path(atlas))


def _collect(
    sources: tuple[str, ...], path: Path, known: "list[Known]", family: str, layer: str | None, verbosity: Verbosity
) -> int:
    from firstlight.cli.inspection_options import print_failures
    from firstlight.inspection.atlas import entry_of, write_atlas
    from firstlight.inspection.inspect_banks import inspect_all, load_banks
    from firstlight.inspection.inspection import Inspection
    from firstlight.inspection.not_inspected import Failure
    from firstlight.utils.text import counted, printable

    if not sources:
        raise InputError("atlas was given no source; expected a file of weights, or several")
    verbosity.apply()
    found = inspect_all(load_banks(sources, layer))
    new = [entry_of(one, one.source, family or "unknown", one.source) for one in found if isinstance(one, Inspection)]
    names = {one.name for one in new}
    if new:
        write_atlas(path, [*(one for one in known if one.name not in names), *new])
        if not verbosity.quiet:
            print(printable(f"{path}: {counted(len(new), 'network')} added"))
    return print_failures([one for one in found if isinstance(one, Failure)])
