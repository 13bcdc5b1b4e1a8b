"""All that is known of a claim, as named texts: what the page folds under it, and `--verbose` prints."""

import math

from firstlight.experiments.claims import Claim, number_format
from firstlight.experiments.learning import Reached
from firstlight.experiments.verdicts import Condition
from firstlight.report.claim_lines import NOTHING, Line

_MOST_VALUES = 30  # that are listed one by one


def facts(claim: Claim) -> dict[str, list[str]]:
    """What is known of a claim by its name, one text or several; only what there is."""
    criterion, before = claim.criterion, claim.before
    protocol = f"; {criterion.protocol}" if criterion.protocol else ""
    early = Line.of(claim).after_one_step != NOTHING
    found = {
        "why": [claim.reason],
        "kind": [f"{claim.kind}; {criterion.source}; published {claim.published}"],
        "criterion": [f"{criterion.quantity}: {criterion.criterion}{protocol}"],
        "measured": [claim.measured if claim.values else ""],
        f"by {claim.replicates}": [_one_by_one(claim)],
        "conditions": [_condition_text(one) for one in claim.conditions],
        "after one step": [claim.measured_after_one_step if early else ""],
        "λ alone": [mean_of(claim.lambda_alone)],
        "null": [_null_text(claim)],
        "satisfy it as well": [", ".join(claim.for_nothing)],
        "accuracy": [_reached_text(one) for one in claim.reached],
        "first version": [f"{before.verdict}, {before.measured}: {before.quantity}" if before else ""],
        "note": [claim.note],
    }
    return {name: texts for name, told in found.items() if (texts := [text for text in told if text])}


def mean_of(values: tuple[float, ...]) -> str:
    """The mean of what stands beside a claim's values; empty where there is none."""
    if not values or not all(map(math.isfinite, values)):
        return ""
    return number_format(values)(math.fsum(values) / len(values))


def condition_value(condition: Condition) -> str:
    """The value of a condition of a claim, and whether it holds."""
    holds = {True: "holds", False: "does not hold", None: "open"}[condition.holds]
    value = mean_of(condition.values) or NOTHING
    show = number_format(condition.values) if value != NOTHING else str
    return " ".join(part for part in (value, condition.interval_text(show), f"({holds})") if part)


def _condition_text(condition: Condition) -> str:
    least, most = (f"{end:.3g}" for end in (condition.least, condition.most))
    if math.isinf(condition.least):
        asked = f"at most {most}"
    else:
        asked = f"at least {least}" if math.isinf(condition.most) else f"{least} to {most}"
    each = ", each" if condition.every else ""
    return f"{condition.quantity}, {asked}{each}: {condition_value(condition)}"


def _one_by_one(claim: Claim) -> str:
    values = claim.values
    if not 1 < len(values) <= _MOST_VALUES or not all(map(math.isfinite, values)):
        return ""
    return ", ".join(map(number_format(values), values))


def _null_text(claim: Claim) -> str:
    if not claim.null:
        return ""
    top = claim.null.get("percentile_95")
    percentile = f", 95th percentile {top:.3f}" if top is not None else ""
    return f"{claim.null['mean']:.3f}{percentile} ({claim.null['of']})"


def _reached_text(reached: Reached) -> str:
    """How far a network had learnt."""
    test = [value for value in reached.test if math.isfinite(value)]
    tested = f", {math.fsum(test) / len(test):.1%} on test images" if test else ""
    train = "not recorded" if math.isnan(reached.mean) else f"{reached.mean:.1%}"
    return f"{reached.network} {train}{tested} at step {reached.step:,} (needed {reached.needed:.0%})"
