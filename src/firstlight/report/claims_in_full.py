"""All that is known of every claim, for those who ask for it with `--verbose`."""

import math
from collections.abc import Iterator

from rich.markup import escape
from rich.padding import Padding

from firstlight.experiments.claims import Claim, number_format
from firstlight.experiments.learning import Reached
from firstlight.experiments.results import Reproduction
from firstlight.experiments.verdicts import Condition
from firstlight.report.claim_lines import NOTHING, Line, repeat
from firstlight.report.terminal import coloured


def claims_in_full(found: Reproduction) -> Iterator[Padding]:
    """Every claim of every experiment, as paragraphs."""
    for result in found.results:
        command = escape(repeat(result.experiment, found.about))
        yield Padding(f"[bold]{result.experiment}[/bold] [dim]{command}[/dim]", (1, 0, 0, 0))
        for claim in result.claims:
            yield Padding(f"[bold]{claim.id}[/bold] {escape(claim.title)}: {coloured(claim.verdict)}", (0, 0, 0, 2))
            yield Padding(escape("\n".join(full_lines(claim))), (0, 0, 0, 6))


def full_lines(claim: Claim) -> list[str]:
    """What is known of one claim, a thing a line."""
    criterion, line = claim.criterion, Line.of(claim)
    protocol = f"; {criterion.protocol}" if criterion.protocol else ""
    before = claim.before
    found = {
        "why": claim.reason,
        "kind": f"{claim.kind}; {criterion.source}; published {claim.published}",
        "criterion": f"{criterion.quantity}: {criterion.criterion}{protocol}",
        "measured": claim.measured if claim.values else "",
        "after one step": claim.measured_after_one_step if line.after_one_step != NOTHING else "",
        "λ alone": mean_of(claim.lambda_alone),
        "null": null_of(claim),
        "further": "; ".join(f"{one.quantity} {condition_value(one)}" for one in claim.conditions[1:]),
        "satisfy it as well": ", ".join(claim.for_nothing),
        "accuracy": "; ".join(reached_text(one) for one in claim.reached),
        "first version": f"{before.verdict}, {before.measured}: {before.quantity}" if before else "",
        "note": claim.note,
    }
    return [f"{name}: {text}" for name, text in found.items() if text]


def mean_of(values: tuple[float, ...]) -> str:
    """The mean of what stands beside a claim's values; empty where there is none."""
    if not values or not all(map(math.isfinite, values)):
        return ""
    return number_format(values)(math.fsum(values) / len(values))


def null_of(claim: Claim) -> str:
    """The claim's null distribution in words; empty where there is none."""
    if not claim.null:
        return ""
    top = claim.null.get("percentile_95")
    percentile = f", 95th percentile {top:.3f}" if top is not None else ""
    return f"{claim.null['mean']:.3f}{percentile} ({claim.null['of']})"


def condition_value(condition: Condition) -> str:
    """The value of a further condition of a claim, and whether it holds."""
    holds = {True: "holds", False: "does not hold", None: "open"}[condition.holds]
    value = mean_of(condition.values) or NOTHING
    interval = condition.interval
    show = number_format(condition.values) if value != NOTHING else str
    spread = f" [{show(interval[0])}, {show(interval[1])}]" if interval else ""
    return f"{value}{spread} ({holds})"


def reached_text(reached: Reached) -> str:
    """How far a network had learnt."""
    test = [value for value in reached.test if math.isfinite(value)]
    tested = f", {math.fsum(test) / len(test):.1%} on test images" if test else ""
    train = "not recorded" if math.isnan(reached.mean) else f"{reached.mean:.1%}"
    return f"{reached.network} {train}{tested} at step {reached.step:,} (needed {reached.needed:.0%})"
