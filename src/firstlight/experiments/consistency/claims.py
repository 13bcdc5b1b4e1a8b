"""The claims of the experiment `consistency`: C1 to C4, O4 and O5 of the criteria."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from firstlight.experiments.claims import Claim, magnitude
from firstlight.experiments.networks import WIDTHS, reasons
from firstlight.experiments.shared.against_initial import initial_claim
from firstlight.experiments.shared.agreement import (
    Measured,
    agreement_claim,
    first_and_last,
    lambda_alone,
    rows_between,
    similarity,
)
from firstlight.experiments.shared.notes import number
from firstlight.experiments.verdicts import Condition, Kind

# By the claims' ids: the networks that are compared, the least correlation, and the kind where it is our own.
OWN: Kind = "own finding"
AGREEMENTS: dict[str, tuple[tuple[str, ...], float, Kind | None]] = {
    "C1": (("vgg11",), 0.89, None),
    "C1.resnet20": (("resnet20",), 0.8, None),
    "C1.resnet20b": (("resnet20b",), 0.8, OWN),
    "C2": (("vgg11", *(f"vgg11-width{width}" for width in WIDTHS)), 0.88, None),
    "C3": (("vgg11", "resnet18"), 0.77, None),
    "C3.resnet20": (("vgg11", "resnet20"), 0.77, None),
    **{f"C3.{other}": (("vgg11", other), 0.77, OWN) for other in ("resnet20b", "vgg13", "vgg16", "resnet32")},
}
PHOTOS = 0.77


def judge(groups: Mapping[str, Measured], pairs: pd.DataFrame, initial: pd.DataFrame, precision: str) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    groups : mapping of str to Measured
        The networks by name.
    pairs, initial : DataFrame
        As `pair_rows`, after one step and at the ends, and `initial_table` of `shared` make them.
    precision : {"float32", "bfloat16"}
        The one that the other networks are not trained in.
    """
    claims = []
    for name, (networks, least, kind) in AGREEMENTS.items():
        compared = [groups[one] for one in networks]
        subject = "VGG11" if name == "C2" else " and ".join(group.title for group in compared)
        texts: dict[str, Any] = {"subject": subject, "kind": kind, "figure": "correlations"}
        claims.append(agreement_claim(name, compared, pairs, least, **texts))
    return [
        *claims,
        initial_claim("C4", groups["vgg11"], initial),
        initial_claim("C4.resnet20", groups["resnet20"], initial, kind=OWN),
        precision_claim(groups["vgg11"], groups[f"vgg11-{precision}"], pairs),
        photos_claim(groups["vgg11"], groups["vgg11-photos"], pairs),
    ]


def precision_claim(group: Measured, other: Measured, pairs: pd.DataFrame) -> Claim:
    """That the precision of a training matters less than its seed."""
    texts: dict[str, Any] = {"subject": group.title, "figure": "correlations"}
    if reason := reasons([group.trained, other.trained]):
        return Claim.judged("O4", reason=reason, **texts)
    rows = rows_between(pairs, [group, other])
    between = first_and_last(rows.loc[rows.seed == rows.other_seed])
    seeds = first_and_last(rows_between(pairs, [group]))
    differences = [one.correlation - two.correlation.mean() for one, two in zip(between, seeds, strict=True)]
    return Claim.judged(
        "O4",
        Condition.over_seeds(
            "correlation between the precisions, less that between seeds",
            differences[1],
            least=0,
            after_one_step=differences[0],
        ),
        reached=[group.reached(), other.reached()],
        lambda_alone=lambda_alone(between[1]),
        note=f"1 - r is {number(1 - between[1].correlation, magnitude)} between the precisions and "
        f"{number(1 - seeds[1].correlation, magnitude)} between seeds. Weights and their updates are float32 in both.",
        **texts,
    )


def photos_claim(group: Measured, photos: Measured, pairs: pd.DataFrame) -> Claim:
    """That other images give the same profile, component by component of their own patches."""
    note = f" λ of both correlates {similarity(group.deviation, photos.deviation):.3f}."
    return agreement_claim("O5", [group, photos], pairs, PHOTOS, note, subject=group.title, figure="correlations")
