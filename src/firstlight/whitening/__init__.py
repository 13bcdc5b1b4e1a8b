"""How far a filter bank decorrelates what it sees, and the bank that whitens patches.

Read first: `banks.py`.
"""

from firstlight.whitening.banks import pixel_bank, whitening_bank
from firstlight.whitening.curve import AutocorrelationCurve
from firstlight.whitening.distance import whitening_distance, whitening_spread
from firstlight.whitening.initial_filters import whitening_filters
from firstlight.whitening.initialise import initialise_first_layer
from firstlight.whitening.lag_moments import LagMoments
from firstlight.whitening.measure import autocorrelation

__all__ = [
    "AutocorrelationCurve",
    "LagMoments",
    "autocorrelation",
    "initialise_first_layer",
    "pixel_bank",
    "whitening_bank",
    "whitening_distance",
    "whitening_filters",
    "whitening_spread",
]
