"""The checkpoints that a training writes into a folder: which are there, new, and no longer written to."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firstlight.errors import InputError, SourceError
from firstlight.utils.given import user_path
from firstlight.utils.nearest import nearest_path
from firstlight.utils.regular_file import check_file

_SUFFIXES = (".pt", ".pth", ".th", ".bin", ".ckpt", ".pt2", ".safetensors", ".index.json", ".onnx", ".keras", ".h5")
_SUFFIXES += (".npy", ".npz")
# What lies beside weights, parts of what an index lists, and what will be renamed.
_ASIDE = re.compile(
    r"\.|tmp[-_.]|.*[-_.]tmp$|(optimizer|scheduler|scaler|sampler|rng_state|random_states|training_args|dl_state)"
    r"|.*optim_states|.*-\d+-of-\d+\.",
    re.IGNORECASE,
)
_ALONE = re.compile(r"(?:pytorch_)?model\.(?:safetensors|bin|onnx|keras)(?:\.index\.json)?")  # in a folder each
_COUNTS = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        r"(?<![a-z])(?:step|iter|iteration|update|checkpoint|ckpt)s?[-_=]?(\d{1,15})",
        r"(?<![a-z])(?:epoch|ep)[-_=]?(\d{1,15})",
        r"^(\d{1,15})$",
    )
)
_LAST_NUMBER = re.compile(r"[a-z][a-z0-9]*[-_](\d{1,15})$", re.IGNORECASE)
_DEEPEST = 5  # folders below the one that is named
SETTLED = 1.0  # seconds without a change after which a file is read
_GIVEN_UP = 3  # looks without a change after which one that cannot be read is told of


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint that is there.

    Attributes
    ----------
    path : Path
    name : str
        What it is called below the folder that is watched.
    step : int or None
        The number in its name, of updates where that tells of them, else of epochs.
    modified : float
        When it was last written to, in seconds since 1970.
    version : frozenset
        What tells whether two are the same, whatever they are called now.
    age : float
        Seconds for which it has not changed.
    """

    path: Path
    name: str
    step: int | None
    modified: float
    version: frozenset[tuple[object, ...]]
    age: float


class CheckpointFiles:
    """Looks for checkpoints again and again, of which it opens none.

    Parameters
    ----------
    place : str
        A folder, a file that is written again and again, or a pattern of files and folders.
    every : float
        Seconds from one look to the next.

    Attributes
    ----------
    unsettled : bool
        Whether, at the last look, one was there that may still be written to.
    """

    def __init__(self, place: str, every: float) -> None:
        self._base, self._pattern = _split(place)
        self._settled, self._patience = min(every, SETTLED), every * _GIVEN_UP
        self._done: set[tuple[object, ...]] = set()
        self._since: dict[Path, tuple[frozenset[tuple[object, ...]], float]] = {}
        self.unsettled = False

    def look(self) -> list[CheckpointFile]:
        """Those that are new and have settled: by their numbers where all have one, else as they were written."""
        found: dict[Path, CheckpointFile] = {}
        there: set[tuple[object, ...]] = set()
        for path in sorted(set(self._files()), key=lambda path: (path.is_symlink(), path)):  # links give way
            one = self._seen(path)
            if one and not self._done & one.version and not there & one.version:
                found[path] = one
                there |= one.version
        self._since = {path: since for path, since in self._since.items() if path in found}
        ready = [one for one in found.values() if one.age >= self._settled]
        self.unsettled = len(ready) < len(found)
        numbered = all(one.step is not None for one in ready)
        return sorted(ready, key=lambda one: (one.step or 0 if numbered else 0, one.modified, one.name))

    def done(self, one: CheckpointFile) -> None:
        """Tell of one no more, until it is written again."""
        self._done |= one.version

    def is_as_it_was(self, one: CheckpointFile) -> bool | None:
        """Whether it is still the same file; None where it is gone."""
        now = self._seen(one.path)
        return None if now is None else now.version == one.version

    def may_get_whole(self, one: CheckpointFile) -> bool:
        """Whether one that cannot be read has changed so lately that it may be unfinished."""
        return one.age < self._patience

    def _seen(self, path: Path) -> CheckpointFile | None:
        try:
            found = os.stat(path)  # of what a link leads to; links that go round in circles lead nowhere
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        # By its number, since it may be renamed; by its name, since not every file system's numbers stay.
        what = found.st_size, found.st_mtime_ns
        version = frozenset({(found.st_dev, found.st_ino, *what), (str(path), *what)})
        now = time.monotonic()
        before, since = self._since.get(path, (version, now))
        if before != version:
            since = now
        self._since[path] = version, since
        age = max(now - since, time.time() - found.st_mtime)
        name = os.path.relpath(path, self._base) if path != self._base else path.name
        folder, _, file = name.rpartition(os.sep)
        shown = folder if folder and _ALONE.fullmatch(file) else name
        return CheckpointFile(path, shown, _step(name), found.st_mtime, version, age)

    def _files(self) -> Iterator[Path]:
        if not self._pattern:
            yield from _below(self._base) if self._base.is_dir() else [self._base]
            return
        with suppress(OSError):  # of what is deleted meanwhile: it is looked again
            for path in self._base.glob(self._pattern):
                if not _ASIDE.match(path.name):
                    yield from _below(path) if path.is_dir() else [path]


def _split(place: str) -> tuple[Path, str]:
    """A folder or a file, and the pattern of what is looked for below it; none where it is there as it is named."""
    path = user_path(place)
    if os.path.exists(path):
        if not path.is_dir():
            check_file(path)
        elif not os.access(path, os.R_OK | os.X_OK):
            raise SourceError(f"{place} cannot be looked into; expected a folder that this user may read: name another")
        return path, ""
    plain = next((number for number, part in enumerate(path.parts) if re.search(r"[*?[]", part)), None)
    if plain is None:
        raise SourceError(
            f"{place} does not exist{nearest_path(path)}; expected a folder of checkpoints, a file, or a pattern of "
            "their names in quotes, such as 'run/*.pt'"
        )
    base, pattern = Path(*path.parts[:plain]), str(Path(*path.parts[plain:]))
    try:
        next(base.glob(pattern), None)
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{place} is no pattern ({error}); expected one such as 'run/**/*.pt'") from None
    except OSError:
        pass
    return base, pattern


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):  # which follows no links to folders
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = [] if depth >= _DEEPEST else [name for name in folders if not _ASIDE.match(name)]
        for name in files:
            if name.lower().endswith(_SUFFIXES) and not _ASIDE.match(name):
                yield Path(place, name)


def _step(name: str) -> int | None:
    """The number that a file's name tells, or else that of its folder."""
    folder, file = os.path.split(name)
    stem, suffix = os.path.splitext(file)
    stem = stem if suffix.lower() in _SUFFIXES else file
    told = [(rule, stem) for rule in (*_COUNTS, _LAST_NUMBER)]
    told += [(rule, os.path.basename(folder)) for rule in _COUNTS]
    return next((int(found[1]) for rule, text in told if (found := rule.search(text))), None)
