"""The record that comes with firstlight, and its runs for a reproduction that would train them again."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from firstlight.errors import InputError, RunError
from firstlight.reproduction.folder import MEASUREMENTS, RECORD, RUNS
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
    return _take(RUNS, hashes, store)


def take_recorded_accuracy(names: Iterable[str], store: Path) -> int:
    """Copy the recorded measurements of these files into a store that has not made them; returns how many.

    Raises
    ------
    RunError
        The store cannot be written.
    """
    return _take(MEASUREMENTS, names, store)


def _take(part: str, names: Iterable[str], store: Path) -> int:
    with suppress(InputError):
        recorded = recorded_results() / part
        wanted = [name for name in names if (recorded / name).exists() and not (store / name).exists()]
        try:
            store.mkdir(parents=True, exist_ok=True)
            for name in wanted:
                partial = store / f"{PARTIAL}{name}"
                if part == RUNS:
                    Run.load(recorded / name)  # whole and undamaged; a measurement is checked whenever it is read
                    shutil.rmtree(partial, ignore_errors=True)
                    shutil.copytree(recorded / name, partial, copy_function=shutil.copyfile)  # which can be written
                else:
                    shutil.copyfile(recorded / name, partial)
                partial.rename(store / name)
        except OSError as error:
            raise RunError(
                f"{store} cannot be written ({error.strerror}); expected a folder for the runs: give another --out"
            ) from None
        return len(wanted)
    return 0
