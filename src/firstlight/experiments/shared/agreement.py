"""How alike the profiles of runs are, beside what λ alone makes of them, and what two random banks would be."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from firstlight.errors import InputError
from firstlight.experiments.networks import Trained
from firstlight.experiments.shared.fits import change_profile_at
from firstlight.experiments.verdicts import Condition
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, standardized
from firstlight.theory.null import gaussian_profiles, percentile

RANDOM_PAIRS = 1000
PAIR_COLUMNS = (
    *("network", "seed", "step", "other_network", "other_seed", "other_step"),
    *("correlation", "beyond_lambda", "lambda_alone", "other_lambda_alone"),
)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two profiles; NaN where one is constant, as that of a layer that has not moved."""
    try:
        return correlation(a, b)
    except InputError:
        return float("nan")


def beyond(a: np.ndarray, known_a: np.ndarray, b: np.ndarray, known_b: np.ndarray) -> float:
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


def pair_rows(
    group: tuple[Trained, PatchBasis], other: tuple[Trained, PatchBasis], steps: tuple[int, int], same_seed: bool = True
) -> pd.DataFrame:
    """A row a pair of runs of two networks, each at one recorded step.

    Of a network with itself every pair of different seeds is there once. With `same_seed` False pairs of one seed are
    left out, as of networks that share their initial weights.
    """
    (first, basis), (second, other_basis) = group, other
    deviation, other_deviation = np.sqrt(basis.variance), np.sqrt(other_basis.variance)
    rows = []
    for index, a in enumerate(first.runs):
        for b in second.runs[index + 1 :] if first.network is second.network else second.runs:
            if a.spec.seed == b.spec.seed and not same_seed:
                continue
            one = change_profile_at(a, basis, steps[0]).energy
            two = change_profile_at(b, other_basis, steps[1]).energy
            names = first.network.name, a.spec.seed, steps[0], second.network.name, b.spec.seed, steps[1]
            both = similarity(one, two), beyond(one, deviation, two, other_deviation)
            rows.append((*names, *both, similarity(one, deviation), similarity(two, other_deviation)))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def by_seeds(rows: pd.DataFrame, column: str) -> dict[tuple[int, int], list[float]]:
    """The values of pairs of runs by their seeds, as `Condition.over_pairs` takes them."""
    found: dict[tuple[int, int], list[float]] = {}
    for one, two, value in zip(rows.seed, rows.other_seed, rows[column], strict=True):
        found.setdefault((int(one), int(two)), []).append(float(value))
    return found


def agreement_conditions(
    ends: pd.DataFrame, firsts: pd.DataFrame, least: float, percentile_95: float
) -> tuple[Condition, Condition]:
    """That profiles agree, and beyond what λ alone explains; `firsts` are the same pairs after one step."""
    return (
        Condition.over_pairs(
            "correlation of profiles", by_seeds(ends, "correlation"), least=least, after_one_step=firsts.correlation
        ),
        Condition.over_pairs(
            "correlation of what λ leaves unexplained, above the 95th percentile of random banks",
            by_seeds(ends, "beyond_lambda"),
            least=percentile_95,
            after_one_step=firsts.beyond_lambda,
        ),
    )


def lambda_alone(rows: pd.DataFrame) -> list[float]:
    """Correlation of λ with the profiles of both sides of pairs, a number a pair: their mean."""
    return ((rows.lambda_alone + rows.other_lambda_alone) / 2).tolist()


def random_agreement(filters: tuple[int, int], basis: PatchBasis) -> dict[str, Any]:
    """What chance makes of any two: profiles of random banks, partialled by λ as those of networks are."""
    scores = _random_scores(tuple(sorted(filters)), tuple(basis.variance.tolist()))
    return {
        "of": f"{RANDOM_PAIRS} pairs of random banks of {' and '.join(map(str, filters))} filters",
        "mean": float(np.mean(scores[0])),
        "percentile_95": percentile(scores[0]),
        "beyond_lambda_percentile_95": percentile(scores[1]),
    }


@cache
def _random_scores(filters: Sequence[int], variance: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng, deviation = np.random.default_rng(0), np.sqrt(np.array(variance))
    one, two = (gaussian_profiles(count, (RANDOM_PAIRS, len(variance)), rng) for count in filters)
    whole = np.array([similarity(a, b) for a, b in zip(one, two, strict=True)])
    rest = np.array([beyond(a, deviation, b, deviation) for a, b in zip(one, two, strict=True)])
    return whole, rest
