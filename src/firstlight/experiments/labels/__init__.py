"""`labels`: does a first layer become the same with random labels as with true ones?

If it does, its profile comes from the images and from gradient descent, not from what the images show. Both networks
are trained for the paper's 100 epochs and compared at their ends; random labels are drawn uniformly for every image,
anew for every seed. Only networks of different seeds are compared: those of one seed share their initial weights.

Expected, by the paper's Table 2 for VGG11 on CIFAR-10: correlation 0.90 ± 0.02 of true with random labels, and
0.03 ± 0.22 of random labels with the initialisation.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.labels.claims import LEAST, MODELS, judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.against_initial import initial_table
from firstlight.experiments.shared.agreement import PAIR_COLUMNS, Measured, end_steps, pair_rows, rows_between
from firstlight.experiments.shared.profile_panels import (
    agreement_over_steps,
    profile_panels,
    profile_table,
    step_panels,
)
from firstlight.experiments.shared.tables import rows_where, stacked
from firstlight.training.run import COLUMNS


def run(context: Context) -> Result:
    """Compare the profiles on both kinds of labels at every step that both recorded; judge their ends."""
    groups = {model: [Measured.of(context, f"{model}-{kind}") for kind in ("long", "random")] for model in MODELS}
    there = [group for both in groups.values() for group in both if group]
    pairs = stacked(
        [pair_rows(true, random, common_steps(true, random), same_seed=False) for true, random in groups.values()],
        PAIR_COLUMNS,
    )
    initial = initial_table(there)
    tables = [
        run.metrics.assign(network=group.name, seed=run.spec.seed) for group in there for run in group.trained.runs
    ]
    learning = stacked(tables, ["network", "seed", *COLUMNS])
    return Result(
        experiment="labels",
        claims=tuple(judge(groups, pairs, initial)),
        tables={
            "pairs": pairs,
            "initialisation": initial,
            "profiles": profile_table((group, group.steps[-1]) for group in there),
            "learning": learning,
        },
        figures=draw(groups, pairs, learning),
        runs=tuple(run for group in there for run in group.trained.runs),
    )


def common_steps(first: Measured, second: Measured) -> list[tuple[int, int]]:
    """The steps that both networks recorded, then the end of each; none where one has no runs."""
    if not (first and second):
        return []
    return [*((step, step) for step in first.steps if step in second.steps), end_steps(first, second)[1]]


def draw(groups: Mapping[str, list[Measured]], pairs: pd.DataFrame, learning: pd.DataFrame) -> dict[str, FigureEntry]:
    """The figures, with a panel for every network of which both kinds are there."""
    complete = {MODELS[model]: both for model, both in groups.items() if all(both)}
    if not complete:
        return {}
    alike, losses = {}, {}
    for title, both in complete.items():
        equal = rows_between(pairs, both).query("step == other_step")
        alike[title] = {
            "true with random labels": agreement_over_steps(equal),
            "beyond λ": agreement_over_steps(equal, "beyond_lambda"),
            "random labels with λ": agreement_over_steps(equal, "other_lambda_alone"),
        }
        losses[title] = {
            group.title: rows_where(learning, network=group.name)
            .query("step > 0")
            .pivot_table(index="seed", columns="step", values="train_loss")
            for group in both
        }
    classes = next(iter(complete.values()))[0].trained.runs[0].spec.classes
    return {
        "profiles": FigureEntry(
            profile_panels({title: [(one, one.steps[-1]) for one in both] for title, both in complete.items()}),
            "True against random labels (Fig. 3)",
            "Energy of w(t) - w(0) at the end, relative to its peak: mean and range over seeds. Grey: the initial "
            "filters, and λ, which eq. 3 begins with.",
        ),
        "correlation_over_steps": FigureEntry(
            step_panels(alike, "correlation", LEAST),
            "Agreement of true and random labels over the steps",
            "Correlation of their profiles at the same step, and of what λ leaves unexplained of them; and that of "
            "random labels' profile with λ alone. Mean and range over pairs of different seeds. Dotted: "
            f"{LEAST}, which the claim asks for.",
        ),
        "loss": FigureEntry(
            step_panels(losses, "training loss, nats", float(np.log(classes))),
            "Training loss on true and on random labels",
            "Mean over the batches since the step before, and its range over seeds. Dotted: chance.",
        ),
    }


EXPERIMENT = Experiment(
    name="labels",
    question="Does the first layer become the same when the labels are random?",
    answers="note sec. 2.2; paper Table 2 and Fig. 3",
    networks=tuple(f"{model}-{kind}" for model in MODELS for kind in ("long", "random")),
    run=run,
)
