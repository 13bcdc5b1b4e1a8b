"""The closed form for the linear CNN, its limits, and its fit to measured profiles."""

from .fit import FormulaFit, fit_formula
from .formula import PEAK, linear_cnn_profile, regime

__all__ = ["PEAK", "FormulaFit", "fit_formula", "linear_cnn_profile", "regime"]
