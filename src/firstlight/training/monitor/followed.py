"""A training that is followed from outside, by the checkpoints that it writes."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import FirstlightError, NonFiniteWeights
from firstlight.filters import FilterBank, load_filters
from firstlight.inspection.not_inspected import Failure
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import patch_statistics
from firstlight.training.monitor.checkpoint_files import CheckpointFile, CheckpointFiles
from firstlight.training.monitor.history import History
from firstlight.training.monitor.measurement import Measures, in_json, measured, patches_for
from firstlight.utils.text import one_line, size_text

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class SeenCheckpoint:
    """The first layer of a checkpoint, measured.

    Attributes
    ----------
    name : str
        What the checkpoint is called below the folder that is watched.
    time : str
        When it was written, by the local clock, as in ISO 8601.
    measures : Measures
    energy : ndarray, shape (D,)
    """

    name: str
    time: str
    measures: Measures
    energy: np.ndarray = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types, with what is not finite as None."""
        known = in_json(dataclasses.asdict(self.measures))
        return {"time": self.time, "name": self.name, **known, "energy": self.energy.tolist()}


class FollowedTraining:
    """Measures the first layers of checkpoints as they appear.

    Parameters
    ----------
    files : CheckpointFiles
    data : optional
        Whose patches to look with, as for `patch_statistics`.
    initial : object, optional
        The network at initialisation, as for `load_filters`: profiles are then those of the change. Without it, the
        change is told against the first checkpoint that is seen, and profiles are those of the filters.
    layer : str, optional
        Name of the layer to take instead of the first.
    mean, std : float or sequence of float, optional
        The normalisation that the network is trained with.
    fold_batch_norm : bool
        Multiply the filters by the scale of the batch normalisation that follows.
    **options : object
        As of `patch_statistics`.

    Attributes
    ----------
    rows : list of SeenCheckpoint
        As they were seen.
    first, last : FilterBank
        The layer that changes are told against, and as it was seen last; there once `rows` has any.
    basis : PatchBasis
        Likewise.
    data : str
        Whose patches these are.
    change : bool
        Whether the initial network was given.
    is_unsettled : bool
        Whether at the last look something was there that may still be written to.
    failures : list of Failure
        What was passed over, and why.

    Raises
    ------
    InputError, SourceError
        The data or the initial network cannot be had, or do not fit each other.
    """

    first: FilterBank
    last: FilterBank
    basis: PatchBasis

    def __init__(
        self,
        files: CheckpointFiles,
        data: Any = None,
        *,
        initial: Any = None,
        layer: str | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        fold_batch_norm: bool = False,
        **options: Any,
    ) -> None:
        self._files, self._layer, self._fold = files, layer, fold_batch_norm
        self._data, self._options, self._normalisation = data, options, (mean, std)
        self._begun = self._numbered = self.is_unsettled = False
        self.change = initial is not None
        self.data = ""
        self.rows: list[SeenCheckpoint] = []
        self.failures: list[Failure] = []
        if self.change:
            self._begin(self._loaded(initial))
        else:
            patch_statistics(data, **options)  # whether they can be had is told before a checkpoint is there

    def look(self, last: bool = False) -> Iterator[SeenCheckpoint]:
        """What is new, one after the other; in the `last` look, nothing is put off that may get whole.

        Raises
        ------
        InputError, SourceError
            The data do not fit the first checkpoint.
        """
        found = self._files.look()
        self.is_unsettled = self._files.unsettled
        for file in found:
            try:
                bank = self._loaded(file.path)
            except FirstlightError as error:
                there = self._files.is_as_it_was(file)
                unfinished = not isinstance(error, NonFiniteWeights) and self._files.may_get_whole(file)
                if there and (last or not unfinished):
                    self._pass_over(file, one_line(error))
                elif there is not None:
                    self.is_unsettled = True
                continue
            if self._files.is_as_it_was(file) is False:  # written to while it was read
                self.is_unsettled = True
                continue
            self._files.done(file)
            if not self._begun:
                self._begin(bank)
            if reason := self._unlike(bank):
                self._pass_over(file, reason)
            elif not self._is_copy(file, bank):
                yield self._measure(file, bank)

    def history(self) -> History:
        """What was seen, of the training's last course: what a resumed one does again counts instead of what it did."""
        course: list[SeenCheckpoint] = []
        for row in self.rows:
            while course and course[-1].measures.step >= row.measures.step:
                course.pop()
            course.append(row)
        energies = np.array([row.energy for row in course])
        measures = tuple(row.measures for row in course)
        return History(measures, energies, self.basis, self.first, self.last, self.data, self.change)

    def _loaded(self, source: Any) -> FilterBank:
        bank = load_filters(source, self._layer)
        return (bank.folded() if self._fold else bank).ungrouped()

    def _begin(self, bank: FilterBank) -> None:
        """Choose the patches for the first filters that are there, with which all others are compared."""
        self._watched = patches_for(bank, self._data, *self._normalisation, **self._options)
        self.basis, self.data = self._watched.basis, self._watched.data
        self.first, self._begun = bank, True

    def _unlike(self, bank: FilterBank) -> str:
        """Why it is another network than the first, if it is."""
        same = self.change or _name(bank) == _name(self.first)  # of a file at initialisation, it may be another
        if same and (bank.weight.shape, bank.dilation) == (self.first.weight.shape, self.first.dilation):
            return ""
        return (
            f"{bank.source} has the first layer {bank.layer or 'without a name'}, {size_text(bank.weight.shape)}, of "
            f"another network; expected {self.first.layer or 'one'}, {size_text(self.first.weight.shape)}, as of "
            f"{self.first.source}"
        )

    def _is_copy(self, file: CheckpointFile, bank: FilterBank) -> bool:
        """Whether it is once more what was seen before, such as last.ckpt beside epoch=3-step=500.ckpt."""
        return file.step is None and self._numbered and np.array_equal(bank.weight, self.last.weight)

    def _step(self, file: CheckpointFile) -> int:
        """The number in its name; else that of the one before, or in a training without any its place."""
        if file.step is not None:
            self._numbered = True
            return file.step
        return self.rows[-1].measures.step if self._numbered else len(self.rows)

    def _measure(self, file: CheckpointFile, bank: FilterBank) -> SeenCheckpoint:
        step = self._step(file)
        row, profile = measured(bank, self.first, self._watched, step=step, change=self.change, compared=None)
        when = datetime.fromtimestamp(file.modified).astimezone().isoformat(timespec="seconds")
        self.failures = [failure for failure in self.failures if failure.source != file.name]
        self.rows.append(SeenCheckpoint(file.name, when, row, profile.energy))
        self.last = bank
        return self.rows[-1]

    def _pass_over(self, file: CheckpointFile, reason: str) -> None:
        self._files.done(file)
        if file.name not in {failure.source for failure in self.failures}:
            self.failures.append(Failure(file.name, reason))
            logger.warning("passed over: %s", reason)


def _name(bank: FilterBank) -> str:
    """What the layer is called, without what it lies in; nothing where it is called as its file."""
    return "" if bank.layer == Path(bank.source).stem else bank.layer.rpartition(".")[2]
