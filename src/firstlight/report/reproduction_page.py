"""report.html: one self-contained page; what was found in brief first, then every claim folded by experiment."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.claims import Claim
from firstlight.experiments.headline import Row, counts
from firstlight.experiments.results import Reproduction, Result
from firstlight.experiments.run_views import merged_views
from firstlight.experiments.verdicts import VERDICTS, Verdict
from firstlight.figures.inline_svg import Figures
from firstlight.inspection.network_view import NetworkView, opening
from firstlight.report.claim_facts import facts
from firstlight.report.claim_lines import (
    OLD_RECORD,
    SHORT_LEGEND,
    Line,
    cells_line,
    entry_of,
    headline,
    lines,
    paper_cells,
    repeat,
)
from firstlight.report.in_brief import in_brief
from firstlight.report.interactive import markup, render
from firstlight.report.static_charts import profile_chart

# What claims can be shown alone, by their verdicts; none of these: all of them.
_FILTERS: dict[str, tuple[Verdict, ...]] = {
    "All": (),
    "Not reproduced": ("not reproduced", "violated"),
    "Inconclusive": ("inconclusive",),
    "Not tested": ("not tested",),
}

_SIZE = 5.0, 2.5  # inches of the first picture


def reproduction_page(reproduction: Reproduction) -> str:
    """The page of a reproduction, as HTML: its claims and figures with captions, and its networks to be explored."""
    results, about = reproduction.results, reproduction.about
    figures = Figures()
    views = merged_views(view for result in results for view in result.networks)
    experiments = {view.key: result.experiment for result in reversed(results) for view in result.networks}
    picture, picture_title = _picture(views, figures)
    return render(
        "report.html",
        views,
        figures,
        groups=[experiments[view.key] for view in views],
        brief=in_brief(reproduction),
        counts=counts(reproduction.rows),
        old_record=OLD_RECORD if about.get("first_version") else "",
        picture=picture,
        picture_title=picture_title,
        rows=[{"criterion": row.criterion, "parts": _parts(row)} for row in headline(reproduction)],
        legend=SHORT_LEGEND,
        total=len(reproduction.claims),
        filters=list(_filters(reproduction.claims)),
        sections=[_section(result, about, figures) for result in results],
        cells=_untested_cells(reproduction),
        cells_line=cells_line(reproduction),
        about=about,
    )


def _picture(views: Sequence[NetworkView], figures: Figures) -> tuple[Markup, str]:
    """The network that the explorer opens on against eq. 3, and what is to be seen; nothing where there is no fit."""
    view = views[opening(views)] if views else None
    if view is None or view.final.fit is None:
        return Markup(""), ""
    title = f"{view.label}, against eq. 3"
    return markup(figures, profile_chart(view, *_SIZE), "brief", title), title


def _parts(row: Row) -> list[dict[str, Any]]:
    """The lines of a row with the places that they lead to: a claim, or the experiment that has none."""
    targets = [anchor(claim) for claim in row.claims] or [row.criterion.experiment]
    return [{"line": line, "target": target} for line, target in zip(lines(row), targets, strict=True)]


def anchor(claim: Claim) -> str:
    """Where a claim stands on the page."""
    return "claim-" + re.sub(r"[^\w.-]+", "-", claim.id)


def _filters(claims: Sequence[Claim]) -> Iterator[tuple[str, tuple[Verdict, ...], int]]:
    """What can be shown alone, the verdicts that this means, and how many claims have one of them."""
    for name, verdicts in _FILTERS.items():
        found = [claim for claim in claims if not verdicts or claim.verdict in verdicts]
        violated = " or violated" if any(claim.verdict == "violated" for claim in found) and verdicts else ""
        yield name + violated, verdicts, len(found)


def _section(result: Result, about: dict[str, Any], figures: Figures) -> dict[str, Any]:
    """An experiment as its template shows it."""
    shown = {
        name: {
            "id": f"figure-{result.experiment}-{name}",
            "title": entry.title,
            "caption": entry.caption,
            "svg": markup(figures, entry.svg, f"{result.experiment}-{name}", entry.title),
        }
        for name, entry in result.figures.items()
    }
    verdicts = Counter(claim.verdict for claim in result.claims)
    return {
        "experiment": EXPERIMENTS[result.experiment],
        "preset": entry_of(about, result.experiment)["preset"],
        "repeat": repeat(result.experiment, about),
        "counts": {verdict: verdicts[verdict] for verdict in VERDICTS},
        "claims": [
            (claim, anchor(claim), Line.of(claim), facts(claim), shown.get(claim.figure)) for claim in result.claims
        ],
        "units": result.units,
        "figures": list(shown.values()),
    }


def _untested_cells(reproduction: Reproduction) -> list[tuple[str, list[dict[str, Any]]]]:
    """The cells of the paper's tables that have no run, by what they need."""
    cells = sorted((cell for cell in paper_cells(reproduction) if cell["needed"]), key=lambda cell: cell["data"])
    return [(data, list(group)) for data, group in groupby(cells, key=lambda cell: cell["data"])]
