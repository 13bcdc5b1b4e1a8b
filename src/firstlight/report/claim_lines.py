"""What terminal and pages say of claims alike: the rows of the criteria's table with their parts, as short texts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firstlight.experiments.claims import Claim, number_format
from firstlight.experiments.headline import Row, published
from firstlight.experiments.paper_tables import EXPERIMENTS, cells
from firstlight.experiments.results import Reproduction
from firstlight.experiments.schedule import FIRST_VERSION
from firstlight.experiments.verdicts import VERDICTS, Verdict
from firstlight.utils.text import counted, plural

ALREADY = "*"  # of a value after one step that meets the criterion
SHORT_LEGEND = (
    f"Means with 95% intervals over seeds; a row counts by the worst of its parts. {ALREADY} meets the criterion "
    "already after one step of the same runs; also: so do λ alone, random banks."
)
LEGEND = f"{SHORT_LEGEND} v1: whether the first version of the criteria, of networks of a few epochs, said reproduced."
OLD_RECORD = "Recorded by the first version, judged by the second criteria."
NOTHING = "-"
SHORT = 12  # rows
_CHECKS = ("W4",)  # that stand among the published claims in the criteria's own table
_FIRST_VERSION = {"reproduced": "yes", "not reproduced": "no"}
_ALSO = {"λ alone": "λ", "random banks": "random"}
_KINDS = {"assumption": "assumptions", "numerical check": "checks", "own finding": "own findings"}


@dataclass(frozen=True)
class Line:
    """A claim of a row in short texts, "-" where there is nothing to say.

    Attributes
    ----------
    subject : str
        Which network, pair or component; empty where the row has no other part and its statement says it.
    mean, interval : str
        What was measured, and the 95% interval of its mean; empty where there is none.
    after_one_step : str
        With a star where that satisfies the criterion already.
    accuracy : str
        The lowest mean training accuracy of its networks.
    verdict : str
    aside : str
        In a word, why it is not tested; of one that is, what else than after one step satisfies the criterion as well.
    first_version : str
        Whether the first version called it reproduced: "yes", "no".
    """

    subject: str
    mean: str
    interval: str
    after_one_step: str
    accuracy: str
    verdict: Verdict
    aside: str
    first_version: str

    @property
    def measured(self) -> str:
        """Mean and interval."""
        return f"{self.mean} {self.interval}".strip()

    @classmethod
    def of(cls, claim: Claim, subject: str = "") -> "Line":
        """The line of one claim."""
        known = bool(claim.values) and math.isfinite(claim.mean)
        show = number_format(claim.values) if known else str
        interval = claim.conditions[0].interval_text(show) if known else ""
        return cls(
            subject=subject,
            mean=show(claim.mean) if known else NOTHING,
            interval=interval,
            after_one_step=_after_one_step(claim),
            accuracy=NOTHING if math.isnan(claim.accuracy) else f"{claim.accuracy:.0%}",
            verdict=claim.verdict,
            aside=_aside(claim),
            first_version=_FIRST_VERSION.get(claim.before.verdict, NOTHING) if claim.before else NOTHING,
        )


def _aside(claim: Claim) -> str:
    if claim.verdict == "inconclusive" and claim.interval is None and len(claim.values) == 1:
        return f"one {claim.replicates}"
    others = [_ALSO[what] for what in claim.for_nothing if what in _ALSO]
    return claim.reason.partition(":")[0] or (f"also {', '.join(others)}" if others else "")


def _after_one_step(claim: Claim) -> str:
    values = claim.after_one_step
    if not values or not all(map(math.isfinite, values)):
        return NOTHING
    mean = math.fsum(values) / len(values)
    return f"{number_format(values)(mean)}{ALREADY if claim.holds_after_one_step else ''}"


def published_rows(found: Reproduction) -> list[Row]:
    """The rows of the criteria's own table: what somebody published, and the check among them; all where none is."""
    rows = [row for row in found.rows if row.criterion.kind == "published claim" or row.criterion.id in _CHECKS]
    return rows or list(found.rows)


def headline(found: Reproduction) -> list[Row]:
    """Of these rows those that a short table has; all where no more are there."""
    rows = published_rows(found)
    return rows if len(rows) <= SHORT else [row for row in rows if row.criterion.headline] or rows


def lines(row: Row) -> list[Line]:
    """The claims of a row; one line that nothing was tested where there is none."""
    if not row.claims:
        return [Line("", NOTHING, "", NOTHING, NOTHING, "not tested", "", NOTHING)]
    several = len(row.claims) > 1
    return [Line.of(claim, claim.subject or claim.id if several else "") for claim in row.claims]


def outside(found: Reproduction) -> dict[str, list[Claim]]:
    """By experiment the claims that are not in that table: assumptions, checks, and what nobody published."""
    shown = {claim.id for row in published_rows(found) for claim in row.claims}
    return {result.experiment: [claim for claim in result.claims if claim.id not in shown] for result in found.results}


def outside_lines(found: Reproduction) -> list[str]:
    """What each experiment says beside the table, in a line; of those that say something."""
    texts = {name: "; ".join(by_kind(claims)) for name, claims in outside(found).items()}
    return [f"{name}: {text}" for name, text in texts.items() if text]


def below_table(found: Reproduction, full: bool = False) -> list[str]:
    """What belongs under the table, a line each: what the short table leaves out is counted, or told where all is."""
    old = [OLD_RECORD] if found.about.get("first_version") else []
    return [LEGEND, *old, *(outside_lines(found) if full else _left_out(found)), *filter(None, [cells_line(found)])]


def _left_out(found: Reproduction) -> list[str]:
    short = headline(found)
    left = [row for row in published_rows(found) if row not in short]
    claims = len(published(left))
    others = len(left) - claims + sum(map(len, outside(found).values()))
    texts = [counted(claims, "published claim")] if claims else []
    texts += [f"{others} of assumptions, checks and own findings"] if others else []
    return [f"Not in this table: {' and '.join(texts)}; --verbose and the report have them."] if texts else []


def by_kind(claims: Sequence[Claim]) -> list[str]:
    """How many verdicts there are of each kind but published claims, in words."""
    texts = []
    for kind, kinds in _KINDS.items():
        verdicts = [claim.verdict for claim in claims if claim.kind == kind]
        numbers = ", ".join(_so_many(verdicts.count(one), one) for one in VERDICTS if one in verdicts)
        if numbers:
            texts.append(f"{kinds} {numbers}")
    return texts


def _so_many(count: int, verdict: Verdict) -> str:
    return f"{count} {'hold' if verdict == 'holds' and count > 1 else verdict}"


def cells_line(found: Reproduction) -> str:
    """How many cells of the paper's tables are answered here, and which are not."""
    everything = paper_cells(found)
    untested = [cell["data"] for cell in everything if cell["needed"]]
    if not untested:
        return ""
    where = ", ".join(f"{untested.count(data)} on {data}" for data in dict.fromkeys(untested))
    numbers = sorted({cell["table"] for cell in everything})
    tables = f"{plural(len(numbers), 'table')} {', '.join(map(str, numbers))}"
    have = plural(len(untested), "has", "have")
    return f"Of the {counted(len(everything), 'cell')} of the paper's {tables}, {len(untested)} {have} no run: {where}."


def entry_of(about: Mapping[str, Any], experiment: str) -> Mapping[str, Any]:
    """With which preset and on what data an experiment was run."""
    return about.get("recorded", {}).get(experiment, about)


def repeat(experiment: str, about: Mapping[str, Any]) -> str:
    """The command that trains and measures an experiment again; schedules of the first version are trained no more."""
    entry = entry_of(about, experiment)
    preset = "full" if entry["preset"].endswith(FIRST_VERSION) else entry["preset"]
    data = "" if entry["data"] == "cifar10" else f" --data {entry['data']}"
    return f"firstlight reproduce {experiment} --preset {preset}{data} --fresh"


def paper_cells(found: Reproduction) -> list[dict[str, Any]]:
    """The cells of the paper's tables that these experiments answer, with our verdict or what a test needs."""
    verdicts = {claim.id: claim.verdict for claim in found.claims}
    experiments = {result.experiment for result in found.results}
    everything = cells(found.about["data"], verdicts)
    return [asdict(cell) for cell in everything if EXPERIMENTS[cell.table - 1] in experiments]
