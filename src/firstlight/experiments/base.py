"""What an experiment is, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from firstlight.experiments.claims import Claim
from firstlight.experiments.context import Context
from firstlight.experiments.schedule import Preset
from firstlight.network_view import NetworkView
from firstlight.style import svg
from firstlight.training import Run, RunSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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
    """

    experiment: str
    claims: tuple[Claim, ...]
    tables: Mapping[str, "pd.DataFrame"]
    figures: Mapping[str, FigureEntry]
    runs: tuple[Run, ...] = ()
    units: str = ""
    networks: tuple[NetworkView, ...] = ()


def no_runs(context: Context) -> list[RunSpec]:
    """The plan of an experiment that trains nothing."""
    return []


@dataclass(frozen=True)
class Experiment:
    """An experiment: its question, what each preset costs, the runs that it needs, and the function that analyses them.

    Attributes
    ----------
    name : str
    question : str
    answers : str
        The sections, figures and tables of the seed and the paper that it tests.
    costs : mapping of preset to str
        What is trained, and how long that takes.
    other_data : mapping of preset to tuple of str
        Data sets beside the main one that are compared with it, where they can be had.
    plan : callable
        The specs of the runs that `run` asks the context for. Runs of several experiments are trained once.
    run : callable
        Analyses the runs; where some are missing because their training failed, the claims that need them are "not
        tested", and the others are judged.
    """

    name: str
    question: str
    answers: str
    costs: Mapping[Preset, str]
    run: Callable[[Context], Result] = field(repr=False)
    plan: Callable[[Context], list[RunSpec]] = field(repr=False, default=no_runs)
    other_data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
