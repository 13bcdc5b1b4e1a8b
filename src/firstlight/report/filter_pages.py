"""The pages of `inspect` and `compare`: what first layers have learnt, to be explored."""

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.figures.axes import new_figure
from firstlight.figures.inline_svg import Figures
from firstlight.figures.svg import svg
from firstlight.inspection.network_view import NetworkView
from firstlight.inspection.views import comparison_views, inspection_view
from firstlight.report.filter_marks import filter_marks, marks_legend, marks_text, show_marked
from firstlight.report.interactive import markup, render
from firstlight.report.payload import numbers
from firstlight.report.static_charts import profile_chart
from firstlight.utils.text import counted, plural
from firstlight.utils.version import __version__

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection
    from firstlight.inspection.not_inspected import Failure
    from firstlight.training import History


def history_page(history: "History", about: str = "") -> str:
    """The page of a training that was watched: the first layer as it is, and how it came there, to be played."""
    return inspections_page([history.inspection()], about=about, views=[history.view()])


def inspections_page(
    found: "Sequence[Inspection]",
    failures: "Sequence[Failure]" = (),
    about: str = "",
    views: Sequence[NetworkView] | None = None,
) -> str:
    """The page of inspections, as HTML: every first layer with its numbers, findings, profile and filters.

    Parameters
    ----------
    found : sequence of Inspection
    failures : sequence of Failure, optional
        What could not be inspected, and why.
    about : str, optional
        How it was made.
    views : sequence of NetworkView, optional
        What is explored of each, where more is known than the inspection.
    """
    figures = Figures()
    views = [inspection_view(one) for one in found] if views is None else views
    return render(
        "inspection.html",
        views,
        figures,
        title=f"What the first {plural(len(found), 'layer')} of {counted(len(found), 'network')} "
        f"{plural(len(found), 'has', 'have')} learnt",
        sections=[
            _section(one, view, figures, number) for number, (one, view) in enumerate(zip(found, views, strict=True))
        ],
        failures=failures,
        **_repeat(views, about),
    )


def _section(one: "Inspection", view: NetworkView, figures: Figures, number: int) -> dict[str, Any]:
    """One first layer: what was found, in full and in short, its profile, its filters and its numbers."""
    picture, (ax,) = new_figure(width=5.0, height=3.4)
    marks = filter_marks(one.faults)
    show_marked(ax, one.bank.weight, marks)
    described = f"Filters of {one.source}: {marks_text(len(one.bank), marks)}"
    return {
        "source": one.source,
        "finding": one.findings[0].text.partition(":")[0] if one.findings else "",
        "findings": one.findings,
        "profile": markup(figures, profile_chart(view, 5.0), f"s{number}", f"Energy profile of {one.source}"),
        "filters": markup(figures, svg(picture), f"f{number}", described),
        "legend": marks_legend(marks),
        "about": one.about,
        "measures": one.measures,
        "theories": one.theory_rows,
        "refusal": one.theories.refusal if one.theories else "",
    }


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
        title=f"How alike the first layers of {counted(len(found.labels), 'network')} are",
        findings=_alike(found),
        above=sum(r > found.chance for r, _, _ in found.pairs),
        found=found,
        heat_map=markup(figures, svg(found.plot()[0]), "heat-map", "Correlations, as in the table below"),
        overlay=markup(figures, svg(found.plot_profiles()[0]), "overlay", "Energy profiles of all networks"),
        **_repeat(views, about),
    )


def _alike(found: "Comparison") -> list[tuple[str, str, str, str]]:
    """Which two are most and which least alike: in a word, both names, and how alike, beside what chance gives."""
    pairs, names = found.pairs, found.labels
    if len(pairs) > 1:
        ends = [("Most alike", *pairs[0]), ("Least alike", *pairs[-1])]
        said = {True: ", above chance", False: ", not above chance", None: ", which need not be learnt"}
    else:
        words = {True: "Alike beyond chance", False: "Not alike beyond chance", None: "Alike, which need not be learnt"}
        ends = [(words[found.is_beyond_chance(*two)], r, *two) for r, *two in pairs]
        said = dict.fromkeys((True, False, None), "")
    return [
        (word, names[one], names[two], f"r = {r:.3f}{said[found.is_beyond_chance(one, two)]}")
        for word, r, one, two in ends
    ]


def _repeat(views: Sequence[NetworkView], about: str) -> dict[str, Any]:
    """How to make a page again: what it was made by, and of which filters."""
    return {
        "about": about,
        "versions": f"firstlight {__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        "digests": [(view.name, view.digest) for view in views],
    }
