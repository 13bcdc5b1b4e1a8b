"""Where measurements go while a training runs: experiment trackers, TensorBoard, files, functions."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError
from firstlight.training.monitor.measurement import in_json
from firstlight.utils.given import user_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "firstlight/"
Log = Callable[[Mapping[str, Any], int], object]
_EXPECTED = (
    "expected something with log(dict, step=), log_metrics(dict, step=) or add_scalar, a function, or the path of a "
    ".jsonl or .csv file"
)


def log_of(logger: Any) -> Log:
    """The function by which a logger takes names and numbers of a step.

    Parameters
    ----------
    logger : object
        A run of Weights & Biases, trackio or Aim or the module (``log``, ``track``), MLflow (``log_metrics``), a
        TensorBoard ``SummaryWriter``, the path of a .jsonl or .csv file, which is gone on with, or a function of a
        dict and a step.

    Raises
    ------
    InputError
        It is none of these.
    """
    if isinstance(logger, str | Path):
        return _file(user_path(logger))
    if hasattr(logger, "add_scalar"):
        return lambda values, step: _each(logger.add_scalar, values, step)
    if hasattr(logger, "log_metrics"):
        return lambda values, step: logger.log_metrics(_named(values), step=step)
    if hasattr(logger, "track"):
        return lambda values, step: _tracked(logger.track, values, step)
    if hasattr(logger, "log"):
        return lambda values, step: logger.log(_named(values), step=step)
    if callable(logger):
        return logger
    raise InputError(f"a logger is {logger!r}; {_EXPECTED}")


def picture_of(logger: Any) -> "Callable[[Figure, int], object] | None":
    """The function by which a logger takes the picture of a profile; None where it takes none."""
    if not hasattr(logger, "add_figure"):
        return None
    return lambda figure, step: logger.add_figure(PREFIX + "profile", figure, step)


def _named(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers, by names of a group of their own; trackers take no NaN and no text."""
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    return {PREFIX + name: value for name, value in numbers.items() if math.isfinite(value)}


def _each(add: Callable[..., Any], values: Mapping[str, Any], step: int) -> None:
    for name, value in _named(values).items():
        add(name, value, step)


def _tracked(track: Callable[..., Any], values: Mapping[str, Any], step: int) -> None:
    for name, value in _named(values).items():
        track(value, name=name, step=step)


def _file(path: Path) -> Log:
    writers: dict[str, Callable[[Mapping[str, Any], bool], str]] = {".jsonl": _json_line, ".csv": _csv_line}
    write = writers.get(path.suffix.lower())
    if write is None or (path.exists() and not path.is_file()):  # a pipe would be waited for
        raise InputError(f"a logger is the file {path}; {_EXPECTED}")

    def log(values: Mapping[str, Any], step: int) -> None:
        new = not path.exists() or path.stat().st_size == 0
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(write(values, new))

    return log


def _json_line(values: Mapping[str, Any], new: bool) -> str:
    return json.dumps(in_json(values)) + "\n"


def _csv_line(values: Mapping[str, Any], new: bool) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    rows: Iterable[Iterable[Any]] = [values, values.values()] if new else [values.values()]
    writer.writerows(rows)
    return buffer.getvalue()
