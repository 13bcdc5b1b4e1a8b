"""The closed form for the linear CNN, its limits and its fit; what chance gives; the linear CNN trained exactly.

Read first: `formula.py`.
"""

from firstlight.theory.fit import fit_formula
from firstlight.theory.formula import PEAK, linear_cnn_profile, regime
from firstlight.theory.formula_fit import FormulaFit
from firstlight.theory.linear_cnn import (
    MeanPatchMoments,
    frozen_readout_filters,
    mean_patch_moments,
    two_layer_descent,
)
from firstlight.theory.scan import AUTHORS_TAU

__all__ = [
    "AUTHORS_TAU",
    "PEAK",
    "FormulaFit",
    "MeanPatchMoments",
    "fit_formula",
    "frozen_readout_filters",
    "linear_cnn_profile",
    "mean_patch_moments",
    "regime",
    "two_layer_descent",
]
