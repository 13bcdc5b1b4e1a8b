"""The record that comes with firstlight, and its runs for a reproduction that would train them again."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from firstlight.errors import InputError, RunError
from firstlight.reproduction.folder import RECORD, RUNS
from firstlight.training import Run
from firstlight.utils.partials import PARTIAL


def recorded_results() -> Path:
    """The record that comes with firstlight: in its source tree, or inside the installed package.

    Raises
    ------
    InputError
        There is none.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "results", package.parents[1] / "results"):
        if (folder / RECORD).is_file():
            return folder
    expected = package.parents[1] / "results" / RECORD
    raise InputError(f"no recorded results here; expected {expected}: clone the repository")


def take_recorded(hashes: Iterable[str], store: Path) -> int:
    """Copy the recorded runs of these hashes into a store that has not begun them; returns how many.

    Raises
    ------
    RunError
        A recorded run is damaged, or the store cannot be written.
    """
    with suppress(InputError):
        recorded = recorded_results() / RUNS
        wanted = [name for name in hashes if (recorded / name).is_dir() and not (store / name).exists()]
        try:
            for name in wanted:
                Run.load(recorded / name)  # whole and undamaged
                partial = store / f"{PARTIAL}{name}"
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(recorded / name, partial, copy_function=shutil.copyfile)  # which can be written
                partial.rename(store / name)
        except OSError as error:
            raise RunError(
                f"{store} cannot be written ({error.strerror}); expected a folder for the runs: give another --out"
            ) from None
        return len(wanted)
    return 0
