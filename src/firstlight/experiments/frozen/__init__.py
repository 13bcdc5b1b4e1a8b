"""`frozen`: does a network lose anything when its first layer stays as it was initialised?

If networks learned their first layer because it is good for recognition, freezing it should cost them something. The
paper trains VGGs of several depths with and without a frozen first layer and sees no difference in the deep ones.

The authors train with a learning rate of 0.01 for many epochs, and so does the preset `full`. The small presets take
0.3: at 0.01 these networks stay on their first plateau for hundreds of steps, and a network that has learnt nothing
has nothing to lose. A depth whose ordinary networks have not learnt is not judged.
"""

from typing import Any

import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.frozen import figures
from firstlight.experiments.frozen.claims import judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.schedule import EPOCH
from firstlight.experiments.shared.plans import flat
from firstlight.experiments.shared.tables import stacked
from firstlight.training import Run, RunSpec
from firstlight.training.run import COLUMNS

# Shallow to deep.
STEPS: dict[str, dict[str, int]] = {
    "quick": {"vgg5": 60, "vgg8": 40},
    "standard": {"vgg5": 100, "vgg8": 100, "vgg11": 75},
    "full": dict.fromkeys(("vgg5", "vgg8", "vgg11", "vgg13", "vgg16"), 30 * EPOCH),
}
LEARNING_RATE: dict[str, float] = {"quick": 0.3, "standard": 0.3, "full": 0.01}


def network_specs(context: Context) -> dict[str, list[RunSpec]]:
    """Each depth, every seed, without and with a frozen first layer, by network."""
    lr = LEARNING_RATE[context.preset]
    return {
        model: [
            context.spec(model, seed=seed, steps=steps, lr=lr, frozen=frozen)
            for seed in context.schedule.seeds
            for frozen in (False, True)
        ]
        for model, steps in STEPS[context.preset].items()
    }


def plan(context: Context) -> list[RunSpec]:
    """All depths, every seed, with and without."""
    return flat(network_specs(context))


def run(context: Context) -> Result:
    """Compare loss and accuracy at the last step, pair by pair of the same seed, and judge every depth."""
    specs = network_specs(context)
    runs = context.runs(plan(context))
    outcomes = outcome_table(runs)
    reasons = {
        model: context.failure(wanted) or "Runs of it are missing."
        for model, wanted in specs.items()
        if not context.complete(wanted)
    }
    train, _ = context.facts()
    return Result(
        experiment="frozen",
        claims=tuple(judge(tuple(specs), outcomes, reasons, len(train.classes))),
        tables={"outcomes": outcomes, "learning": learning_table(runs)},
        figures=draw(runs, outcomes, len(train.classes)) if runs else {},
        runs=tuple(runs),
    )


def run_columns(run: Run) -> dict[str, Any]:
    """What tells a run from the others of this experiment."""
    return {"model": run.spec.model, "seed": run.spec.seed, "frozen": run.spec.frozen}


def outcome_table(runs: list[Run]) -> pd.DataFrame:
    """A row a run: loss and accuracy at the last step; in training, their means since the row before."""
    rows = [{**run_columns(run), **run.metrics.iloc[-1], "test_images": run.spec.test_images} for run in runs]
    table = pd.DataFrame(rows, columns=["model", "seed", "frozen", *COLUMNS, "test_images"])
    return table.astype({"frozen": bool, "step": int})


def learning_table(runs: list[Run]) -> pd.DataFrame:
    """Loss and accuracy of every run at every recorded step but the first, at which nothing was measured."""
    tables = [run.metrics.iloc[1:].assign(**run_columns(run)) for run in runs]
    return stacked(tables, ["model", "seed", "frozen", *COLUMNS])


def draw(runs: list[Run], outcomes: pd.DataFrame, classes: int) -> dict[str, FigureEntry]:
    """Learning with and without a frozen first layer, and what came out."""
    return {
        "learning": FigureEntry(
            figures.learning(learning_table(runs), classes),
            "Learning with and without a frozen first layer (Fig. 2, 20)",
            "Training loss and accuracy, means over the batches since the point before: mean and range over seeds. "
            "The dotted line is chance, for the loss that of equal odds.",
        ),
        "test_accuracy": FigureEntry(
            figures.final_accuracy(outcomes, classes),
            "Test accuracy at the last step, by depth",
            "A small point a seed; beside them mean and sample standard deviation over seeds. Dotted is chance.",
        ),
    }


EXPERIMENT = Experiment(
    name="frozen",
    question="Does a network lose anything when its first layer stays as it was initialised?",
    answers="note sec. 2.2; paper Fig. 2 and 20",
    costs={
        "quick": "2 seeds of VGG5 (60 steps) and VGG8 (40), with and without: 4 minutes on 2 CPU cores",
        "standard": "3 seeds of VGG5 and VGG8 (100 steps) and VGG11 (75), with and without: 20 minutes on 2 CPU cores",
        "full": "3 seeds of VGG5 to VGG16, 30 epochs each, with and without: for one GPU",
    },
    plan=plan,
    run=run,
)
