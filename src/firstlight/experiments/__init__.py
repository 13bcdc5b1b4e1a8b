"""One module an experiment; each states its claims and judges them on what it measured."""

from firstlight.experiments import formula
from firstlight.experiments.base import Context, Experiment, FigureEntry, Preset, Result
from firstlight.experiments.claims import Claim, claims_markdown

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (formula.EXPERIMENT,)}

__all__ = [
    "EXPERIMENTS",
    "Claim",
    "Context",
    "Experiment",
    "FigureEntry",
    "Preset",
    "Result",
    "claims_markdown",
]
