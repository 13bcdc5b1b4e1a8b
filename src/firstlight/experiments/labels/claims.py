"""The claims of the experiment `labels`: L1 and L2 of the criteria."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.against_initial import initial_claim
from firstlight.experiments.shared.agreement import Measured, agreement_claim
from firstlight.experiments.verdicts import Kind

MODELS = {"vgg11": "VGG11", "resnet20": "ResNet20"}
LEAST = 0.8


def judge(groups: Mapping[str, Sequence[Measured]], pairs: pd.DataFrame, initial: pd.DataFrame) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    groups : mapping of str to sequence of Measured
        Each model on true and on random labels.
    pairs, initial : DataFrame
        As `pair_rows`, from one step on to the ends, and `initial_table` of `shared` make them.
    """
    claims = []
    for model, both in groups.items():
        part = "" if model == "vgg11" else f".{model}"
        kind: Kind | None = "own finding" if part else None
        texts: dict[str, Any] = {"subject": MODELS[model], "figure": "correlation_over_steps"}
        claims += [
            agreement_claim(f"L1{part}", both, pairs, LEAST, kind=kind, **texts),
            initial_claim(f"L2{part}", both[1], initial, kind=kind),
        ]
    return claims
