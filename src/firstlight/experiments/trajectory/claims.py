"""The claims of the experiment `trajectory`: O2 and O3 of the criteria."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained
from firstlight.experiments.shared.fits import RANDOM_BANKS, null_of
from firstlight.experiments.shared.notes import number
from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.experiments.verdicts import CORRELATION, Condition
from firstlight.profile import correlation
from firstlight.theory.null import gaussian_profiles

NETWORKS = {"": "vgg11", ".resnet20": "resnet20", ".resnet20b": "resnet20b"}  # by the end of the claims' ids
LEAST_FITS = 5  # steps with a fitted tau that a slope needs


def judge(groups: Mapping[str, Trained], steps: pd.DataFrame, predicted: Mapping[str, np.ndarray]) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    groups : mapping of str to Trained
        The networks by name.
    steps : DataFrame
        As `trajectory.step_table` makes it.
    predicted : mapping of str to ndarray, shape (T, D)
        Eq. 3 at the lr and the recorded steps of every network.
    """
    return [growth_claim(part, groups[network], steps) for part, network in NETWORKS.items()] + [
        same_step_claim(part, groups[network], steps, predicted) for part, network in NETWORKS.items()
    ]


def growth_claim(part: str, group: Trained, steps: pd.DataFrame) -> Claim:
    """Whether the fitted tau grows in proportion to lr * steps, over the steps at which it is not at a limit."""
    name, subject = f"O2{part}", group.network.title
    if not group:
        return Claim.judged(name, reason=group.reason, subject=subject)
    own = rows_where(steps, network=group.network.name)
    seeds = [rows for _, rows in own[own.bound == ""].groupby("seed")]
    reached = [Reached.of(subject, group.runs)]
    if len(seeds) < len(group.runs) or min(map(len, seeds)) < LEAST_FITS:
        reason = f"not defined: fewer than {LEAST_FITS} recorded steps of a seed have a best τ that is not at a limit"
        return Claim.judged(name, reason=reason, subject=subject, reached=reached, figure="fitted_time")
    ratios = [(rows.tau / rows.lr_times_steps).iloc[[0, -1]] for rows in seeds]
    formula = rows_where(own, seed=group.runs[0].spec.seed, predicted_bound="")
    return Claim.judged(
        name,
        Condition.over_seeds(
            "slope of log τ against log(lr × steps)",
            [slope(rows.lr_times_steps, rows.tau) for rows in seeds],
            least=0.8,
            most=1.2,
        ),
        subject=subject,
        reached=reached,
        note=f"τ / (lr × steps) goes from {'; '.join(f'{first:.2g} to {last:.2g}' for first, last in ratios)} (by "
        f"seed); {(own.bound != '').sum()} of {len(own)} recorded steps fit best at a limit and are left out. Eq. 3 "
        f"itself, fitted likewise, has a slope of {slope(formula.lr_times_steps, formula.predicted_tau):.2f}. One step "
        "has no slope.",
        figure="fitted_time",
    )


def slope(x: pd.Series, y: pd.Series) -> float:
    """Slope of the line through log y against log x; NaN for fewer than two."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else float("nan")


def same_step_claim(part: str, group: Trained, steps: pd.DataFrame, predicted: Mapping[str, np.ndarray]) -> Claim:
    """Whether eq. 3 has the profile's shape at the same step, with nothing fitted."""
    name, subject = f"O3{part}", group.network.title
    if not group:
        return Claim.judged(name, reason=group.reason, subject=subject)
    own = rows_where(steps, network=group.network.name)
    firsts, ends = at_ends(own)
    filters, last = len(group.runs[0].initial), predicted[group.network.name][-1]
    banks = gaussian_profiles(filters, (RANDOM_BANKS, len(last)), np.random.default_rng(0))
    every = own.same_step_correlation
    return Claim.judged(
        name,
        Condition.over_seeds(
            "correlation with eq. 3 at the last step, lr and steps as trained",
            ends.same_step_correlation,
            least=0.8,
            possible=CORRELATION,
            after_one_step=firsts.same_step_correlation,
        ),
        subject=subject,
        reached=[Reached.of(subject, group.runs)],
        lambda_alone=ends.correlation_lambda,
        null=null_of(np.array([correlation(bank, last) for bank in banks]), f"{RANDOM_BANKS} random banks"),
        note=f"Over all recorded steps it runs from {every.min():.3f} to {every.max():.3f}; with the best τ it is "
        f"{number(ends.correlation)} at the last one. Eq. 3 does not know how much the layers above scale the "
        "gradient: a network that learns at another pace follows it at other steps.",
        figure="profiles",
    )
