"""Context: the data, the trained runs and the measurements that experiments work with."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.experiments.accuracy import ACCURACY, Accuracy, accuracy_of
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.networks import NETWORKS, Trained
from firstlight.experiments.schedule import SCHEDULES, Schedule
from firstlight.images import ImageSet, SetFacts
from firstlight.models import MODELS
from firstlight.patches import PatchBasis, PatchGeometry, PatchMoments
from firstlight.training import Run, RunSpec
from firstlight.training.prepare import prepare
from firstlight.utils.text import counted

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

    @property
    def quick(self) -> bool:
        """Whether what needs no training is to be quick, too."""
        return self.preset.startswith("quick")

    def has(self, data: str) -> bool:
        """Whether a data set can be had here."""
        return data in self._facts

    def facts(self, data: str | None = None) -> Facts:
        """Train and test split of a data set, described; the main one by default."""
        name = data or self.data
        if name not in self._facts:
            raise SourceError(f"data {name!r} cannot be had here; expected one of {', '.join(self._facts)}")
        return self._facts[name]

    def specs(self, *names: str) -> list[RunSpec]:
        """The runs of these networks, by their names in `NETWORKS`: every seed of those that can be trained here."""
        return [spec for name in names if not self.absence(name) for spec in self._specs(name)]

    def absence(self, name: str) -> str:
        """Why a network is not trained with this preset and this data; empty where it is."""
        network = NETWORKS[name]
        if name not in self.schedule.trainings:
            return f"no run: the preset {self.preset} does not train {network.title}"
        data, only = network.changes.get("data", self.data), network.changes.get("only", ())
        if not self.has(data):
            return f"no data: {data} cannot be had here"
        if absent := [one for one in only if one not in self.facts(data)[0].classes]:
            return f"no data: {data} has no class {', '.join(absent)}"
        own, main = (self.facts(one)[0].channels for one in (data, None))
        if own != main:
            return f"no data: images of {data} have {counted(own, 'channel')} and those of {self.data} {main}"
        if "data" in network.changes and data == self.data:
            return f"no data: {data} is the main data set itself"
        try:
            self._specs(name)
        except InputError as error:  # such as a component that grey patches do not have
            return f"no data: {error}"
        return ""

    def _specs(self, name: str) -> list[RunSpec]:
        network, training = NETWORKS[name], self.schedule.trainings[name]
        train, test = self.facts(network.changes.get("data"))
        chosen = {
            "lr": training.lr,
            "train_images": training.train_images and min(training.train_images, train.count),
            "test_images": min(self.schedule.test_images, test.count),
            "precision": self.schedule.precision,
            "batch_size": training.batch_size,
            **{key: value for key, value in network.changes.items() if key != "data"},
        }
        return [
            RunSpec.for_data(network.model, train, test, steps=training.steps, seed=seed, **chosen)
            for seed in training.seeds or self.schedule.seeds
        ]

    def trained(self, name: str) -> Trained:
        """The finished runs of a network, all seeds or none and the reason."""
        network = NETWORKS[name]
        if reason := self.absence(name):
            return Trained(network, reason=reason)
        specs = self._specs(name)
        runs = [self.finished[spec.hash] for spec in specs if spec.hash in self.finished]
        if len(runs) == len(specs):
            return Trained(network, tuple(runs))
        failed = [f"with seed {spec.seed}: {self.failures[spec.hash]}" for spec in specs if spec.hash in self.failures]
        absent = [spec.seed for spec in specs if spec.hash not in self.finished and spec.hash not in self.failures]
        if absent and (runs or failed):
            failed.append(f"with seed {', '.join(map(str, absent))} is not trained yet")
        return Trained(network, reason=f"no run: {network.title} {'; '.join(failed) or 'is not trained yet'}")

    def accuracy(self, name: str) -> Accuracy | None:
        """How a network's accuracy grew, every seed; from the store of measurements where its runs are not there.

        None where a seed is not trained yet. A training that diverged has the accuracy of chance.
        """
        specs = [] if self.absence(name) else self._specs(name)
        ended = [spec for spec in specs if spec.hash in self.finished or spec.hash in self.failures]
        if not specs or (len(ended) < len(specs) and not self.accuracy_file(name).is_file()):
            return None
        arrays = self.measurements.get(ACCURACY, _accuracy_key(specs), lambda: accuracy_of(specs, self.finished))
        return Accuracy(specs, **arrays)

    def accuracy_file(self, name: str) -> Path:
        """Where the store of measurements has what `accuracy` says of a network, or would have it."""
        return self.measurements.path(ACCURACY, _accuracy_key([] if self.absence(name) else self._specs(name)))

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
        """Principal components of the patches that a first layer sees, 3 x 3 unless it reads others.

        Parameters
        ----------
        spec : RunSpec, optional
            Of the images that this spec trains on (its classes, its scaled component), read with its stride.
        data : str, optional
            Without a spec: of all training images of this data set; the main one by default.
        """
        moments = self._moments(data, 3) if spec is None else self.moments(spec)
        train, _ = self.facts(data if spec is None else spec.data)
        return moments.basis(train.mean, train.std)

    def moments(self, spec: RunSpec, kernel_size: int | None = None) -> PatchMoments:
        """Moments of the patches of the images that a spec trains on, read with its stride.

        Parameters
        ----------
        spec : RunSpec
        kernel_size : int, optional
            Of the patches; that of its network by default.
        """
        kernel_size = kernel_size or MODELS[spec.model].kernel_size
        data_fields = {name: getattr(spec, name) for name in ("only", "train_images", "scaled_component", "scale")}
        changed = {name: value for name, value in data_fields.items() if value not in (None, 1.0)}
        if not changed:
            return self._moments(spec.data, kernel_size, spec.stride)
        return self._moments(
            spec.data, kernel_size, spec.stride, changed, lambda train, test: prepare(spec, train, test)[0]
        )

    def _moments(
        self,
        data: str | None,
        kernel_size: int,
        stride: int = 1,
        changes: Mapping[str, Any] = MappingProxyType({}),
        images: Callable[[ImageSet, ImageSet], ImageSet] = lambda train, test: train,
    ) -> PatchMoments:
        train, _ = self.facts(data)

        def measure(train_set: ImageSet, test_set: ImageSet) -> dict[str, np.ndarray]:
            moments = PatchMoments(kernel_size, train.channels, stride).update(images(train_set, test_set).images)
            return {"second": moments.second, "first": moments.first, "count": np.array(moments.count)}

        # Of 3 x 3 without saying so, as in records that knew no other.
        size = {} if kernel_size == 3 else {"kernel_size": kernel_size}
        arrays = self.measured("patch-moments", measure, data=data, stride=stride, **size, **changes)
        sums = arrays["second"], arrays["first"], int(arrays["count"])
        return PatchMoments.of_sums(*sums, PatchGeometry(kernel_size, train.channels, stride))


def _accuracy_key(specs: list[RunSpec]) -> dict[str, Any]:
    return {"runs": [spec.hash for spec in specs]}
