"""The command `clean`: what killed commands left behind, shown, and removed where that is asked for."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from firstlight.cli.folders import DEFAULT_OUT, DataDir
from firstlight.cli.output import Flag, Json, give_json, hint, print_line, result_console
from firstlight.cli.safe_outputs import Force, check_outputs, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError

_STATE = ".npz.part"  # of `moments`


def clean(
    *folders: str,
    yes: Flag = False,
    data_dir: DataDir = None,
    json: Json = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Show and clear what killed commands left behind.

    It is shown, and removed with --yes: unfinished files (.part-...) that no process writes any more, and folders of
    downloads and runs that were begun and left for an hour. The states of interrupted `moments` (FILE.npz.part), which
    the same command goes on from, are listed, and stay.

    Parameters
    ----------
    folders
        Where to look, below them as well. Default: the folder for data sets, and firstlight-out.
    yes
        Remove what is shown.
    """
    from rich.filesize import decimal

    from firstlight.images.cache import cache_dir
    from firstlight.utils.given import user_path
    from firstlight.utils.partials import leftovers, remove_free

    verbosity.apply()
    check_outputs([json_target(json, "removed")], (), force)
    given = [user_path(folder) for folder in folders]
    for folder in given:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; expected one to look for unfinished files in: name it")
    places = given or [path for path in (cache_dir(data_dir), DEFAULT_OUT) if path.is_dir()]
    found = list(dict.fromkeys(path for place in places for path in leftovers(place)))
    sizes = [_size(path) for path in found]
    if yes:
        for path in found:
            shutil.rmtree(path) if path.is_dir() else remove_free(path)
    console = result_console(json)
    for path, size in zip(found, sizes, strict=True):
        print_line(console, f"{'removed' if yes else 'would remove'} {path} ({decimal(size)})")
    states = list(dict.fromkeys(path for place in places for path in _states(place)))
    for path in states:
        print_line(console, f"kept {path}: the same `moments` goes on from there")
    if not found:
        looked = ", ".join(map(str, places)) or "any folder"
        hint(console, f"nothing to remove in {looked}", verbosity.quiet)
    elif not yes:
        hint(console, "to remove them, give the same command with --yes", verbosity.quiet)
    named = [{"path": str(path), "bytes": size} for path, size in zip(found, sizes, strict=True)]
    give_json(json, {"removed": yes, "unfinished": named, "states": [str(path) for path in states]})


def _states(top: Path) -> Iterator[Path]:
    for place, _, names in os.walk(top):
        paths = (Path(place, name) for name in names if name.endswith(_STATE) and not name.startswith(".part-"))
        yield from (path for path in paths if path.is_file() and zipfile.is_zipfile(path))


def _size(path: Path) -> int:
    return sum(one.lstat().st_size for one in (path, *path.rglob("*")) if not one.is_dir())
