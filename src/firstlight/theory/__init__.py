"""The closed form for the linear CNN, its limits and its fit; what goes beyond it; what chance gives.

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
from firstlight.theory.theory_fit import TheoryFit, fit_theory
from firstlight.theory.trajectory import composition_profile

__all__ = [
    "AUTHORS_TAU",
    "PEAK",
    "FormulaFit",
    "MeanPatchMoments",
    "TheoryFit",
    "composition_profile",
    "fit_formula",
    "fit_theory",
    "frozen_readout_filters",
    "linear_cnn_profile",
    "mean_patch_moments",
    "regime",
    "two_layer_descent",
]
