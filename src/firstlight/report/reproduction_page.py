"""report.html: one self-contained page; claims first, then figures, then how to repeat it."""

from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.headline import counts
from firstlight.experiments.results import Reproduction
from firstlight.experiments.run_views import merged_views
from firstlight.figures.inline_svg import Figures
from firstlight.report.claim_lines import OLD_RECORD, Line, entry_of, repeat
from firstlight.report.interactive import markup, render


def reproduction_page(reproduction: Reproduction) -> str:
    """The page of a reproduction, as HTML: its figures with captions, and its networks to be explored."""
    results, about = reproduction.results, reproduction.about
    figures = Figures()
    sections = [
        {
            "experiment": EXPERIMENTS[result.experiment],
            "preset": entry_of(about, result.experiment)["preset"],
            "repeat": repeat(result.experiment, about),
            "claims": [(claim, Line.of(claim), claim.published) for claim in result.claims],
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
    views = merged_views(view for result in results for view in result.networks)
    experiments = {view.key: result.experiment for result in reversed(results) for view in result.networks}
    return render(
        "report.html",
        views,
        figures,
        groups=[experiments[view.key] for view in views],
        summary=reproduction.summary,
        counts=counts(reproduction.rows),
        old_record=OLD_RECORD if about.get("first_version") else "",
        sections=sections,
        about=about,
    )
