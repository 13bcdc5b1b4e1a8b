"""Claim: one published statement, what was measured for it, and the verdict."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Verdict = Literal["reproduced", "not reproduced", "not tested"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

# What differs by less where theory says it is equal is what a machine rounds: another machine has another value.
ROUNDING, BELOW = 1e-9, "below 1e-9"


def magnitude(value: float, digits: str = ".1e") -> str:
    """A small number for people; of one that is rounding error only that it is, which is the same on every machine."""
    return BELOW if abs(value) < ROUNDING else f"{value:{digits}}"


@dataclass(frozen=True)
class Claim:
    """A published claim beside our measurement of it.

    Attributes
    ----------
    name : str
        "experiment/subject/quantity", unique.
    statement : str
        What is claimed, in one sentence.
    source : str
        Where: note or paper, section, figure or table.
    published : str
        The published value, as published; "-" where only words are.
    quantity : str
        What `values` are, with their unit if they have one.
    criterion : str
        When the claim counts as reproduced; decided before anything was run.
    values : tuple of float
        What we measured, one value a seed; empty when not tested. Verdicts are on these; what is shown and stored of
        rounding error, below 1e-9, is only that it is so small.
    verdict : {"reproduced", "not reproduced", "not tested"}
    note : str
        What a reader must know to judge the verdict.
    replicates : str
        What there is one value of: "seed" or "network".
    figure : str
        Name of the experiment's figure that shows it; empty where none does.

    Examples
    --------
    >>> texts = dict(name="a/b/c", statement="it fits", source="Table 3", published="0.9", quantity="correlation")
    >>> claim = Claim.judged([0.93, 0.95, 0.91], lambda mean: mean >= 0.8, criterion="at least 0.8", **texts)
    >>> claim.verdict, claim.measured
    ('reproduced', '0.930 ± 0.020 (3 seeds)')
    """

    name: str
    statement: str
    source: str
    published: str
    quantity: str
    criterion: str
    values: tuple[float, ...]
    verdict: Verdict
    note: str = ""
    replicates: str = "seed"
    figure: str = ""

    @classmethod
    def judged(cls, values: Sequence[float], holds: Callable[[float], bool], **texts: str) -> "Claim":
        """A claim whose criterion is on the mean over seeds.

        Parameters
        ----------
        values : sequence of float
            One a seed. Where there is none, or one is not finite, the claim is not tested: a mean over the seeds
            that happen to have a value would not be what the criterion speaks of.
        holds : callable
            Whether the criterion is met by the mean.
        **texts : str
            The attributes `name`, `statement`, `source`, `published`, `quantity`, `criterion`, and if need be
            `note`, `replicates` and `figure`.
        """
        values = tuple(float(value) for value in values)
        if not values or not all(map(math.isfinite, values)):
            return cls(values=(), verdict="not tested", **texts)
        holds_on_average = holds(sum(values) / len(values))
        return cls(values=values, verdict="reproduced" if holds_on_average else "not reproduced", **texts)

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN when not tested."""
        return sum(self.values) / len(self.values) if self.values else math.nan

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        if len(self.values) < 2:
            return math.nan
        return math.sqrt(sum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def measured(self) -> str:
        """Our value, mean ± sample standard deviation, for people."""
        if not self.values:
            return "-"
        # Three decimals, or where these would show nothing, the order of magnitude.
        largest = max(abs(value) for value in self.values)
        number = magnitude if 0 < largest < 0.0005 else "{:z.3f}".format
        several = len(self.values) > 1
        spread = f" ± {number(self.std)}" if several and number(largest) != BELOW else ""
        return f"{number(self.mean)}{spread} ({len(self.values)} {self.replicates}{'s' if several else ''})"

    def to_dict(self) -> dict[str, Any]:
        """The claim in JSON's types; values that are rounding error, which differ from machine to machine, are 0."""
        rounding = bool(self.values) and max(map(abs, self.values)) < ROUNDING
        stored = replace(self, values=(0.0,) * len(self.values)) if rounding else self
        return {
            "name": self.name,
            "statement": self.statement,
            "source": self.source,
            "published": self.published,
            "quantity": self.quantity,
            "criterion": self.criterion,
            "values": list(stored.values),
            "mean": None if math.isnan(stored.mean) else stored.mean,
            "std": None if math.isnan(stored.std) else stored.std,
            "verdict": self.verdict,
            "note": self.note,
            "replicates": self.replicates,
            "figure": self.figure,
        }


def verdict_counts(claims: Sequence[Claim]) -> dict[Verdict, int]:
    """How many claims have each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}
