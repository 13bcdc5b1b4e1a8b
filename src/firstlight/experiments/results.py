"""What experiments return: figures, results, and the reproduction that holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.experiments.claims import Claim
from firstlight.experiments.headline import Row, counts, in_words, published, rows, summary
from firstlight.figures.svg import svg
from firstlight.inspection.network_view import NetworkView
from firstlight.training import Run
from firstlight.utils.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PAGE = "report.html"


@dataclass(frozen=True)
class FigureEntry:
    """A figure with what it shows: its caption belongs to it wherever it is printed."""

    figure: "Figure"
    title: str
    caption: str

    @cached_property
    def svg(self) -> str:
        """The figure drawn as SVG, once: a file and the page show the same."""
        return svg(self.figure)


@dataclass(frozen=True)
class Result:
    """What an experiment found.

    Attributes
    ----------
    experiment : str
    claims : tuple of Claim
    tables : mapping of str to DataFrame
        Written as `tables/EXPERIMENT_NAME.csv`.
    figures : mapping of str to FigureEntry
        Written as `figures/EXPERIMENT_NAME.svg` and `.png`.
    runs : tuple of Run
        The training runs that it rests on.
    units : str
        What times such as tau are measured in, for the report; empty where there are none.
    networks : tuple of NetworkView
        The networks that the interactive page lets people explore.
    shown : str
        Name of the table that a terminal shows, where nobody asked for more than this experiment; empty for none.
    """

    experiment: str
    claims: tuple[Claim, ...]
    tables: Mapping[str, "pd.DataFrame"]
    figures: Mapping[str, FigureEntry]
    runs: tuple[Run, ...] = ()
    units: str = ""
    networks: tuple[NetworkView, ...] = ()
    shown: str = ""


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction found, and where it was written.

    Attributes
    ----------
    out : Path
        The folder with `claims.json`, `claims.md`, `tables/`, `figures/`, `report.html` and `reproduction.json`.
    results : tuple of Result
        One an experiment.
    about : dict
        Preset, data, device, seeds, versions, date: how to repeat it.

    Examples
    --------
    >>> import firstlight as fl
    >>> found = fl.recorded("label-correlation")
    >>> found.summary, found.all_reproduced
    ('1 of 1 published claim reproduced on cifar10', True)
    >>> found.results[0].experiment, found.rows[0].criterion.id
    ('label-correlation', 'T1')
    """

    out: Path
    results: tuple[Result, ...]
    about: dict[str, Any]

    def __repr__(self) -> str:
        return f"Reproduction({printable(self.summary)}, {printable(str(self.out))})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        about = ((name, str(self.about[name])) for name in ("data", "preset", "date") if name in self.about)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts(self.rows).items())
        entries = [("published claims", verdicts), *about, ("report", str(self.report))]
        return card("Reproduction", entries, below="".join(map(_claims_html, self.results)))

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims, in the order of the experiments."""
        return tuple(claim for result in self.results for claim in result.claims)

    @property
    def rows(self) -> list[Row]:
        """The rows of the criteria that these experiments measure, each with its verdict."""
        return rows(self.claims, [result.experiment for result in self.results])

    @property
    def summary(self) -> str:
        """How many published claims were reproduced, and on what data; equal ones are counted once."""
        return f"{summary(self.rows)} on {self.about['data']}"

    @property
    def report(self) -> Path:
        """The page that shows everything."""
        return self.out / PAGE

    @property
    def all_reproduced(self) -> bool:
        """Whether every published claim that was tested was reproduced."""
        return all(row.verdict in ("reproduced", "not tested") for row in published(self.rows))


def _claims_html(result: Result) -> str:
    """An experiment's claims as a table, folded under how many of them have which verdict."""
    from firstlight.figures.notebook import table, text

    cells = ((claim.verdict, claim.title, claim.published, claim.measured) for claim in result.claims)
    claims = table(("verdict", "claim", "published", "measured"), (tuple(map(text, row)) for row in cells))
    verdicts = in_words([claim.verdict for claim in result.claims])
    return f"<details><summary>{text(f'{result.experiment}: {verdicts}')}</summary>{claims}</details>"
