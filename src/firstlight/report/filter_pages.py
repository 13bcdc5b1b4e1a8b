"""The pages of `inspect` and `compare`: what first layers have learnt, to be explored."""

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.figures.axes import new_figure
from firstlight.figures.inline_svg import Figures
from firstlight.figures.pictures import show_tiles
from firstlight.figures.svg import svg
from firstlight.inspection.network_view import NetworkView
from firstlight.inspection.views import comparison_views, inspection_view
from firstlight.report.filter_tables import inspection_rows
from firstlight.report.interactive import markup, render
from firstlight.report.payload import numbers
from firstlight.utils.version import __version__

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection
    from firstlight.inspection.inspection import Failure


def inspections_page(found: "Sequence[Inspection]", failures: "Sequence[Failure]" = (), about: str = "") -> str:
    """The page of inspections, as HTML: every first layer with its numbers, findings, profile and filters.

    Parameters
    ----------
    found : sequence of Inspection
    failures : sequence of Failure, optional
        What could not be inspected, and why.
    about : str, optional
        How it was made.
    """
    figures, sections = Figures(), []
    for number, one in enumerate(found):
        figure, (left, right) = new_figure(columns=2, width=5.0)
        one.plot(left)
        show_tiles(right, one.bank.weight)
        right.set_title("filters, each by its own scale; gray is zero", fontsize=9)
        sections.append(
            {
                "source": one.source,
                "rows": inspection_rows(one),
                "findings": one.findings,
                "svg": markup(figures, svg(figure), f"s{number}", f"Profile and filters of {one.source}"),
            }
        )
    views = [inspection_view(one) for one in found]
    return render("inspection.html", views, figures, sections=sections, failures=failures, **_repeat(views, about))


def comparison_page(found: "Comparison", about: str = "") -> str:
    """The page of a comparison, as HTML: the correlations as heat map and table, all profiles, and each network.

    Parameters
    ----------
    found : Comparison
    about : str, optional
        How it was made.
    """
    figures, views = Figures(), comparison_views(found)
    comparison = {
        "labels": list(found.labels),
        "correlations": [numbers(row, 6) for row in found.correlations],
        "profiles": [numbers(profile.energy, 6) for profile in found.profiles],
        "basis": 0,
    }
    return render(
        "comparison.html",
        views,
        figures,
        more={"comparison": comparison},
        found=found,
        heat_map=markup(figures, svg(found.plot()[0]), "heat-map", "Correlations, as in the table below"),
        overlay=markup(figures, svg(found.plot_profiles()[0]), "overlay", "Energy profiles of all networks"),
        **_repeat(views, about),
    )


def _repeat(views: Sequence[NetworkView], about: str) -> dict[str, Any]:
    """How to make a page again: what it was made by, and of which filters."""
    return {
        "about": about,
        "versions": f"firstlight {__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        "digests": [(view.name, view.digest) for view in views],
    }
