"""Whether networks have learnt what they were trained on: no other network is judged (the rule "learnt")."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.training import Run, RunSpec

ON_TRUE_LABELS, ON_MADE_LABELS = 3.0, 1.5  # times chance


def needed_accuracy(spec: RunSpec) -> float:
    """Training accuracy from which on a network counts as trained.

    Three times chance on true labels, 1.5 times on random labels and on those made from patch energy; where that
    would be more, half way from chance to perfect, which for two classes is 75%.
    """
    factor = ON_TRUE_LABELS if spec.labels == "true" else ON_MADE_LABELS
    return min(factor / spec.classes, (1 + 1 / spec.classes) / 2)


@dataclass(frozen=True)
class Reached:
    """How far the runs of a network had learnt at the step at which they are judged.

    Attributes
    ----------
    network : str
        In words.
    step : int
    train, test : tuple of float
        Accuracy by seed: in training over the batches since the recorded step before; on test images, NaN where they
        were not looked at.
    chance, needed : float
        Accuracy of guessing, and from which on the network counts as trained.
    """

    network: str
    step: int
    train: tuple[float, ...]
    test: tuple[float, ...]
    chance: float
    needed: float

    @classmethod
    def of(cls, network: str, runs: Sequence[Run], step: int | None = None) -> "Reached":
        """Of runs that differ in their seeds alone, at a recorded step; the last by default."""
        spec = runs[0].spec
        places = [len(run.steps) - 1 if step is None else run.steps.tolist().index(step) for run in runs]
        rows = [run.metrics.iloc[place] for run, place in zip(runs, places, strict=True)]
        return cls(
            network=network,
            step=int(runs[0].steps[places[0]]),
            train=tuple(float(row.train_accuracy) for row in rows),
            test=tuple(float(row.test_accuracy) for row in rows),
            chance=1 / spec.classes,
            needed=needed_accuracy(spec),
        )

    @property
    def learnt(self) -> bool:
        """Whether every run has reached what is needed; one that was not recorded has not."""
        return all(accuracy >= self.needed for accuracy in self.train)

    @property
    def mean(self) -> float:
        """Mean training accuracy over the runs."""
        return math.fsum(self.train) / len(self.train)

    @property
    def reason(self) -> str:
        """Why the network is not judged; empty where it is."""
        if self.learnt:
            return ""
        if any(map(math.isnan, self.train)):
            return f"untrained: no training accuracy of {self.network} is recorded at step {self.step:,}"
        return (
            f"untrained: {self.network} is at {min(self.train):.1%} training accuracy at step {self.step:,}, and "
            f"{self.needed:.0%} are needed"
        )

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        return {
            "network": self.network,
            "step": self.step,
            "train": [value if math.isfinite(value) else None for value in self.train],
            "test": [value if math.isfinite(value) else None for value in self.test],
            "chance": self.chance,
            "needed": self.needed,
        }
