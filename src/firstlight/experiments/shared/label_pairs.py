"""Networks on different kinds of labels, pair by pair: how alike their profiles are, and what that is read against."""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from firstlight.experiments.shared.fits import change_profile_at
from firstlight.experiments.shared.notes import number, training_note
from firstlight.experiments.shared.tables import rows_where
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile
from firstlight.theory.null import agreement, gaussians, percentile
from firstlight.training import Run
from firstlight.training.run import COLUMNS

RANDOM_PAIRS = 1000
NETWORK_COLUMNS = (
    *("model", "labels", "seed", "classes", *COLUMNS),
    *("total_energy", "correlation_lambda", "correlation_initial"),
)
PAIR_COLUMNS = (
    *("model", "labels", "seed", "step", "other_labels", "other_seed", "other_step"),
    *("correlation", "correlation_beyond_lambda"),
)


def common_steps(runs: Sequence[Run]) -> list[int]:
    """The steps after the initialisation that all of these runs recorded; the first step always is one."""
    return sorted(set.intersection(*({int(step) for step in run.steps} for run in runs)) - {0})


def pair_table(runs: Sequence[Run], others: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """Correlation of the profiles of the change in two groups of networks, a row a pair and step.

    Parameters
    ----------
    runs, others : sequence of Run
        Only networks of different seeds are paired; where a group is empty, so is the table.
    basis : PatchBasis

    Returns
    -------
    DataFrame
        Every step that all of both groups recorded (`step` and `other_step` are equal), then the very last of each.
        `correlation_beyond_lambda` is the partial correlation, that of what is left of both profiles when each
        one's best multiple of λ (and a constant) is taken off; NaN where one follows λ exactly.
    """
    rows = []
    steps = [(step, step) for step in common_steps([*runs, *others])] if runs and others else []
    deviation = np.sqrt(basis.variance)
    for one, other in product(runs, others):
        if one.spec.seed == other.spec.seed:
            continue
        for step, other_step in dict.fromkeys([*steps, (int(one.steps[-1]), int(other.steps[-1]))]):
            a, b = change_profile_at(one, basis, step).energy, change_profile_at(other, basis, other_step).energy
            both = correlation(a, b)
            beyond = partial_correlation(both, correlation(a, deviation), correlation(b, deviation))
            names = one.spec.model, one.spec.labels, one.spec.seed, step, other.spec.labels, other.spec.seed, other_step
            rows.append((*names, both, beyond))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def partial_correlation(both: float, first: float, second: float) -> float:
    """Correlation of a and b with c held fixed, from those of (a, b), (a, c) and (b, c); NaN where c explains one."""
    free = (1 - first**2) * (1 - second**2)
    return float(np.clip((both - first * second) / np.sqrt(free), -1, 1)) if free > 1e-12 else float("nan")


def network_table(runs: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and recorded step: how far it was trained, and its change beside λ and beside its initialisation."""
    deviation = np.sqrt(basis.variance)
    rows = []
    for run in runs:
        initial = energy_profile(run.initial, basis)
        for metrics in run.metrics.iloc[1:].itertuples(index=False):
            change = change_profile_at(run, basis, int(metrics.step))  # type: ignore[attr-defined]
            scores = (change.total, change.correlation(deviation), change.correlation(initial))
            rows.append((run.spec.model, run.spec.labels, run.spec.seed, run.spec.classes, *metrics, *scores))
    return pd.DataFrame(rows, columns=list(NETWORK_COLUMNS))


@cache
def random_agreement(model: str, size: int) -> dict[str, float]:
    """Correlation of the profiles of two random banks of a network's shape: what chance makes of any two."""
    filters = NETWORKS[model].filters
    energies = np.sqrt(np.mean(gaussians(RANDOM_PAIRS, 2, filters, size) ** 2, axis=2))
    scores = agreement(energies[:, 0], energies[:, 1])
    return {
        "filters": filters,
        "pairs": RANDOM_PAIRS,
        "mean": float(np.mean(scores)),
        "percentile_95": percentile(scores),
    }


def at_last_common_step(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of pairs at the last step that all of both groups recorded."""
    equal = pairs.query("step == other_step")
    return rows_where(equal, step=equal.step.max())


def agreement_note(pairs: pd.DataFrame, networks: pd.DataFrame, random_banks: pd.Series, kinds: tuple[str, str]) -> str:
    """What a correlation of two kinds of network must be read against: training so far, λ, chance, their ends."""
    rows = at_last_common_step(pairs)
    step = rows.step.iloc[0]
    groups = {labels_in_words(kind): rows_where(networks, labels=kind, step=step) for kind in kinds}
    ends = pairs.groupby(["seed", "other_seed"]).tail(1)
    reached = " and ".join(f"{training_note(group)} with {kind}" for kind, group in groups.items())
    alone = " and ".join(f"{number(group.correlation_lambda)} with that of {kind}" for kind, group in groups.items())
    last = (
        f" At the last step of each, {ends.step.iloc[0]} and {ends.other_step.iloc[0]}, the correlation is "
        f"{number(ends.correlation)}."
        if (ends.step != ends.other_step).any()
        else ""
    )
    return (
        f"At step {step}: {reached}. λ alone correlates {alone}: early in training every profile is near λ, and so "
        f"near any other; of what λ leaves unexplained the correlation is {number(rows.correlation_beyond_lambda)}. "
        f"{chance_note(random_banks)}{last}"
    )


def chance_note(random_banks: pd.Series) -> str:
    """What two random banks of the network's shape reach, for a note."""
    return (
        f"Two random banks of this shape correlate {random_banks['mean']:.2f} on average, 95th percentile "
        f"{random_banks.percentile_95:.2f}."
    )


def labels_in_words(kind: str) -> str:
    """A kind of labels as a note or a legend calls it: "true" is "true labels"."""
    name, _, component = kind.partition(":")
    return f"labels of component {component}" if component else f"{name} labels"
