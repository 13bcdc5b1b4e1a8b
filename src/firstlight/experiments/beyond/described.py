"""Both theories fitted to the networks of the experiment `beyond`: our own runs, and networks that others trained."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np

from firstlight.experiments.context import Context
from firstlight.inspection.atlas import shipped_atlas
from firstlight.models import MODELS
from firstlight.theory import TheoryFit, fit_theory
from firstlight.training import Run

Counts = Literal["development", "held out", "shown", "ours"]
THEORIES = {"eq3": "eq. 3", "composition": "composition"}


@dataclass(frozen=True, eq=False)
class Described:
    """What both theories make of one network's first layer.

    Attributes
    ----------
    network : str
        In words.
    counts : {"held out", "shown", "development", "ours"}
        Of a network that others trained, whether it was held out.
    known : bool
        Whether an earlier fit of it was known when that was decided.
    seed : int or None
    fit : TheoryFit or None
        None of a layer that has not moved.
    """

    network: str
    counts: Counts
    known: bool
    seed: int | None
    fit: TheoryFit | None

    def r(self, theory: str) -> float:
        """Correlation with a theory at its best time; NaN where that is not defined."""
        found = self.fit and getattr(self.fit, theory)
        return found.correlation if found else float("nan")

    @property
    def difference(self) -> float:
        """The correlation of composition less that of eq. 3."""
        return self.r("composition") - self.r("eq3")


def of_changes(context: Context, title: str, runs: Sequence[Run], place: int = -1) -> list[Described]:
    """The change w(t) - w(0) of runs at a recorded step, in the patches of the images that they were trained on."""
    return [Described(title, "ours", False, run.spec.seed, _of_change(context, run, place)) for run in runs]


def _of_change(context: Context, run: Run, place: int) -> TheoryFit | None:
    spec, change = run.spec, run.filters[place] - run.initial
    if not change.any():
        return None
    # As wide as two kernels see one after the other: the windows of composition.
    kernel_size = MODELS[spec.model].kernel_size
    windows = context.moments(spec, 2 * kernel_size - 1)
    return fit_theory(change, windows, stride=spec.stride, mean=spec.mean, std=spec.std)


@cache
def of_others() -> tuple[Described, ...]:
    """The networks of the atlas that others trained, by their whole weights, in the patches of CIFAR-10."""
    energies = {one.name: one.energy for one in shipped_atlas() if not one.change}
    return tuple(
        Described(
            name,
            about["counts"],
            about.get("known", False),
            None,
            fit_theory(np.array(energies[name]), stride=about["stride"]),
        )
        for name, about in others().items()
    )


@cache
def others() -> Mapping[str, Mapping[str, Any]]:
    """Stride of the first layer, and how it counts, of every network that others trained, by its name in the atlas."""
    return tomllib.loads(resources.files(__package__ or "").joinpath("others.toml").read_text(encoding="utf-8"))
