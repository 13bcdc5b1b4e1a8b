"""What an experiment is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from firstlight.experiments.context import Context
from firstlight.experiments.cost import cost_of
from firstlight.experiments.results import Result
from firstlight.experiments.schedule import Preset
from firstlight.training import RunSpec


@dataclass(frozen=True)
class Experiment:
    """An experiment: its question, the networks that it needs, and the function that analyses them.

    Attributes
    ----------
    name : str
    question : str
    answers : str
        The sections, figures and tables of the note and the paper that it tests.
    run : callable
        Analyses the runs; claims on networks that are not there are "not tested", and the others are judged.
    networks : tuple of str
        Names in `NETWORKS` of what it needs. Networks of several experiments are trained once.
    accuracy_alone : bool
        Whether it needs no more of its runs than `Context.accuracy`: they are not trained again, nor recorded, where
        that is known.
    """

    name: str
    question: str
    answers: str
    run: Callable[[Context], Result] = field(repr=False)
    networks: tuple[str, ...] = ()
    accuracy_alone: bool = False

    def plan(self, context: Context) -> list[RunSpec]:
        """The runs to train before `run`, as far as the preset and the data have them."""
        names = (name for name in self.networks if not (self.accuracy_alone and context.accuracy(name)))
        return context.specs(*names)

    def cost(self, preset: Preset) -> str:
        """What a preset trains for it, and how long that was seen to take."""
        return cost_of(self.networks, preset)
