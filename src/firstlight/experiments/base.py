"""What every experiment is given, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from firstlight.experiments.claims import Claim
from firstlight.images import ImageSet
from firstlight.style import svg
from firstlight.training import Run, RunSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Preset = Literal["quick", "standard", "full"]


@dataclass(frozen=True)
class Context:
    """The data, the device and the store of runs that an experiment works with.

    Attributes
    ----------
    preset : {"quick", "standard", "full"}
    train_set, test_set : ImageSet
    obtain : callable
        Trains a spec, or finds its finished run in the store: `obtain(spec, score)`, where `score(filters, initial)` is
        what the live progress shows as the correlation so far.
    """

    preset: Preset
    train_set: ImageSet
    test_set: ImageSet
    obtain: Callable[[RunSpec, Callable], Run]


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
        Written as `tables/NAME.csv`.
    figures : mapping of str to FigureEntry
        Written as `figures/NAME.svg` and `.png`.
    runs : tuple of Run
        The training runs that it rests on.
    units : str
        What times such as tau are measured in, for the report.
    """

    experiment: str
    claims: tuple[Claim, ...]
    tables: Mapping[str, "pd.DataFrame"]
    figures: Mapping[str, FigureEntry]
    runs: tuple[Run, ...]
    units: str


@dataclass(frozen=True)
class Experiment:
    """An experiment: its question, what each preset costs, and the function that runs it."""

    name: str
    question: str
    answers: str
    costs: Mapping[Preset, str]
    run: Callable[[Context], Result] = field(repr=False)
