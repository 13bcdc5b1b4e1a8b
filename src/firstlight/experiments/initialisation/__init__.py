"""`initialisation`: does a first layer learn faster, or better, when it starts where theory says that it goes?

Every start is trained at the same few learning rates, and counts at the one that suits it. Two starts are controls:
random orthogonal filters, and random filters of the same spectrum as the whitening ones, which know nothing of the
patches' components.
"""

from collections.abc import Mapping

import pandas as pd

from firstlight.experiments.accuracy import Accuracy
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.initialisation import figures
from firstlight.experiments.initialisation.claims import judge
from firstlight.experiments.initialisation.rates import Tuned, tuned
from firstlight.experiments.networks import START_RATES, STARTS, started
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.tables import stacked
from firstlight.experiments.verdicts import t_interval

ON = tuple(started(model, start, rate) for model, rates in START_RATES.items() for start in STARTS for rate in rates)
COLUMNS = ("model", "start", "lr", "seed", "step", "train_accuracy", "test_accuracy")
SPREADS = ("model", "start", "step", "lr", "test_accuracy", "low", "high", "gain", "gain_low", "gain_high")


def run(context: Context) -> Result:
    """Compare every start with the default one, pair by pair of the same seed, and judge."""
    grown = {name: context.accuracy(name) for name in ON}
    found = {model: tuned(grown, model) for model in START_RATES}
    accuracy = accuracy_table(found)
    return Result(
        experiment="initialisation",
        claims=tuple(judge(context, found)),
        tables={"accuracy": accuracy, "learning": learning_table(grown)},
        figures={
            "accuracy": FigureEntry(
                figures.accuracy(accuracy),
                "Test accuracy by the start of the first layer",
                "Mean and 95% interval over seeds after few steps (light) and at the last one, each start at the "
                "learning rate at which the other seeds did best.",
            )
        }
        if len(accuracy)
        else {},
    )


def accuracy_table(found: dict[str, dict[str, Tuned]]) -> pd.DataFrame:
    """A row a network, start and step: accuracy over seeds, and what it is ahead of the default's."""
    rows = []
    for model, starts in found.items():
        for start, own in starts.items():
            for step, values in own.values.items():
                row = {"model": model, "start": STARTS[start][0], "step": step, "lr": own.usual_rate(step)}
                row |= _spread(values, "test_accuracy", "low", "high")
                if start != "default" and "default" in starts:
                    gains = values - starts["default"].values[step]
                    row |= _spread(gains, "gain", "gain_low", "gain_high")
                rows.append(row)
    return stacked([pd.DataFrame(rows)], SPREADS)


def learning_table(grown: Mapping[str, Accuracy | None]) -> pd.DataFrame:
    """A row a run and step at which the test images were looked at."""
    tables = [
        pd.DataFrame(
            {
                "model": spec.model,
                "start": STARTS[start][0],
                "lr": spec.lr,
                "seed": spec.seed,
                "step": own.steps,
                "train_accuracy": train,
                "test_accuracy": test,
            }
        )
        for model, rates in START_RATES.items()
        for start in STARTS
        for rate in rates
        if (own := grown[started(model, start, rate)])
        for spec, train, test in zip(own.specs, own.train, own.test, strict=True)
    ]
    return stacked(tables, COLUMNS)


def _spread(values, mean: str, low: str, high: str) -> dict[str, float]:
    ends = t_interval(list(values)) or (float("nan"), float("nan"))
    return {mean: float(values.mean()), low: ends[0], high: ends[1]}


EXPERIMENT = Experiment(
    name="initialisation",
    question="Does a network learn faster when its first layer starts where theory says that it goes?",
    answers="own question; docs, Start a first layer",
    networks=ON,
    run=run,
    accuracy_alone=True,
)
