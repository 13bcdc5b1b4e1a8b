"""What an experiment is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from firstlight.experiments.context import Context
from firstlight.experiments.results import Result
from firstlight.experiments.schedule import Preset
from firstlight.training import RunSpec


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
        The sections, figures and tables of the note and the paper that it tests.
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
