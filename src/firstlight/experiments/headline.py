"""The headline: one row a row of the criteria, whatever its parts, and how many published claims were reproduced."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from firstlight.experiments.claims import Claim
from firstlight.experiments.criteria import CRITERIA, Criterion
from firstlight.experiments.verdicts import VERDICTS, Verdict
from firstlight.utils.text import counted

# Of the parts of a row the worst one decides.
_ORDER: tuple[Verdict, ...] = ("not reproduced", "violated", "inconclusive", "not tested", "reproduced", "holds")


@dataclass(frozen=True)
class Row:
    """A row of the criteria with the claims that are its parts, of the same kind.

    Attributes
    ----------
    criterion : Criterion
    claims : tuple of Claim
        Parts that are of another kind, such as further networks that nobody published, are left out.
    """

    criterion: Criterion
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of its parts."""
        found: list[Verdict] = [claim.verdict for claim in self.claims]
        return sorted(found, key=_ORDER.index)[0] if found else "not tested"

    @property
    def holds_after_one_step(self) -> bool:
        """Whether all its parts satisfy the criterion after one step."""
        return bool(self.claims) and all(claim.holds_after_one_step for claim in self.claims)

    @property
    def accuracy(self) -> float:
        """The lowest training accuracy of its networks; NaN where there is none."""
        found = [claim.accuracy for claim in self.claims if not math.isnan(claim.accuracy)]
        return min(found, default=math.nan)


def rows(claims: Sequence[Claim], experiments: Iterable[str] | None = None) -> list[Row]:
    """All rows of the criteria that these experiments measure, in their order; those of the claims by default."""
    measured = {claim.experiment for claim in claims} if experiments is None else set(experiments)
    return [
        Row(
            criterion,
            tuple(claim for claim in claims if claim.row == criterion.id and claim.kind == criterion.kind),
        )
        for criterion in CRITERIA.values()
        if criterion.experiment in measured
    ]


def published(found: Iterable[Row]) -> list[Row]:
    """The rows that somebody published, which alone are counted."""
    return [row for row in found if row.criterion.kind == "published claim"]


def counts(found: Iterable[Row]) -> dict[Verdict, int]:
    """How many published claims have each verdict, equal statements counted once."""
    verdicts = [row.verdict for row in published(found)]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS[:4]}


def in_words(verdicts: Sequence[Verdict]) -> str:
    """How many there are of each of these verdicts: "2 reproduced, 1 not tested"."""
    return ", ".join(f"{verdicts.count(one)} {one}" for one in VERDICTS if one in verdicts)


def summary(found: Iterable[Row]) -> str:
    """The counts in words."""
    numbers = counts(found)
    total = sum(numbers.values())
    if not total:
        return "no published claim is tested"
    parts = [f"{number} {verdict}" for verdict, number in numbers.items() if verdict != "reproduced" and number]
    rest = f"; {', '.join(parts)}" if parts else ""
    return f"{numbers['reproduced']} of {counted(total, 'published claim')} reproduced{rest}"
