"""What is known of a row of the criteria, in Markdown: values by seed, what they are read against, and notes."""

import re
from collections.abc import Iterable, Iterator, Sequence

from firstlight.experiments.claims import Claim, number_format
from firstlight.experiments.criteria import CRITERIA, Criterion
from firstlight.report.claim_facts import condition_value, mean_of
from firstlight.report.claim_lines import NOTHING, Line
from firstlight.report.markdown import paragraphs, table

_HEADERS = ("", "verdict", "values", "mean", "after one step", "λ alone", "null", "accuracy", "v1")
_ONE_STEP = "after one step"  # of which a star in the table tells
_OURS = "firstlight"  # as the source of what nobody published
_MOST_VALUES = 6  # that are listed one by one
_SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")


def heading(criterion: Criterion) -> str:
    """What stands above the section of a row."""
    return f"{criterion.id}: {criterion.statement}"


def row_section(name: str, claims: Sequence[Claim]) -> list[str]:
    """The lines on one row of the criteria, of the claims that are its parts."""
    criterion = CRITERIA[name]
    protocol = f" ({criterion.protocol})" if criterion.protocol else ""
    said = f"{_origin(criterion)}. Measured: {criterion.quantity}{protocol}. Criterion: {criterion.criterion}."
    shown = _table([_cells(claim) for claim in claims if claim.values])
    notes = [f"- {text}" for text in _notes(claims)] if claims else ["- Not tested."]
    parts = ([f"## {heading(criterion)}"], [said], shown, notes)
    return paragraphs(*parts).splitlines()


def _origin(criterion: Criterion) -> str:
    """Whose statement it is, and with which value it was published."""
    kind = "published" if criterion.kind == "published claim" else criterion.kind
    source = f" ({criterion.source})" if criterion.source != _OURS else ""
    value = f": {criterion.published}" if criterion.published != NOTHING else ""
    return f"{kind.capitalize()}{source}{value}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Without the columns in which there is nothing to say."""
    kept = [column for column in range(len(_HEADERS)) if any(row[column] not in ("", NOTHING) for row in rows)]
    if not kept:
        return []
    return table([_HEADERS[column] for column in kept], ([row[column] for column in kept] for row in rows))


def _cells(claim: Claim) -> list[str]:
    line = Line.of(claim)
    return [
        f"{claim.subject or claim.id}{_kind(claim)}",
        line.verdict if line.verdict in ("reproduced", "holds") else f"**{line.verdict}**",
        values_text(claim),
        line.measured,
        line.after_one_step,
        mean_of(claim.lambda_alone) or NOTHING,
        null_cell(claim),
        line.accuracy,
        line.first_version,
    ]


def _kind(claim: Claim) -> str:
    return "" if claim.kind == claim.criterion.kind else f" ({claim.kind})"


def null_cell(claim: Claim) -> str:
    """Mean, and 95th percentile where it is known, of what nothing has taught."""
    if not claim.null:
        return NOTHING
    top = claim.null.get("percentile_95")
    return f"{claim.null['mean']:.3f}" + (f" ({top:.3f})" if top is not None else "")


def values_text(claim: Claim) -> str:
    """The values one by one, or the range of many."""
    if Line.of(claim).mean == NOTHING:
        return NOTHING
    show = number_format(claim.values)
    if len(claim.values) <= _MOST_VALUES:
        return ", ".join(map(show, claim.values))
    return f"{show(min(claim.values))} to {show(max(claim.values))} ({len(claim.values)} {claim.replicates}s)"


def _notes(claims: Sequence[Claim]) -> Iterator[str]:
    """What else is to be known, each thing once, with the parts that it is about."""
    several = len(claims) > 1
    reasons = _by_text((claim.reason if claim.values else claim.reason.partition(":")[0], claim) for claim in claims)
    for reason, those in reasons.items():
        yield f"Not tested ({reason}){': ' + _about(those) if several else ''}."
    further: dict[str, list[str]] = {}
    for claim in claims:
        for condition in claim.conditions[1:]:
            value = condition_value(condition)
            said = f"{claim.subject or claim.id} {value}" if several else value
            further.setdefault(condition.quantity, []).append(said)
    for quantity, values in further.items():
        yield f"And {quantity}: {'; '.join(values)}."
    without = {claim.id: ", ".join(what for what in claim.for_nothing if what != _ONE_STEP) for claim in claims}
    for others, those in _by_text((without[claim.id], claim) for claim in claims).items():
        yield f"The criterion is satisfied as well by: {others}{' (' + _about(those) + ')' if several else ''}."
    if nulls := dict.fromkeys(claim.null["of"] for claim in claims if claim.null):
        yield f"Null: {'; '.join(nulls)}."
    yield from _own_notes(claims)


def _own_notes(claims: Sequence[Claim]) -> Iterator[str]:
    """The notes; sentences that all of them have come once, at the end."""
    noted = {claim.id: _SENTENCES.split(claim.note) for claim in claims if claim.note}
    common = [
        one for one in next(iter(noted.values()), []) if len(noted) > 1 and all(one in told for told in noted.values())
    ]
    rest = {name: " ".join(one for one in told if one not in common) for name, told in noted.items()}
    for note, those in _by_text((rest.get(claim.id, ""), claim) for claim in claims).items():
        yield f"{_about(those)}: {note}" if len(claims) > 1 else note
    if common:
        yield " ".join(common)


def _by_text(pairs: Iterable[tuple[str, Claim]]) -> dict[str, list[Claim]]:
    """The claims of which the same is said; of those of which nothing is said, nothing."""
    found: dict[str, list[Claim]] = {}
    for text, claim in pairs:
        if text:
            found.setdefault(text, []).append(claim)
    return found


def _about(claims: Sequence[Claim]) -> str:
    return ", ".join(claim.subject or claim.id for claim in claims)
