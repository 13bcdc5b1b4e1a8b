"""The claims of `label-correlation`: T1 and assumption A2 of the criteria."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.tables import rows_where
from firstlight.experiments.verdicts import Condition

SIZE = "mean |r| over components and one-vs-all labels"
PARTS = {"T1": ("energy", "per image"), "T1.patch": ("patch", "per random patch")}


def judge(tables: Mapping[str, pd.DataFrame], permuted: pd.DataFrame, images: int) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By quantity a row a component and class, as `label_correlation.correlation_table` makes it.
    permuted : DataFrame
        A row a quantity and permutation of the labels, as `label_correlation.permutation_table` makes it.
    images : int
        Number of images that were correlated.
    """
    claims = []
    for name, (quantity, subject) in PARTS.items():
        texts: dict[str, Any] = {"subject": subject, "replicates": "data set", "figure": "sizes"}
        table, null = tables.get(quantity, pd.DataFrame()), rows_where(permuted, quantity=quantity)
        if table.empty:
            claims.append(Claim.judged(name, reason=f"no data: no correlation {subject} is recorded", **texts))
            continue
        chance = {"of": f"{len(null)} permutations of the labels", "mean": float(null["mean"].to_numpy().mean())}
        claims.append(
            Claim.judged(
                name,
                Condition.of_data(SIZE, mean_size(table), most=0.1),
                null={**chance, "largest": float(null.largest.max())} if len(null) else None,
                note=f"Over {images:,} training images. The largest |r| is that of {largest(table)}.",
                **texts,
            )
        )
    return [
        *claims,
        assumption(tables.get("coefficients", pd.DataFrame()), rows_where(permuted, quantity="coefficients")),
    ]


def assumption(table: pd.DataFrame, null: pd.DataFrame) -> Claim:
    """Whether the sums of coefficients, which is what the theorem speaks of, are uncorrelated with the labels."""
    texts: dict[str, Any] = {"replicates": "data set", "figure": "sizes"}
    if table.empty or null.empty:
        return Claim.judged("A2", reason="no data: no coefficients with permuted labels are recorded", **texts)
    return Claim.judged(
        "A2",
        Condition.of_data(SIZE, mean_size(table), most=null["mean"].max()),
        null={"of": f"{len(null)} permutations of the labels", "mean": float(null["mean"].to_numpy().mean())},
        note=f"The largest |r| is that of {largest(table)}; with permuted labels it is {null.largest.max():.3f}.",
        **texts,
    )


def mean_size(table: pd.DataFrame) -> float:
    """Mean |r|."""
    return float(np.abs(table.correlation.to_numpy()).mean())


def largest(table: pd.DataFrame) -> str:
    """The correlation of largest magnitude, and of what with what."""
    row = table.loc[table.correlation.abs().idxmax()]
    return f"component {row['component']} with {row['class']!r}, r = {row['correlation']:.3f}"
