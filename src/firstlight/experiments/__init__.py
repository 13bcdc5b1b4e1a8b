"""One module an experiment; each states its claims and judges them on what it measured."""

from firstlight.experiments import (
    consistency,
    formula,
    frequency,
    frozen,
    label_correlation,
    label_energy,
    labels,
    linear,
    patch_statistics,
    trajectory,
    whitening,
)
from firstlight.experiments.claims import Claim, claims_markdown
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.schedule import Preset

# In the order of the seed and of the paper.
EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        formula,
        consistency,
        frequency,
        frozen,
        labels,
        linear,
        whitening,
        label_correlation,
        label_energy,
        patch_statistics,
        trajectory,
    )
}

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
