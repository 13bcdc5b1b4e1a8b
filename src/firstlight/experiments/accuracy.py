"""How the accuracy of a network grew, for experiments that need nothing else of its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firstlight.experiments.learning import Reached, needed_accuracy
from firstlight.training import Run, RunSpec
from firstlight.training.steps import is_test_step, record_steps

ACCURACY = "accuracy"  # the measurement's name


@dataclass(frozen=True, eq=False)
class Accuracy:
    """The accuracy of a network's runs, one a seed.

    Attributes
    ----------
    specs : sequence of RunSpec
    steps : ndarray, shape (T,)
        At which the test images were looked at.
    train, test : ndarray, shape (S, T)
        In training over the batches since the recorded step before, and on test images; of chance where the training
        diverged.
    """

    specs: Sequence[RunSpec]
    steps: np.ndarray
    train: np.ndarray
    test: np.ndarray

    def reached(self, network: str) -> Reached:
        """Whether the network, named in words, has learnt by the last step."""
        classes = self.specs[0].classes
        train, test = (tuple(map(float, values[:, -1])) for values in (self.train, self.test))
        return Reached(network, int(self.steps[-1]), train, test, 1 / classes, needed_accuracy(self.specs[0]))


def accuracy_of(specs: Sequence[RunSpec], finished: Mapping[str, Run]) -> dict[str, np.ndarray]:
    """The arrays of `Accuracy`, of runs by hash; those that are not there have diverged."""
    steps = [step for step in record_steps(specs[0].steps) if is_test_step(step, specs[0].steps)]
    curves = np.full((2, len(specs), len(steps)), 1 / specs[0].classes)
    for number, spec in enumerate(specs):
        if run := finished.get(spec.hash):
            rows = run.metrics.set_index("step").loc[steps]
            curves[:, number] = rows[["train_accuracy", "test_accuracy"]].to_numpy(dtype=np.float64).T
    return {"steps": np.array(steps), "train": curves[0], "test": curves[1]}
