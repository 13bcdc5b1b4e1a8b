"""A finished run on disk: one folder, named by its spec's hash, and all of it checked when it is read."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from firstlight.errors import InputError, RunError
from firstlight.training.run_files import file_digest, read_json, read_tensors, write_json, write_tensors
from firstlight.training.spec import RunSpec
from firstlight.training.steps import record_steps
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import plural
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    import pandas as pd

SPEC, FILTERS, METRICS, SEAL = "spec.json", "filters.safetensors", "metrics.csv", "run.json"
COLUMNS: tuple[str, ...] = ("step", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished run: the first layer over time, and how the network did meanwhile.

    Attributes
    ----------
    path : Path
        The run's folder.
    spec : RunSpec
        What was trained.
    steps : ndarray, shape (T,), int64
        The recorded steps: 0 is the initialisation, `s` is after `s` updates.
    filters : ndarray, shape (T, K, C, kh, kw), float64
        The first layer's weights (trained in float32) at those steps.
    metrics : DataFrame
        One row a recorded step: `step`, `epoch`, `train_loss` and `train_accuracy` (means over the
        batches since the row before), `test_loss` and `test_accuracy` (evaluation mode, at some rows). NaN
        where nothing was measured.
    environment : dict
        Versions, machine, threads, times and speed of the training; nothing that decides the
        result.

    Examples
    --------
    >>> import firstlight as fl
    >>> from firstlight.reproduction.shipped_record import recorded_results
    >>> folder = min((recorded_results() / "runs").iterdir())
    >>> run = fl.Run.load(folder)
    >>> run.spec.hash == folder.name, len(run.steps) == len(run.filters) == len(run.metrics)
    (True, True)
    """

    path: Path
    spec: RunSpec
    steps: np.ndarray
    filters: np.ndarray
    metrics: "pd.DataFrame"
    environment: dict[str, Any]

    @property
    def initial(self) -> np.ndarray:
        """First-layer weights before training, (K, C, kh, kw) float64."""
        return self.filters[0]

    @property
    def final(self) -> np.ndarray:
        """First-layer weights after the last step, (K, C, kh, kw) float64."""
        return self.filters[-1]

    def __repr__(self) -> str:
        spec = self.spec
        steps = f"{spec.steps} {plural(spec.steps, 'step')}"
        return f"Run({spec.model} on {spec.data}, seed {spec.seed}, {steps}, {self.path})"

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read a finished run and check every file of it.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        Run

        Raises
        ------
        RunError
            The run is not finished, or a file of it is missing, damaged or inconsistent; the message names
            it.
        """
        folder = Path(folder)
        if not (folder / SEAL).is_file():
            raise RunError(f"{folder} holds no finished run; expected {SEAL} in it: train the run to its end")
        try:
            return cls._load(folder)
        except (RunError, InputError) as error:
            raise RunError(f"{error}: train again, or delete {folder}") from None

    @classmethod
    def _load(cls, folder: Path) -> Self:
        environment = read_json(folder / SEAL)
        digests = environment.pop("files", None)
        if not isinstance(digests, dict) or set(digests) != {SPEC, FILTERS, METRICS}:
            raise RunError(f"{folder / SEAL} is damaged; expected digests of {SPEC}, {FILTERS} and {METRICS}")
        for name, digest in digests.items():
            if file_digest(folder / name) != digest:
                raise RunError(f"{folder / name} is damaged: its bytes do not match the digest in {SEAL}")
        spec = read_spec(folder / SPEC)
        if spec.hash != folder.resolve().name:
            raise RunError(f"{folder / SPEC} has the hash {spec.hash}; expected the folder's name")
        steps, filters = _read_filters(folder / FILTERS, spec)
        metrics = _read_metrics(folder / METRICS)
        if metrics["step"].tolist() != steps.tolist():
            raise RunError(f"{folder / METRICS} has other steps than a run of {spec.steps} records")
        return cls(folder, spec, steps, filters, metrics, environment)


def write_spec(folder: Path, spec: RunSpec) -> None:
    """Note in a run's folder what is trained there."""
    write_json(folder / SPEC, {"hash": spec.hash, "spec": spec.to_dict()})


def write_run(
    folder: Path,
    spec: RunSpec,
    filters: np.ndarray,
    rows: list[dict[str, float | None]],
    environment: dict[str, Any],
) -> None:
    """Write a finished run; `run.json` comes last, and with it the run counts as finished.

    Parameters
    ----------
    folder : Path
        The run's folder, which exists and is named by the spec's hash.
    filters : ndarray, shape (T, K, C, kh, kw), float32
        One entry for each of `record_steps(spec.steps)`.
    rows : list of dict
        The metrics, one dict with the keys `COLUMNS` an entry; None where nothing was measured.
    environment : dict of str to object
        Goes into `run.json`, with the digests of the other files.
    """
    write_spec(folder, spec)
    steps = np.array(record_steps(spec.steps), dtype=np.int64)
    write_tensors(folder / FILTERS, {"steps": steps, "weight": filters}, {"hash": spec.hash})
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / METRICS, table.getvalue())
    digests = {name: file_digest(folder / name) for name in (SPEC, FILTERS, METRICS)}
    write_json(folder / SEAL, {**environment, "files": digests})


def read_spec(path: Path) -> RunSpec:
    """Read what `write_spec` wrote; raises `RunError` where it is damaged or not understood."""
    values = read_json(path)
    try:
        spec = RunSpec.from_dict(values.get("spec", {}))
    except (InputError, TypeError) as error:  # TypeError: a value of no type that a field can have
        raise RunError(f"{path}: {error}") from None
    if values.get("hash") != spec.hash:
        raise RunError(f"{path} says hash {values.get('hash')!r}; expected {spec.hash}, the hash of its spec")
    return spec


def _read_filters(path: Path, spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    tensors, _ = read_tensors(path)
    if set(tensors) != {"steps", "weight"}:
        raise RunError(f"{path} holds {', '.join(sorted(tensors))}; expected steps and weight")
    steps, weight = tensors["steps"], tensors["weight"]
    if steps.tolist() != record_steps(spec.steps):
        raise RunError(f"{path} has other steps than a run of {spec.steps} records")
    expected = (len(steps), "K", spec.channels, "kh", "kw")
    if weight.ndim != 5 or weight.shape[0] != len(steps) or weight.shape[2] != spec.channels:
        raise RunError(f"{path} has weights of shape {weight.shape}; expected {expected}")
    if not np.isfinite(weight).all():
        raise RunError(f"{path} has weights that are not finite")
    return steps, weight.astype(np.float64)


def _read_metrics(path: Path) -> "pd.DataFrame":
    import pandas as pd

    # Not pandas' own reader: not every version of it reads a float back to the last bit.
    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except ValueError as error:
        raise RunError(f"{path} cannot be read ({error}); expected text") from None
    if tuple(header) != COLUMNS:
        raise RunError(f"{path} has the columns {', '.join(header)}; expected {', '.join(COLUMNS)}")
    if any(len(row) != len(COLUMNS) for row in rows):
        raise RunError(f"{path} has rows that are cut short; expected {len(COLUMNS)} values in each")
    try:
        numbers = [[float(text) if text else math.nan for text in row] for row in rows]
        table = pd.DataFrame(numbers, columns=list(COLUMNS)).astype({"step": np.int64})
    except ValueError as error:
        raise RunError(f"{path} cannot be read ({error}); expected numbers") from None
    for name in COLUMNS[1:]:
        most = 1 if name.endswith("accuracy") else np.finfo(np.float64).max
        known = table[name].dropna()
        if not known.between(0, most).all():
            raise RunError(f"{path} has the {name} {known.max()}; expected a number of 0 to {most:.3g}")
    return table
