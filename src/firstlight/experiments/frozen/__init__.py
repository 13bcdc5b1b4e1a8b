"""`frozen`: does a network lose anything when its first layer stays as it was initialised?

If networks learned their first layer because it is good for recognition, freezing it should cost them something. The
paper trains VGGs of several depths with and without a frozen first layer and sees no difference in the deep ones.
"""

from collections.abc import Sequence

import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.frozen import figures
from firstlight.experiments.frozen.claims import DEPTHS, judge
from firstlight.experiments.networks import Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.tables import stacked
from firstlight.training.run import COLUMNS

ON = tuple(f"{depth}{kind}" for depth in DEPTHS.values() for kind in ("", "-frozen"))


def run(context: Context) -> Result:
    """Compare test accuracy at the last step, pair by pair of the same seed, and judge every depth."""
    groups = {name: context.trained(name) for name in ON}
    there = [group for group in groups.values() if group]
    learning = learning_table(there)
    return Result(
        experiment="frozen",
        claims=tuple(judge(groups)),
        tables={"learning": learning},
        figures=draw(groups, learning) if there else {},
        runs=tuple(run for group in there for run in group.runs),
    )


def learning_table(groups: Sequence[Trained]) -> pd.DataFrame:
    """Loss and accuracy of every run at every recorded step but the first, at which nothing was measured."""
    tables = [
        run.metrics.iloc[1:].assign(network=group.network.name, seed=run.spec.seed)
        for group in groups
        for run in group.runs
    ]
    return stacked(tables, ["network", "seed", *COLUMNS])


def draw(groups: dict[str, Trained], learning: pd.DataFrame) -> dict[str, FigureEntry]:
    """Learning with and without a frozen first layer."""
    depths = [depth for depth in DEPTHS.values() if groups[depth] or groups[f"{depth}-frozen"]]
    classes = next(group.runs[0].spec.classes for group in groups.values() if group)
    return {
        "learning": FigureEntry(
            figures.learning(learning, {depth: groups[depth].network.title for depth in depths}, classes),
            "Learning with and without a frozen first layer (Fig. 2, 20)",
            "Training loss, mean over the batches since the point before, and test accuracy: mean and range over "
            "seeds. Dotted: chance; for the loss, that of equal odds.",
        )
    }


EXPERIMENT = Experiment(
    name="frozen",
    question="Does a network lose anything when its first layer stays as it was initialised?",
    answers="note sec. 2.2; paper Fig. 2 and 20",
    networks=ON,
    run=run,
)
