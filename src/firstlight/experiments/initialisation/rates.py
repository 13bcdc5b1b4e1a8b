"""What a start of the first layer reaches at the learning rate that suits it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstlight.experiments.accuracy import Accuracy
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import NETWORKS, START_RATES, STARTS, started


@dataclass(frozen=True, eq=False)
class Tuned:
    """One start of a network, each seed at the learning rate at which the other seeds did best.

    Attributes
    ----------
    values : mapping of int to ndarray of shape (S,)
        Test accuracy by step: the one that counts as few steps, and the last.
    rates : mapping of int to ndarray of shape (S,)
        The learning rates.
    reached : Reached
        How far the start had learnt at the last step, at its most usual rate.
    """

    values: Mapping[int, np.ndarray]
    rates: Mapping[int, np.ndarray]
    reached: Reached

    def usual_rate(self, step: int) -> float:
        """The learning rate of most seeds; of two as many, the lower."""
        found, counts = np.unique(self.rates[step], return_counts=True)
        return float(found[counts.argmax()])


def tuned(found: Mapping[str, Accuracy | None], model: str) -> dict[str, Tuned]:
    """The starts of a network of which every learning rate was trained, of what was found by name."""
    complete = {}
    for start in STARTS:
        by_rate = {rate: found[started(model, start, rate)] for rate in START_RATES[model]}
        if all(by_rate.values()):
            complete[start] = best(model, start, {rate: own for rate, own in by_rate.items() if own})
    return complete


def best(model: str, start: str, by_rate: Mapping[float, Accuracy]) -> Tuned:
    """One start at its own best learning rate, of its accuracy by rate."""
    rates = np.array(list(by_rate))
    curves = np.array([own.test for own in by_rate.values()])  # (rates, seeds, steps)
    steps = next(iter(by_rate.values())).steps
    chosen = {}
    for step in (few_steps(steps), int(steps[-1])):
        here = curves[:, :, steps.tolist().index(step)]
        others = here.sum(axis=1, keepdims=True) - here
        # The first of the largest, so that of equal rates the lower counts; sums differ by rounding alone then.
        place = others.round(9).argmax(axis=0)
        chosen[step] = place
    values = {
        step: curves[place, np.arange(curves.shape[1]), steps.tolist().index(step)] for step, place in chosen.items()
    }
    usual = np.bincount(chosen[int(steps[-1])]).argmax()
    reached = by_rate[float(rates[usual])].reached(NETWORKS[started(model, start, float(rates[usual]))].title)
    return Tuned(values, {step: rates[place] for step, place in chosen.items()}, reached)


def few_steps(steps: np.ndarray) -> int:
    """The last look at the test images within the first third of a training; the first look where there is none."""
    early = steps[steps * 3 <= steps[-1]]
    return int(early[-1] if early.size else steps[0])
