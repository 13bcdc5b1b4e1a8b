"""How alike the profiles of two runs are, beside how alike λ alone makes them."""

import numpy as np

from firstlight.errors import InputError
from firstlight.experiments.consistency.trained import Trained
from firstlight.profile import correlation, standardized

COMPARISON = ("correlation", "lambda_a", "lambda_b", "beyond_lambda")


def last_common_step(a: Trained, b: Trained) -> int:
    """The last step that both recorded; there is one, because every run records its first."""
    return max(a.energies.keys() & b.energies.keys())


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two profiles; NaN where one is constant, as that of a layer that has not moved."""
    try:
        return correlation(a, b)
    except InputError:
        return float("nan")


def correlation_beyond(a: np.ndarray, known_a: np.ndarray, b: np.ndarray, known_b: np.ndarray) -> float:
    """Correlation of what is left of two profiles when each one's best line through a known one is taken off.

    Parameters
    ----------
    a, b : ndarray, shape (D,)
    known_a, known_b : ndarray, shape (D,)
        λ of the patches that each was trained on. Where it is the same one, this is the partial correlation.

    Returns
    -------
    float
        NaN where the known one leaves nothing.
    """
    if np.isnan(similarity(a, b)):
        return float("nan")
    left = []
    for profile, known in ((standardized(a), standardized(known_a)), (standardized(b), standardized(known_b))):
        rest = profile - (profile @ known) * known
        if np.linalg.norm(rest) < 1e-6:  # rounding is all that is left
            return float("nan")
        left.append(rest)
    return similarity(*left)


def compare(a: Trained, b: Trained, step: int) -> dict[str, float]:
    """The profiles of two runs at one step, beside λ."""
    one, other = a.energies[step], b.energies[step]
    values = similarity(one, other), similarity(one, a.deviation), similarity(other, b.deviation)
    return dict(zip(COMPARISON, (*values, correlation_beyond(one, a.deviation, other, b.deviation)), strict=True))
