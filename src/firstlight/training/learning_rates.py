"""The learning rate of every update of a training, and how far gradient flow comes in the same time."""

import math

from firstlight.training.spec import RunSpec


def learning_rate(spec: RunSpec, step: int) -> float:
    """The learning rate of the update that follows `step` others."""
    if spec.schedule == "cosine":
        return spec.lr * (1 + math.cos(math.pi * step / spec.steps)) / 2
    return spec.lr


def flow_time(spec: RunSpec, steps: int) -> float | None:
    """The time of gradient flow after the first so many updates; None where there is none, as in Adam.

    The sum of their learning rates. Momentum m takes every gradient again in the updates that follow, m, m^2, ... times
    as large: in all 1 / (1 - m) times, but the last ones.
    """
    if spec.optimizer == "adam":
        return None
    return math.fsum(learning_rate(spec, step) for step in range(steps)) / (1 - spec.momentum)
