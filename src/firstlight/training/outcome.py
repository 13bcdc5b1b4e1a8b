"""How a training ended, and where whoever trains has the images from: what pools and engines have in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight import errors
from firstlight.images.named_sets import NAMES
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.utils.given import user_path

if TYPE_CHECKING:
    from firstlight.images import ImageSet

# The train and test images of a data set, by its name.
Load = Callable[[str], "tuple[ImageSet, ImageSet]"]


@dataclass(frozen=True)
class Outcome:
    """How a training ended: with a run, or with the words why there is none."""

    spec: RunSpec
    run: Run | None
    failure: str = ""


@dataclass(frozen=True)
class DataPlaces:
    """Where a worker has images from, whatever folder it runs in.

    Attributes
    ----------
    sources : mapping of str to str
        For a data set, by its name, what `load_images` is given; without an entry, the name.
    folder : str or None
        As `data_dir` of `load_images`.
    """

    sources: Mapping[str, str]
    folder: str | None

    @classmethod
    def of(cls, sources: Mapping[str, str | Path] | None, data_dir: Path | str | None) -> "DataPlaces":
        """With absolute paths for relative ones."""
        folder = None if data_dir is None else str(user_path(data_dir).absolute())
        return cls({name: _absolute(source) for name, source in (sources or {}).items()}, folder)

    def task(self, spec: RunSpec) -> dict[str, Any]:
        """What `firstlight.training.workers.worker` reads."""
        return {"spec": spec.to_dict(), "source": self.sources.get(spec.data, spec.data), "data_dir": self.folder}


def _absolute(source: str | Path) -> str:
    path = user_path(source)
    named = isinstance(source, str) and source in NAMES
    return str(path.absolute()) if path.exists() and not named else str(source)


def outcome_of(message: dict[str, Any], spec: RunSpec, store: Path, by: str = "") -> Outcome:
    """The outcome that a worker's last message tells of; raises what ends all of them.

    Parameters
    ----------
    message : dict of str to object
        As `firstlight.training.workers.worker` writes them.
    spec : RunSpec
        What was trained.
    store : Path
        Folder of runs.
    by : str, optional
        Whose message it is, for what is raised; begins a line.
    """
    if message["event"] == "finished":
        return Outcome(spec, Run.load(store / spec.hash))
    if message["event"] == "failed":
        return Outcome(spec, None, message["text"])
    if message["event"] == "refused":
        raise getattr(errors, message["kind"])(by + message["text"])
    number, text, name = message["args"]
    raise named_error(number, by + text, name, store / spec.hash)


def named_error(number: int | None, text: str, name: str | None, folder: Path) -> OSError:
    """An error of the system that says where: a full disk does not, when it is written to."""
    return OSError(f"{folder}: {text}") if number is None else OSError(number, text, name or str(folder))
