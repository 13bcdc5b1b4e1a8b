"""The parts that every interactive page has: template, scripts, data, and one network's static charts."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from firstlight.figures.inline_svg import Figures
from firstlight.inspection.network_view import NetworkView, opening
from firstlight.report.payload import page_data, script_text
from firstlight.report.plotly_script import plotly_script
from firstlight.report.static_charts import decorrelation_chart, learning_chart, profile_chart
from firstlight.utils.visible import visible

SCRIPTS = (
    *("formula.js", "pictures.js", "charts.js", "filters.js", "scores.js", "training_charts.js", "explorer.js"),
    *("comparison.js", "finder.js", "page.js"),
)

# Of the network that the page opens on: what stands where no script draws, and what it shows.
CHARTS = {
    "profile": (profile_chart, "Energy profile and eq. 3"),
    "learning": (learning_chart, "Loss and accuracy over the steps"),
    "decorrelation": (decorrelation_chart, "Auto-correlation of the output against distance"),
}


def render(
    template: str,
    views: Sequence[NetworkView],
    figures: Figures,
    groups: Sequence[str] = (),
    more: dict[str, Any] | None = None,
    **values: Any,
) -> str:
    """A whole page.

    Parameters
    ----------
    template : str
        Its name.
    views : sequence of NetworkView
        What can be explored; where there are none, the page has no explorer.
    figures : Figures
        With all figures that `values` hold: their letters go into the page.
    groups : sequence of str, optional
        The heading under which each view is listed.
    more : dict, optional
        Further data for the page's scripts, in JSON's types.
    **values
        What else the template asks for. All of it is escaped, but for `Markup`.
    """
    charts, opened = {}, opening(views)
    if views:
        first = views[opened]
        charts = {
            name: markup(figures, draw(first), f"explorer-{name}", f"{label} of {first.name}")
            for name, (draw, label) in CHARTS.items()
        }
    page = (
        environment()
        .get_template(template)
        .render(
            options=list(_options(views, groups)),
            explored=views[opened] if views else None,
            opened=opened,
            charts=charts,
            letters=Markup(figures.letters),
            data=Markup(script_text(page_data(views, groups, **(more or {})))),
            plotly=Markup(plotly_script()) if views else "",
            script=Markup(page_script()),
            **values,
        )
    )
    return visible(page)


def markup(figures: Figures, text: str, name: str, label: str) -> Markup:
    """A figure's SVG as part of a page; nothing where there is none."""
    return Markup(figures.inline(text, name, label)) if text else Markup("")


@cache
def page_script() -> str:
    """The page's own scripts, in one piece."""
    folder = files("firstlight.report") / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def environment() -> Environment:
    """Where the pages' templates are; whatever they are given is escaped."""
    return Environment(
        loader=PackageLoader("firstlight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _options(views: Sequence[NetworkView], groups: Sequence[str]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Heading and networks, with their numbers, for a list to choose from."""
    headings = list(groups) or [""] * len(views)
    for heading, members in groupby(range(len(views)), key=lambda number: headings[number]):
        yield heading, [(number, views[number].label) for number in members]
