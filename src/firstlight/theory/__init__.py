"""The closed form for the linear CNN, its limits, and its fit to measured profiles."""

from firstlight.theory.fit import FormulaFit, fit_formula
from firstlight.theory.formula import PEAK, linear_cnn_profile, regime

__all__ = ["PEAK", "FormulaFit", "fit_formula", "linear_cnn_profile", "regime"]
