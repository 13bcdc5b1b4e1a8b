"""The claim of the experiment `label-energy`: L3 of the criteria."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.networks import reasons
from firstlight.experiments.shared.agreement import (
    Measured,
    correlation_condition,
    lambda_alone,
    random_agreement,
    rows_between,
)
from firstlight.experiments.shared.notes import number
from firstlight.experiments.shared.tables import rows_where

TRUE, RANDOM, ENERGY = "vgg11", "vgg11-random", "vgg11-energy15"
MOST = 0.3


def judge(groups: Mapping[str, Measured], pairs: pd.DataFrame) -> list[Claim]:
    """Judge the claim; of `pairs`, as `pair_rows` makes them, each network's are with those on random labels."""
    energy, random = groups[ENERGY], groups[RANDOM]
    texts: dict[str, Any] = {"subject": "VGG11, component 15", "replicates": "pair", "figure": "correlation_over_steps"}
    if reason := reasons([energy.trained, random.trained]):
        return [Claim.judged("L3", reason=reason, **texts)]
    own, true = (rows_between(pairs, [group, random]) for group in (energy, groups[TRUE]))
    step = energy.steps[-1]
    near = random.nearest(step)
    firsts, ends = (rows_where(own, step=at, other_step=other) for at, other in ((1, 1), (step, near)))
    if ends.empty:
        return [Claim.judged("L3", reason="no run: a single seed makes no pair", **texts)]
    compared = " and ".join(
        f"{correlation_text(own, true, step, other)} at step {other:,} of random labels"
        for other in dict.fromkeys((near, random.steps[-1]))
    )
    return [
        Claim.judged(
            "L3",
            correlation_condition(firsts, ends, most=MOST),
            reached=[energy.reached(step), random.reached(near)],
            lambda_alone=lambda_alone(ends),
            null=random_agreement([energy, random]),
            note=f"At step {step:,}: {compared}.",
            **texts,
        )
    ]


def correlation_text(own: pd.DataFrame, true: pd.DataFrame, step: int, other_step: int) -> str:
    """What the component's labels and what true ones give, where these were recorded."""
    here, usual = (number(rows_where(rows, step=step, other_step=other_step).correlation) for rows in (own, true))
    return f"{here} (with true labels {usual})" if usual != "undefined" else here
