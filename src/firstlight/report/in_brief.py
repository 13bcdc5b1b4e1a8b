"""What a reproduction found, in three sentences: what holds, what does not, and of which networks that is said."""

from firstlight.experiments.headline import counts, published
from firstlight.experiments.learning import Reached
from firstlight.experiments.results import Reproduction
from firstlight.experiments.verdicts import Verdict
from firstlight.report.claim_lines import by_kind, headline
from firstlight.utils.text import counted, listed

_MOST = 3  # statements, or networks, that are named


def in_brief(found: Reproduction) -> list[str]:
    """The three sentences; statements and networks of the short table are named first.

    Examples
    --------
    >>> import firstlight as fl
    >>> for sentence in in_brief(fl.recorded("label-correlation")):
    ...     print(sentence)
    Reproduced, 1 of 1 published claim: no component is correlated with a label.
    Not reproduced: none.
    No network is in these claims, which are of cifar10 alone.
    """
    numbers = counts(found.rows)
    if found.rows and not any(numbers.values()):
        others = by_kind([claim for row in found.rows for claim in row.claims])
        return ["No published claim is in these experiments.", f"{'; '.join(others).capitalize()}.", _networks(found)]
    total = counted(sum(numbers.values()), "published claim")
    rest = ", ".join(f"{one} {numbers[one]}" for one in ("inconclusive", "not tested") if numbers[one])
    return [
        _said(found, "reproduced", f" of {total}"),
        _said(found, "not reproduced") + (f" {rest.capitalize()}." if rest else ""),
        _networks(found),
    ]


def _said(found: Reproduction, verdict: Verdict, of: str = "") -> str:
    """How many rows have a verdict, and the statements of the first of them."""
    short = headline(found)
    rows = sorted((row for row in published(found.rows) if row.verdict == verdict), key=lambda row: row not in short)
    if not rows:
        return f"{verdict.capitalize()}: none{of}."
    statements = listed([row.criterion.statement for row in rows], _MOST)
    return f"{verdict.capitalize()}, {len(rows)}{of}: {statements}."


def _networks(found: Reproduction) -> str:
    """How far those had learnt that are judged, each at its last step, and how many had not."""
    data = found.about["data"]
    rows = [*headline(found), *published(found.rows)]
    reached: dict[str, Reached] = {}
    for one in (one for row in rows for claim in row.claims for one in claim.reached):
        if one.network not in reached or reached[one.network].step < one.step:
            reached[one.network] = one
    learnt = [one for one in reached.values() if one.learnt]
    untrained = len(reached) - len(learnt)
    little = f"{counted(untrained, 'network')} had learnt too little to be judged" if untrained else ""
    if not learnt:
        return f"On {data}: {little}." if little else f"No network is in these claims, which are of {data} alone."
    named = listed([f"{one.network} to {one.mean:.0%}" for one in learnt], _MOST)
    numbers = {len(one.train) for one in learnt}
    seeds = f"of {counted(numbers.pop(), 'seed')}" if len(numbers) == 1 else "over seeds"
    return f"Training accuracy on {data}, mean {seeds}: {'; '.join(filter(None, (named, little)))}."
