"""report.html: one self-contained page; claims first, then figures, then how to repeat it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from firstlight.report.filter_pages import comparison_page, inspections_page
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from firstlight.experiments.claims import Claim
    from firstlight.experiments.results import Reproduction, Result

__all__ = ["comparison_page", "inspections_page", "reproduction_page", "results_page", "write_page"]


def write_page(claims: "Sequence[Claim]", results: "Sequence[Result]", about: dict[str, Any], path: Path) -> None:
    """Write the page of a reproduction; parameters as of `results_page`."""
    write_text(path, results_page(claims, results, about))


def reproduction_page(reproduction: "Reproduction") -> str:
    """The page of a reproduction, as HTML."""
    return results_page(reproduction.claims, reproduction.results, reproduction.about)


def results_page(claims: "Sequence[Claim]", results: "Sequence[Result]", about: dict[str, Any]) -> str:
    """The page of what experiments found, as HTML.

    Parameters
    ----------
    claims : sequence of Claim
    results : sequence of Result
        Their figures are shown, with captions; their networks can be explored.
    about : dict
        Command, preset, data, seeds, device, versions, runs, date.
    """
    from firstlight.experiments import EXPERIMENTS
    from firstlight.experiments.claims import Verdict
    from firstlight.experiments.views import merged
    from firstlight.figures.inline_svg import Figures
    from firstlight.report.interactive import markup, render

    figures = Figures()
    sections = [
        {
            "experiment": EXPERIMENTS[result.experiment],
            "preset": about.get("recorded", {}).get(result.experiment, about)["preset"],
            "claims": result.claims,
            "units": result.units,
            "figures": [
                {
                    "id": f"figure-{result.experiment}-{name}",
                    "title": entry.title,
                    "caption": entry.caption,
                    "svg": markup(figures, entry.svg, f"{result.experiment}-{name}", entry.title),
                }
                for name, entry in result.figures.items()
            ],
            "linked": {name: f"figure-{result.experiment}-{name}" for name in result.figures},
        }
        for result in results
    ]
    views = merged(view for result in results for view in result.networks)
    experiments = {view.key: result.experiment for result in reversed(results) for view in result.networks}
    return render(
        "report.html",
        views,
        figures,
        groups=[experiments[view.key] for view in views],
        claims=claims,
        counts={verdict: sum(claim.verdict == verdict for claim in claims) for verdict in get_args(Verdict)},
        sections=sections,
        about=about,
    )
