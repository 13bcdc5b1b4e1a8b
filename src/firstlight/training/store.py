"""A folder of runs: what is in it, in which state, and how to be rid of it."""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from firstlight.errors import InputError, RunError
from firstlight.training.checkpoint import CHECKPOINT
from firstlight.training.describe import describe
from firstlight.training.failure import FAILED, stored_failure
from firstlight.training.run import FILTERS, METRICS, SEAL, SPEC, Run, read_spec
from firstlight.training.run_files import read_json, read_tensors
from firstlight.training.spec import RunSpec, hash_of
from firstlight.utils.given import user_path
from firstlight.utils.locks import LOCK, hold_if_free, is_held
from firstlight.utils.partials import PARTIAL
from firstlight.utils.trouble import refuse_trouble

State = Literal["finished", "training", "unfinished", "failed", "damaged", "refused"]
STATES: tuple[State, ...] = get_args(State)

_HASH = re.compile(r"[0-9a-f]{16}")
_FILES = {SPEC, FILTERS, METRICS, SEAL, CHECKPOINT, FAILED, LOCK}


@dataclass(frozen=True)
class StoredRun:
    """A run as it lies in a store.

    Attributes
    ----------
    hash : str
        16 hex digits, the name of its folder.
    path : Path
        The folder.
    state : State
        `"finished"`: every file was read and checked; `"training"`: by a process, now; `"unfinished"`: goes on when it
        is asked for again; `"failed"`: it diverged; `"damaged"`: trained again when it is asked for; `"refused"`: of a
        version of firstlight whose specs this one does not understand.
    spec : RunSpec or None
        What is trained; None where that cannot be read.
    step : int or None
        Updates done; None where that is not known.
    size : int
        Bytes on disk.
    detail : str
        What the state does not say: where it goes on, what failed, which file is damaged.
    """

    hash: str
    path: Path
    state: State
    spec: RunSpec | None
    step: int | None
    size: int
    detail: str


def stored_runs(store: Path | str) -> list[StoredRun]:
    """Every run of a store, by what it is, those of which that is not known last.

    What is no run (other files and folders, links) is left out, and nothing is written.

    Raises
    ------
    InputError
        There is no such folder.
    """
    runs = [_inspect(path) for path in _folders(store)]
    return sorted(runs, key=lambda run: (run.spec is None, describe(run.spec) if run.spec else "", run.hash))


def find_run(store: Path | str, prefix: str) -> StoredRun:
    """The run of a store whose hash begins with `prefix`.

    Raises
    ------
    InputError
        There is no such folder, or none of its runs begins so, or several do; the message names them.
    """
    folders = _folders(store)
    found = [path for path in folders if prefix and path.name.startswith(prefix.lower())]
    if len(found) == 1:
        return _inspect(found[0])
    if not folders:
        raise InputError(f"run {prefix!r} is not in {store}; expected a folder that holds runs")
    names = [path.name for path in found or folders]
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise InputError(
        f"run {prefix!r} is the beginning of {len(found) or 'no'} hashes in {store}; "
        f"expected that of one alone, of {listed}"
    )


def remove_runs(runs: Iterable[StoredRun]) -> None:
    """Remove runs from their store, each wholly or not at all; one that is gone already is no error.

    Raises
    ------
    InputError
        One of them is no folder of a run, holds files that are not a run's, or is trained now. Where that is seen in
        time, nothing is removed.
    OSError
        A folder cannot be removed.
    """
    paths = [run.path for run in runs if os.path.lexists(run.path)]
    for path in paths:
        _check_removable(path)
    for store in {path.parent for path in paths}:
        for leftover in store.glob(f"{PARTIAL}*"):  # of a removal that was killed
            if _HASH.match(leftover.name.removeprefix(PARTIAL)):
                shutil.rmtree(leftover, ignore_errors=True)
    for path in paths:
        _remove(path)


def _folders(store: Path | str) -> list[Path]:
    try:
        return sorted(path for path in user_path(store).iterdir() if _is_run_folder(path))
    except OSError as error:
        raise InputError(
            f"{store} cannot be listed ({error.strerror}); expected a folder of runs: train some with `firstlight "
            "reproduce`, or name the folder of its results with --out"
        ) from None


def _is_run_folder(path: Path) -> bool:
    """Whether a folder has the name of a run, and nothing in it or something of a run."""
    if not _HASH.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    try:
        names = set(os.listdir(path))
    except OSError:
        return True  # and damaged
    return not names or bool(names & _FILES)


def _inspect(path: Path) -> StoredRun:
    spec, step = None, None
    try:
        spec = _spec(path)
        state, step, detail = _state(path, spec)
    except _Refused as error:
        state, detail = "refused", str(error)
    except Exception as error:  # whatever one folder holds, the others are listed
        refuse_trouble(error, str(path))  # a damaged one would be removed, or trained again
        state, detail = "damaged", str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
    # The folder's own name, and what to do: whoever lists a store sees the one and decides the other.
    detail = detail.removesuffix(f": train again, or delete {path}").replace(f"{path}{os.sep}", "")
    return StoredRun(path.name, path, state, spec, step, _size(path), detail)


class _Refused(Exception):
    """A spec is whole, but not of this version."""


def _spec(path: Path) -> RunSpec | None:
    """The spec that a folder notes; None where it notes none, or a damaged one."""
    try:
        spec = read_spec(path / SPEC)
        return spec if spec.hash == path.name else None
    except RunError as error:
        if _is_whole(path):
            raise _Refused(str(error)) from None
        return None


def _is_whole(path: Path) -> bool:
    """Whether a folder notes the spec that it is named by, whatever that means."""
    try:
        noted = read_json(path / SPEC)
        found = hash_of(noted["spec"])
    except (RunError, KeyError, ValueError):  # the last of a number that no JSON has
        return False
    return noted.get("hash") == path.name == found


def _state(path: Path, spec: RunSpec | None) -> tuple[State, int | None, str]:
    """State, step and detail of a run; `RunError` where it is damaged."""
    damage = None
    if (path / SEAL).exists():
        try:
            return "finished", Run.load(path).spec.steps, ""
        except RunError as error:
            damage = error
    if is_held(path):
        with suppress(RunError):
            return "training", _checkpoint_step(path), ""
        return "training", None, ""
    if damage:
        raise damage
    if spec is None and (path / SPEC).exists():
        raise RunError(f"{SPEC} is damaged; expected the spec of {path.name}")
    if failed := stored_failure(path):
        loss = failed["last_finite_loss"]
        last = "no loss was finite" if loss is None else f"last finite loss {loss:.4g}"
        return "failed", failed["step"], f"diverged after step {failed['step']}, {last}"
    step = _checkpoint_step(path)
    return "unfinished", step, f"goes on at step {step}" if step else "begins at step 0, there is no checkpoint yet"


def _checkpoint_step(path: Path) -> int:
    """The step of a checkpoint, of which every bit was checked; 0 where there is none."""
    checkpoint = path / CHECKPOINT
    if not checkpoint.exists():
        return 0
    _, values = read_tensors(checkpoint)
    if values.get("hash") != path.name:
        raise RunError(f"{checkpoint} belongs to the run {values.get('hash')}; expected {path.name}")
    return int(values["step"])


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):  # it may be replaced or removed right now
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _check_removable(path: Path) -> None:
    if not _is_run_folder(path):
        raise InputError(f"{path} is no folder of a run; expected one named by 16 hex digits, with a run's files")
    foreign = sorted(name for name in os.listdir(path) if name not in _FILES and not name.startswith(PARTIAL))
    if foreign:
        raise InputError(f"{path} holds {foreign[0]!r}; expected a run's files alone: move it to somewhere else")
    if is_held(path):
        raise _trained(path)


def _remove(path: Path) -> None:
    """Rename, so that a killed process leaves a whole run or none; then delete."""
    gone = path.with_name(f"{PARTIAL}{path.name}-{os.getpid()}")
    try:
        with hold_if_free(path) as free:
            if not free:
                raise _trained(path)
            path.rename(gone)
    except FileNotFoundError:
        return  # another process was faster
    with suppress(FileNotFoundError):  # another process clears it away as well
        shutil.rmtree(gone)


def _trained(path: Path) -> InputError:
    return InputError(f"{path} is trained by a process now; expected a run at rest: stop that training first")
