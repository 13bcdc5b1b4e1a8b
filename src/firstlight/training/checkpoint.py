"""An unfinished training on disk: enough of it to go on to the same bits."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from firstlight.errors import RunError
from firstlight.training.run_files import read_tensors, write_tensors
from firstlight.training.spec import RunSpec
from firstlight.training.steps import record_steps

CHECKPOINT = "checkpoint.safetensors"
# What the names of tensors begin with.
_MODEL, _OPTIMIZER = "model.", "optimizer."


@dataclass
class Tally:
    """What the batches since the last record add up to, and the last loss that was seen."""

    loss: float = 0.0
    correct: int = 0
    batches: int = 0
    last_loss: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` updates.

    The random numbers need no state: those of a step follow from the seed and the step.

    Attributes
    ----------
    step : int
        Updates done.
    machine : str
        What the arithmetic depends on beside the spec; the same bits follow on the same machine alone.
    threads : int
        CPU threads of the training so far.
    model : dict of str to ndarray
        The network's parameters and buffers by name.
    filters : ndarray, shape (T, K, C, kh, kw), float32
        The records so far.
    rows : list of dict
        The metrics so far.
    tally : Tally
        The batches since the last row.
    started : str
        UTC time at which the training began.
    seconds : float
        Training time so far.
    resumed : int
        How often the training was taken up again.
    optimizer : dict of str to ndarray
        What the optimiser keeps between steps; empty where that is nothing, as in plain gradient descent.
    """

    step: int
    machine: str
    threads: int
    model: dict[str, np.ndarray]
    filters: np.ndarray
    rows: list[dict[str, float | None]]
    tally: Tally
    started: str
    seconds: float
    resumed: int
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, folder: Path, spec: RunSpec) -> None:
        """Write the checkpoint into a run's folder, in the place of the one before."""
        tensors = {_MODEL + name: array for name, array in self.model.items()}
        tensors |= {_OPTIMIZER + name: array for name, array in self.optimizer.items()} | {"filters": self.filters}
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("step", "machine", "threads", "rows", "started", "seconds", "resumed")
        }
        write_tensors(folder / CHECKPOINT, tensors, {**values, "tally": asdict(self.tally), "hash": spec.hash})

    @classmethod
    def load(cls, folder: Path, spec: RunSpec) -> Self | None:
        """Read the checkpoint of a run; None where there is none.

        Raises
        ------
        RunError
            The file is damaged, or belongs to another spec.
        """
        path = folder / CHECKPOINT
        if not path.exists():
            return None
        tensors, values = read_tensors(path)
        if (other := values.pop("hash", None)) != spec.hash:
            raise RunError(f"{path} belongs to the run {other}; expected {spec.hash}")
        try:
            filters = tensors.pop("filters")
            model, optimizer = (
                {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
                for prefix in (_MODEL, _OPTIMIZER)
            )
            tally = Tally(**values.pop("tally"))
            checkpoint = cls(model=model, filters=filters, optimizer=optimizer, tally=tally, **values)
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} holds other values ({error}); expected those of this version") from None
        if (spec.momentum or spec.optimizer != "sgd") and not optimizer:
            raise RunError(f"{path} has no state of the optimiser; expected its moments")
        done = [step for step in record_steps(spec.steps) if step <= checkpoint.step]
        if len(filters) != len(done) or [row["step"] for row in checkpoint.rows] != done:
            raise RunError(f"{path} has {len(filters)} records; expected {len(done)} at step {checkpoint.step}")
        return checkpoint
