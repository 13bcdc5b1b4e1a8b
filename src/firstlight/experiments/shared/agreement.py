"""How alike the profiles of runs are, beside what λ alone makes of them, and what two random banks would be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.context import Context
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained, reasons
from firstlight.experiments.shared.fits import change_profile_at, similarity
from firstlight.experiments.shared.notes import number
from firstlight.experiments.verdicts import CORRELATION, Condition
from firstlight.patches import PatchBasis
from firstlight.profile import standardized
from firstlight.theory.null import gaussian_profiles, percentile

RANDOM_PAIRS = 1000
_PAIR = ["network", "seed", "other_network", "other_seed"]
PAIR_COLUMNS = (
    *("network", "seed", "step", "other_network", "other_seed", "other_step"),
    *("correlation", "beyond_lambda", "lambda_alone", "other_lambda_alone"),
)


@dataclass(frozen=True, eq=False)
class Measured:
    """A network, and the components of the patches that it was trained on; it may have no runs."""

    trained: Trained
    basis: PatchBasis

    @classmethod
    def of(cls, context: Context, name: str) -> "Measured":
        """By its name in `NETWORKS`."""
        trained = context.trained(name)
        return cls(trained, context.basis(trained.runs[0].spec if trained else None))

    def __bool__(self) -> bool:
        return bool(self.trained)

    @property
    def name(self) -> str:
        """In tables."""
        return self.trained.network.name

    @property
    def title(self) -> str:
        """For people."""
        return self.trained.network.title

    @property
    def steps(self) -> list[int]:
        """The recorded steps after the initialisation."""
        return self.trained.runs[0].steps[1:].tolist()

    def nearest(self, step: int) -> int:
        """The recorded step that is nearest in the logarithm."""
        return min(self.steps, key=lambda at: abs(math.log(at / step)))

    @property
    def deviation(self) -> np.ndarray:
        """λ of the patches, shape (D,)."""
        return np.sqrt(self.basis.variance)

    @property
    def filters(self) -> int:
        """Number of filters in the first layer."""
        return len(self.trained.runs[0].initial)

    def normalized(self, step: int) -> np.ndarray:
        """Profiles of w(t) - w(0) at a recorded step, each relative to its peak, shape (seeds, D)."""
        return np.array([change_profile_at(run, self.basis, step).normalized for run in self.trained.runs])

    def reached(self, step: int | None = None) -> Reached:
        """How far it had learnt at a recorded step; the last by default."""
        return Reached.of(self.title, self.trained.runs, step)


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
    first: Measured, second: Measured, steps: Sequence[tuple[int, int]], same_seed: bool = True
) -> pd.DataFrame:
    """A row a pair of runs of two networks and pair of recorded steps.

    Of a network with itself every pair of different seeds is there once. With `same_seed` False pairs of one seed are
    left out, as of networks that share their initial weights.
    """
    rows = []
    for index, a in enumerate(first.trained.runs):
        for b in second.trained.runs[index + 1 :] if first.name == second.name else second.trained.runs:
            if a.spec.seed == b.spec.seed and not same_seed:
                continue
            for step, other_step in dict.fromkeys(steps):
                one = change_profile_at(a, first.basis, step).energy
                two = change_profile_at(b, second.basis, other_step).energy
                names = first.name, a.spec.seed, step, second.name, b.spec.seed, other_step
                both = similarity(one, two), beyond(one, first.deviation, two, second.deviation)
                alone = similarity(one, first.deviation), similarity(two, second.deviation)
                rows.append((*names, *both, *alone))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def end_steps(first: Measured, second: Measured) -> list[tuple[int, int]]:
    """After one step, and the end of each."""
    return [(first.steps[0], second.steps[0]), (first.steps[-1], second.steps[-1])]


def rows_between(pairs: pd.DataFrame, groups: Sequence[Measured]) -> pd.DataFrame:
    """The rows that compare these networks with each other; of one network, those that compare it with itself."""
    names = [group.name for group in groups]
    rows = pairs[pairs.network.isin(names) & pairs.other_network.isin(names)]
    return rows.loc[(rows.network == rows.other_network) == (len(names) == 1)]


def first_and_last(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of every pair of runs the row after one step, and that of the end."""
    groups = pairs.groupby(_PAIR, sort=False)
    return groups.head(1), groups.tail(1)


def by_seeds(rows: pd.DataFrame, column: str) -> dict[tuple[int, int], list[float]]:
    """The values of pairs of runs by their seeds, as `Condition.over_pairs` takes them."""
    found: dict[tuple[int, int], list[float]] = {}
    for one, two, value in zip(rows.seed, rows.other_seed, rows[column], strict=True):
        found.setdefault((int(one), int(two)), []).append(float(value))
    return found


def correlation_condition(firsts: pd.DataFrame, ends: pd.DataFrame, **bounds: float) -> Condition:
    """On the mean correlation over pairs of runs."""
    values = by_seeds(ends, "correlation")
    return Condition.over_pairs(
        "correlation of profiles", values, after_one_step=firsts.correlation, possible=CORRELATION, **bounds
    )


def agreement_claim(
    name: str, groups: Sequence[Measured], pairs: pd.DataFrame, least: float, note: str = "", **texts: Any
) -> Claim:
    """That the profiles of networks agree at their ends, and beyond what λ alone explains.

    Parameters
    ----------
    name : str
        The claim's id.
    groups : sequence of Measured
        One network, whose seeds are compared, or several, which are compared with each other.
    pairs : DataFrame
        As `pair_rows` makes it, from one step on to the ends.
    least : float
        What the criterion asks for.
    note : str
    **texts
        What else `Claim.judged` takes.
    """
    texts = {"replicates": "pair", **texts}
    if reason := reasons([group.trained for group in groups]):
        return Claim.judged(name, reason=reason, **texts)
    firsts, ends = first_and_last(rows_between(pairs, groups))
    if ends.empty:
        return Claim.judged(name, reason="no run: a single seed makes no pair", **texts)
    null = random_agreement(groups)
    beyond_lambda = Condition.over_pairs(
        "correlation of what λ leaves unexplained, above the 95th percentile of random banks",
        by_seeds(ends, "beyond_lambda"),
        least=null["beyond_lambda_percentile_95"],
        after_one_step=firsts.beyond_lambda,
        possible=CORRELATION,
    )
    return Claim.judged(
        name,
        correlation_condition(firsts, ends, least=least),
        beyond_lambda,
        reached=[group.reached() for group in groups],
        lambda_alone=lambda_alone(ends),
        null=null,
        note=f"{same_seed_note(ends)}{note}".lstrip(),
        **texts,
    )


def lambda_alone(rows: pd.DataFrame) -> list[float]:
    """Correlation of λ with the profiles of both sides of pairs, a number a pair: their mean."""
    return ((rows.lambda_alone + rows.other_lambda_alone) / 2).tolist()


def same_seed_note(rows: pd.DataFrame) -> str:
    """Whether it matters that runs of one seed share the order of their images, and some their initial filters."""
    same = rows.seed == rows.other_seed
    if same.all() or not same.any():
        return ""
    one, different = number(rows.correlation[same]), number(rows.correlation[~same])
    return f" Pairs of one seed correlate {one}, of different seeds {different}."


def random_agreement(groups: Sequence[Measured]) -> dict[str, Any]:
    """What chance makes of networks like these: profiles of random banks, partialled by λ as theirs are."""
    sides = [(group.filters, tuple(group.deviation.tolist())) for group in groups]
    pairs = [(one, two) for one, two in combinations_with_replacement(sides, 2) if len(sides) == 1 or one is not two]
    whole, rest = np.hstack([_random_scores(*pair) for pair in pairs])
    shapes = " or ".join(dict.fromkeys(f"{one[0]} and {two[0]}" for one, two in pairs))
    return {
        "of": f"{len(whole)} pairs of random banks of {shapes} filters",
        "mean": float(np.mean(whole)),
        "percentile_95": percentile(whole),
        "beyond_lambda_percentile_95": percentile(rest),
    }


@cache
def _random_scores(one: tuple[int, tuple[float, ...]], two: tuple[int, tuple[float, ...]]) -> np.ndarray:
    """Correlations of random profiles, and of what λ leaves of them, shape (2, RANDOM_PAIRS)."""
    rng = np.random.default_rng(0)
    whole, rest = [], []
    for filters, deviation in (one, two):
        energy = gaussian_profiles(filters, (RANDOM_PAIRS, len(deviation)), rng)
        centred = energy - energy.mean(axis=1, keepdims=True)
        known = standardized(np.array(deviation))
        whole.append(centred)
        rest.append(centred - np.outer(centred @ known, known))
    return np.array([_cosines(*whole), _cosines(*rest)])


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
