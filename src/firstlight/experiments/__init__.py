"""Claims of the note and the paper, each judged on what was measured; a package an experiment.

Read first: `whitening/__init__.py`.
"""

from firstlight.experiments import (
    beyond,
    consistency,
    formula,
    frequency,
    frozen,
    initialisation,
    label_correlation,
    label_energy,
    labels,
    linear,
    patch_statistics,
    trajectory,
    whitening,
)
from firstlight.experiments.claims import Claim
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.schedule import Preset

# In the order of the note and of the paper.
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
        initialisation,
        beyond,
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
]
