"""Whether what a network learns is unlike where it began: the profile of w(t) - w(0) against that of w(0)."""

from collections.abc import Iterable

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.agreement import Measured, random_agreement, similarity
from firstlight.experiments.shared.fits import change_profile_at
from firstlight.experiments.shared.notes import number
from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.experiments.verdicts import CORRELATION, Condition, Kind
from firstlight.profile import energy_profile

UNLIKE = 0.5  # below which profiles count as unlike
COLUMNS = ("network", "seed", "step", "correlation", "lambda_alone", "relative_change")


def initial_table(groups: Iterable[Measured]) -> pd.DataFrame:
    """A row a run after one step and at its end: its change beside its initialisation.

    `lambda_alone` is the correlation of λ with the initial profile, `relative_change` the norm of w(t) - w(0) relative
    to that of w(0).
    """
    rows = []
    for group in groups:
        for run in group.trained.runs:
            initial = energy_profile(run.initial, group.basis)
            alone = similarity(group.deviation, initial.energy)
            for step in dict.fromkeys((group.steps[0], group.steps[-1])):
                change = change_profile_at(run, group.basis, step)
                score = similarity(change.energy, initial.energy)
                rows.append((group.name, run.spec.seed, step, score, alone, change.total / initial.total))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def initial_claim(name: str, group: Measured, table: pd.DataFrame, kind: Kind | None = None) -> Claim:
    """That the profile of the change is unlike the initialisation's; the rows of other networks are left alone."""
    if not group:
        return Claim.judged(name, reason=group.trained.reason, subject=group.title, kind=kind, figure="profiles")
    firsts, ends = at_ends(rows_where(table, network=group.name))
    return Claim.judged(
        name,
        Condition.over_seeds(
            "correlation with the initial profile",
            ends.correlation,
            most=UNLIKE,
            after_one_step=firsts.correlation,
            possible=CORRELATION,
        ),
        reached=[group.reached()],
        lambda_alone=ends.lambda_alone,
        null=random_agreement([group]),
        note=f"The change w(t) - w(0) has {number(ends.relative_change, '{:.2f}'.format)} times the norm of w(0).",
        subject=group.title,
        kind=kind,
        figure="profiles",
    )
