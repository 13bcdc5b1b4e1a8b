"""Context: the data, the trained runs and the measurements that experiments work with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.schedule import SCHEDULES, Schedule
from firstlight.images import ImageSet, SetFacts
from firstlight.patches import PatchBasis, PatchGeometry, PatchMoments
from firstlight.training import Run, RunSpec
from firstlight.training.prepare import prepare

Sets = tuple[ImageSet, ImageSet]
Facts = tuple[SetFacts, SetFacts]


class Context:
    """What an experiment may ask for. Nothing here is trained: a plan's runs are trained before it is analysed.

    Parameters
    ----------
    preset : {"quick", "standard", "full"}
    data : str
        Name of the main data set.
    facts : mapping of str to pair of SetFacts
        Train and test split of every data set that can be had, by name.
    load : callable
        The images of a named data set, train and test. Only called for measurements that are not there yet.
    measurements : Measurements
    finished : dict of str to Run
        Finished runs by hash; filled between planning and analysis.
    failures : mapping of str to str
        Why a planned run is missing, by hash.
    """

    def __init__(
        self,
        preset: str,
        data: str,
        facts: Mapping[str, Facts],
        load: Callable[[str], Sets],
        measurements: Measurements,
        finished: dict[str, Run],
        failures: dict[str, str],
    ) -> None:
        self.preset = preset
        self.data = data
        self._facts = facts
        self._load = load
        self.measurements = measurements
        self.finished = finished
        self.failures = failures

    @property
    def schedule(self) -> Schedule:
        """Seeds, steps and test images of the preset."""
        return SCHEDULES[self.preset]

    def has(self, data: str) -> bool:
        """Whether a data set can be had here."""
        return data in self._facts

    def facts(self, data: str | None = None) -> Facts:
        """Train and test split of a data set, described; the main one by default."""
        name = data or self.data
        if name not in self._facts:
            raise SourceError(f"data {name!r} cannot be had here; expected one of {', '.join(self._facts)}")
        return self._facts[name]

    def spec(
        self, model: str, *, seed: int, steps: int | None = None, data: str | None = None, **changes: Any
    ) -> RunSpec:
        """A spec on a data set of this context: the preset's steps and test images unless others are given."""
        train, test = self.facts(data)
        defaults = {
            "test_images": min(self.schedule.test_images, test.count),
            "precision": self.schedule.precision,
        }
        return RunSpec.for_data(
            model,
            train,
            test,
            steps=steps if steps is not None else self.schedule.steps[model],
            seed=seed,
            **{**defaults, **changes},
        )

    def run(self, spec: RunSpec) -> Run | None:
        """The finished run of a planned spec; None where its training failed."""
        return self.finished.get(spec.hash)

    def runs(self, specs: Iterable[RunSpec]) -> list[Run]:
        """The finished runs of planned specs, in order, those that failed left out."""
        return [run for run in map(self.run, specs) if run is not None]

    def complete(self, specs: Sequence[RunSpec]) -> list[Run]:
        """The finished runs of planned specs, in order; empty where one is missing, so that a claim is not tested."""
        runs = self.runs(specs)
        return runs if len(runs) == len(specs) else []

    def failure(self, specs: Iterable[RunSpec]) -> str:
        """Why runs of these specs are missing, in words for a note; empty where none is."""
        failed = [spec for spec in specs if spec.hash in self.failures]
        return "; ".join(f"{spec.model}, seed {spec.seed}: {self.failures[spec.hash]}" for spec in failed)

    def measured(
        self,
        name: str,
        measure: Callable[[ImageSet, ImageSet], Mapping[str, np.ndarray]],
        *,
        data: str | None = None,
        **parameters: Any,
    ) -> dict[str, np.ndarray]:
        """Small arrays measured on a data set, from the store of measurements where it has them.

        Parameters
        ----------
        name : str
            What is measured; of letters, digits and dashes.
        measure : callable
            Measures on the train and test images, which are loaded only if need be; returns arrays by name.
        data : str, optional
            Which data set; the main one by default.
        **parameters
            Whatever else the result depends on, in JSON's types.
        """
        train, test = self.facts(data)
        key = {"train": train.fingerprint, "test": test.fingerprint, "mean": train.mean, "std": train.std, **parameters}
        return self.measurements.get(name, key, lambda: measure(*self._load(train.name)))

    def basis(self, spec: RunSpec | None = None, *, data: str | None = None) -> PatchBasis:
        """Principal components of the 3 x 3 patches that a first layer sees.

        Parameters
        ----------
        spec : RunSpec, optional
            Of the images that this spec trains on (its classes, its scaled component), read with its stride.
        data : str, optional
            Without a spec: of all training images of this data set; the main one by default.
        """
        if spec is None:
            return self._basis(data, 1, {}, lambda train, test: train)
        data_fields = {name: getattr(spec, name) for name in ("only", "train_images", "scaled_component", "scale")}
        changed = {name: value for name, value in data_fields.items() if value not in (None, 1.0)}
        if not changed:
            return self._basis(spec.data, spec.stride, {}, lambda train, test: train)
        return self._basis(spec.data, spec.stride, changed, lambda train, test: prepare(spec, train, test)[0])

    def _basis(
        self,
        data: str | None,
        stride: int,
        changes: Mapping[str, Any],
        images: Callable[[ImageSet, ImageSet], ImageSet],
    ) -> PatchBasis:
        train, _ = self.facts(data)

        def measure(train_set: ImageSet, test_set: ImageSet) -> dict[str, np.ndarray]:
            moments = PatchMoments(3, train.channels, stride).update(images(train_set, test_set).images)
            return {"second": moments.second, "first": moments.first, "count": np.array(moments.count)}

        arrays = self.measured("patch-moments", measure, data=data, stride=stride, **changes)
        sums = arrays["second"], arrays["first"], int(arrays["count"])
        moments = PatchMoments.of_sums(*sums, PatchGeometry(3, train.channels, stride))
        return moments.basis(train.mean, train.std)
