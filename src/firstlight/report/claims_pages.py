"""Claims in Markdown: the README's table, and `claims.md`."""

from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.experiments.headline import Row
from firstlight.experiments.results import Reproduction
from firstlight.report.claim_lines import (
    ALREADY,
    LEGEND,
    OLD_RECORD,
    SHORT_LEGEND,
    Line,
    headline,
    lines,
    outside_lines,
    published_rows,
    repeat,
)
from firstlight.report.markdown import paragraphs, table

BEGIN, END = "<!-- recorded claims: begin -->", "<!-- recorded claims: end -->"
_HEADERS = ("id", "claim", "published", "ours", "after one step", "training accuracy", "verdict", "v1")


def claims_markdown(found: Reproduction) -> str:
    """`claims.md`: the table, what is not in it, and the notes."""
    texts = {
        claim.id: " ".join(filter(None, (claim.reason and f"{claim.reason}.", claim.note))) for claim in found.claims
    }
    notes = [f"- `{name}`: {text}" for name, text in texts.items() if text]
    commands = [f"- `{repeat(result.experiment, found.about)}`" for result in found.results]
    parts = (summary(found), rows_markdown(published_rows(found)), _outside(found), notes, ["Again:", "", *commands])
    return paragraphs(*parts)


def readme_block(found: Reproduction) -> str:
    """What the README shows between its markers: the short table."""
    return paragraphs(summary(found), short_table(found))


def short_table(found: Reproduction) -> list[str]:
    """The rows of the headline, without what the first version said of them."""
    return [*table(_HEADERS[:-1], (_row_cells(row)[:-1] for row in headline(found))), "", SHORT_LEGEND]


def rows_markdown(rows: Sequence[Row]) -> list[str]:
    """A line a row of the criteria's table; the parts of a row stand below each other."""
    return [*table(_HEADERS, map(_row_cells, rows)), "", LEGEND]


def _row_cells(row: Row) -> list[str]:
    parts = lines(row)
    several = len(parts) > 1

    def each(texts: Sequence[str]) -> str:
        return "<br>".join(texts)

    def named(line: Line) -> str:
        return f"{line.subject}: {line.measured}" if several else line.measured

    verdict = f"**{row.verdict}**" if row.verdict != "reproduced" else row.verdict
    asides = list(dict.fromkeys(line.aside for line in parts if line.aside))
    return [
        row.criterion.id,
        row.criterion.statement,
        row.criterion.published,
        each([named(line) for line in parts]),
        each([line.after_one_step.replace(ALREADY, f"\\{ALREADY}") for line in parts]),  # two would be emphasis
        each([line.accuracy for line in parts]),
        f"{verdict} ({'; '.join(asides)})" if asides else verdict,
        each([line.first_version for line in parts]),
    ]


def measured_on(found: Reproduction) -> str:
    """When, on what and with which machine."""
    about = found.about
    seeds = ", ".join(map(str, about["seeds"]))
    recorded = "recorded" in about
    # Of what was just trained no times: the same results are the same bytes.
    minutes = f", {about['training_seconds'] / 60:.0f} minutes of training, summed over runs side by side"
    return (
        f"{'Recorded' if recorded else 'Trained'} {about['date']}: preset {about['preset']} on "
        f"{about['data']}, seeds {seeds}, {'; '.join(about['device'])}{products(about)}"
        f"{minutes if recorded else ''}."
    )


def products(about: Mapping[str, Any]) -> str:
    """The precision of the networks' products; nothing where it is the usual one, or not known."""
    precisions = about.get("precision", [])
    return f", products in {' and '.join(precisions)}" if precisions not in ([], ["float32"]) else ""


def summary(found: Reproduction) -> list[str]:
    """How many published claims were reproduced, and by whom on what."""
    old = f" {OLD_RECORD}" if found.about.get("first_version") else ""
    return [f"**{found.summary}.** {measured_on(found)}{old}"]


def _outside(found: Reproduction) -> list[str]:
    told = outside_lines(found)
    return ["Beside these, not counted:", "", *(f"- {line}" for line in told)] if told else []
