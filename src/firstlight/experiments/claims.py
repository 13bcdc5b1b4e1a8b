"""Claim: one statement, what was measured for it, what that must be read against, and the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.experiments.criteria import CRITERIA, Criterion, FirstVersion, first_version
from firstlight.experiments.learning import Reached
from firstlight.experiments.verdicts import Condition, Interval, Kind, Verdict, verdict_of

# What differs by less where theory says it is equal is what a machine rounds: another machine has another value.
ROUNDING, BELOW = 1e-9, "below 1e-9"


def magnitude(value: float, digits: str = ".1e") -> str:
    """A small number for people; of one that is rounding error only that it is, which is the same on every machine."""
    return BELOW if abs(value) < ROUNDING else f"{value:{digits}}"


@dataclass(frozen=True)
class Claim:
    """A statement beside our measurement of it.

    Attributes
    ----------
    id : str
        That of its row of the criteria; of a further network or component with a dot and its name: "C1.resnet20".
    criterion : Criterion
        Who claims it, the published value, what is measured and when it counts.
    kind : {"published claim", "assumption", "numerical check", "own finding"}
        That of the criterion, unless this part of it is ours.
    subject : str
        Which network, pair of networks or component; empty where the statement says it.
    verdict : str
        "reproduced", "not reproduced", "inconclusive" or "not tested"; of all but published claims "holds" and
        "violated" in place of the first two.
    reason : str
        Why it is not tested; empty where it is.
    conditions : tuple of Condition
        What the criterion asks for; the first one is on the quantity that is shown.
    reached : tuple of Reached
        How far its networks had learnt.
    lambda_alone : tuple of float
        The same quantity with λ in the place of the theory or of a profile.
    null : mapping
        The same of what nothing has taught: "of", "mean", "percentile_95"; empty where there is none.
    note : str
        What else a reader must know to judge the verdict.
    replicates : str
        What there is one value of.
    figure : str
        Name of the experiment's figure that shows it; empty where none does.
    before : FirstVersion or None
        What the first version of the criteria gave.

    Examples
    --------
    >>> from firstlight.experiments.verdicts import Condition
    >>> fit = Condition.over_seeds("correlation", [0.93, 0.95, 0.94], least=0.8, after_one_step=[0.6, 0.7, 0.7])
    >>> found = Claim.judged("F1", fit, subject="VGG11")
    >>> found.verdict, found.measured, found.holds_after_one_step
    ('reproduced', '0.940 [0.915, 0.965] (3 seeds)', False)
    """

    id: str
    criterion: Criterion
    kind: Kind
    subject: str
    verdict: Verdict
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    reached: tuple[Reached, ...] = ()
    lambda_alone: tuple[float, ...] = ()
    null: Mapping[str, Any] | None = None
    note: str = ""
    replicates: str = "seed"
    figure: str = ""
    before: FirstVersion | None = None

    @classmethod
    def judged(
        cls,
        name: str,
        *conditions: Condition,
        subject: str = "",
        kind: Kind | None = None,
        reason: str = "",
        reached: Sequence[Reached] = (),
        lambda_alone: Sequence[float] = (),
        **more: Any,
    ) -> "Claim":
        """The verdict on a row of the criteria, or on a part of one.

        Parameters
        ----------
        name : str
            The claim's id.
        *conditions : Condition
            What the criterion asks for; none where nothing was measured.
        subject : str
        kind : str, optional
            Where it is not that of the criterion.
        reason : str
            Why it cannot be tested; empty where it can.
        reached : sequence of Reached
            How far its networks had learnt: where one had not, the claim is not tested.
        lambda_alone : sequence of float
        **more
            The attributes `null`, `note`, `replicates` and `figure`.

        Returns
        -------
        Claim
        """
        criterion = CRITERIA[name.partition(".")[0]]
        kind = kind or criterion.kind
        undefined = [one.quantity for one in conditions if not all(map(math.isfinite, one.values))]
        reason = (
            reason
            or "; ".join(dict.fromkeys(one.reason for one in reached if not one.learnt))
            or (f"not defined: {undefined[0]}" if undefined else "" if conditions else "nothing was measured")
        )
        return cls(
            id=name,
            criterion=criterion,
            kind=kind,
            subject=subject,
            verdict="not tested" if reason else verdict_of(conditions, kind),
            reason=reason,
            conditions=conditions,
            reached=tuple(reached),
            lambda_alone=tuple(map(float, lambda_alone)),
            before=first_version().get(name),
            **more,
        )

    @property
    def row(self) -> str:
        """The id of its row of the criteria."""
        return self.criterion.id

    @property
    def experiment(self) -> str:
        """The experiment that measures it."""
        return self.criterion.experiment

    @property
    def published(self) -> str:
        """The published value; "-" for a part of a row that is ours."""
        return self.criterion.published if self.kind == self.criterion.kind else "-"

    @property
    def title(self) -> str:
        """The statement, with the subject where it does not say it itself."""
        statement = self.criterion.statement
        return statement if self.subject in statement else f"{statement}: {self.subject}"

    @property
    def values(self) -> tuple[float, ...]:
        """What was measured; also of networks that are not judged because they have not learnt."""
        return self.conditions[0].values if self.conditions else ()

    @property
    def interval(self) -> Interval | None:
        """The 95% interval of the mean over seeds."""
        return self.conditions[0].interval if self.conditions else None

    @property
    def mean(self) -> float:
        """Mean of the values; NaN where there is none."""
        return self.conditions[0].mean if self.conditions else math.nan

    @property
    def after_one_step(self) -> tuple[float, ...]:
        """The same quantity after the first update of the same runs."""
        return self.conditions[0].after_one_step if self.conditions else ()

    @property
    def holds_after_one_step(self) -> bool:
        """Whether what is known after one step satisfies the criterion already, so that it says little of learning."""
        early = [condition.holds_after_one_step for condition in self.conditions if condition.after_one_step]
        return bool(self.after_one_step) and all(early)

    @property
    def for_nothing(self) -> list[str]:
        """What satisfies the criterion as well, though nothing was learnt: the verdict then says little of learning."""
        found = ["after one step"] if self.holds_after_one_step else []
        if self.conditions and self.reached:
            within = self.conditions[0].within
            if self.lambda_alone and within(math.fsum(self.lambda_alone) / len(self.lambda_alone)):
                found.append("λ alone")
            if self.null and within(self.null["mean"]):
                found.append("random banks")
        return found

    @property
    def accuracy(self) -> float:
        """The lowest of its networks' mean training accuracies; NaN where no network is in it."""
        return min((one.mean for one in self.reached), default=math.nan)

    @property
    def measured(self) -> str:
        """Our value, mean and 95% interval, for people."""
        if not self.values or not math.isfinite(self.mean):
            return "-"
        number = number_format(self.values)
        several = len(self.values) > 1
        mean = f"{number(self.mean)} {self.conditions[0].interval_text(number)}".strip()
        return f"{mean} ({len(self.values)} {self.replicates}{'s' if several else ''})"

    @property
    def measured_after_one_step(self) -> str:
        """The value after one step for people, marked where it satisfies the criterion already."""
        values = self.after_one_step
        if not values or not all(map(math.isfinite, values)):
            return "-"
        mean = math.fsum(values) / len(values)
        return f"{number_format(values)(mean)}{' (holds already)' if self.holds_after_one_step else ''}"

    def to_dict(self) -> dict[str, Any]:
        """The claim in JSON's types; values that are rounding error, which differ from machine to machine, are 0."""
        rounding = bool(self.values) and max(map(abs, self.values)) < ROUNDING
        values = [0.0] * len(self.values) if rounding else [_finite(value) for value in self.values]
        return {
            "id": self.id,
            "row": self.row,
            "experiment": self.experiment,
            "kind": self.kind,
            "subject": self.subject,
            "statement": self.criterion.statement,
            "source": self.criterion.source,
            "published": self.published,
            "quantity": self.criterion.quantity,
            "criterion": self.criterion.criterion,
            "protocol": self.criterion.protocol,
            "verdict": self.verdict,
            "reason": self.reason,
            "values": values,
            "replicates": self.replicates,
            "mean": 0.0 if rounding else _finite(self.mean),
            "interval": None if self.interval is None else [_finite(end) for end in self.interval],
            "after_one_step": [_finite(value) for value in self.after_one_step],
            "holds_after_one_step": self.holds_after_one_step,
            "for_nothing": self.for_nothing,
            "lambda_alone": [_finite(value) for value in self.lambda_alone],
            "null": {
                name: _finite(value) if isinstance(value, float) else value for name, value in (self.null or {}).items()
            }
            or None,
            "accuracy": [one.to_dict() for one in self.reached],
            "conditions": [
                {**condition.to_dict(), **({"values": values} if rounding else {})} for condition in self.conditions
            ],
            "first_version": vars(self.before) if self.before else None,
            "note": self.note,
            "figure": self.figure,
        }


def number_format(values: Sequence[float]) -> Any:
    """How to show numbers like these: three decimals, or where that shows nothing the order of magnitude."""
    largest = max(abs(value) for value in values)
    return magnitude if 0 < largest < 0.0005 else "{:z.3f}".format


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
