"""report.html: one self-contained page; claims first, then figures, then how to repeat it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from firstlight.files import write_text

if TYPE_CHECKING:
    from firstlight.experiments.base import Result
    from firstlight.experiments.claims import Claim


def write_page(claims: "Sequence[Claim]", results: "Sequence[Result]", about: dict[str, Any], path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    claims : sequence of Claim
    results : sequence of Result
        Their figures are shown, with captions.
    about : dict
        Command, preset, data, seeds, device, versions, runs, date.
    path : Path
        Of the HTML file.
    """
    from firstlight.experiments import EXPERIMENTS
    from firstlight.experiments.claims import Verdict

    sections = [
        {
            "experiment": EXPERIMENTS[result.experiment],
            "preset": about.get("recorded", {}).get(result.experiment, about)["preset"],
            "claims": result.claims,
            "units": result.units,
            "figures": [
                {
                    "title": entry.title,
                    "caption": entry.caption,
                    "svg": inline(entry.svg, f"{result.experiment}-{name}"),
                }
                for name, entry in result.figures.items()
            ],
        }
        for result in results
    ]
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in get_args(Verdict)}
    template = environment().get_template("report.html")
    write_text(path, template.render(claims=claims, counts=counts, sections=sections, about=about))


def environment() -> Environment:
    """Where the pages' templates are; whatever they are given is escaped."""
    return Environment(
        loader=PackageLoader("firstlight.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def inline(text: str, name: str) -> str:
    """SVG to stand inside HTML: without its prologue, and with identifiers that no other figure has."""
    body = text[text.index("<svg") :]
    for marker in ('id="', 'href="#', "url(#"):
        body = body.replace(marker, f"{marker}{name}-")
    return body
