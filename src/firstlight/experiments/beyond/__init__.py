"""`beyond`: where does eq. 3 end, and does the same theory, shared out over several layers, go on from there?

Composition has the same one free number, and reads the same patch moments. It is held against eq. 3 on the runs of the
paper's protocol, on networks that others trained, half of them held out by a coin, and on a small network in two
recipes; and what it says of the window of first-layer filters is tested, one thing changed at a time.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from firstlight.experiments.beyond import figures
from firstlight.experiments.beyond.claims import JUDGED, PROTOCOL, early_place, judge
from firstlight.experiments.beyond.described import THEORIES, Described, of_changes, of_others
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.networks import SMALL, Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.tables import stacked
from firstlight.inspection.window import centre_over_corners

ON = (*PROTOCOL, *(name for name, *_ in SMALL))
FITS = ("network", "counts", "seed", "theory", "r", "log_r2", "null", "low", "high", "t", "bound", "refusal")
NETWORKS = ("network", "counts", "theory", "r", "log_r2", "null", "low", "high")
PREDICTIONS = ("network", "seed", "early_step", "early", "step", "centre_over_corners")


def run(context: Context) -> Result:
    """Fit both theories to the change in every run and to the networks of others; judge these, and the windows."""
    groups = {name: context.trained(name) for name in ON}
    fits = {name: of_changes(context, group.network.title, group.runs) for name, group in groups.items()}
    # After one step, of those whose fits are judged: what is so then already was not learnt.
    early = {name: of_changes(context, groups[name].network.title, groups[name].runs, 1) for name in JUDGED}
    others = of_others()
    found = fit_table([*others, *(one for ours in fits.values() for one in ours)])
    return Result(
        experiment="beyond",
        claims=tuple(judge(groups, fits, early, others)),
        tables={"networks": network_table(found), "fits": found, "predictions": prediction_table(groups)},
        figures={
            "theories": FigureEntry(
                figures.theories(found),
                "Composition against eq. 3, network by network",
                "Correlation of a network's profile with each theory at its best time; of our own runs that of the "
                "change w(t) - w(0), a point a seed; of networks that others trained that of the whole weights.",
            )
        },
        runs=tuple(run for group in groups.values() for run in group.runs),
        shown="networks",
    )


def fit_table(found: Sequence[Described]) -> pd.DataFrame:
    """A row a network, seed and theory; where a theory is not defined, why."""
    rows = []
    for one in found:
        for theory, name in THEORIES.items():
            row = {"network": one.network, "counts": one.counts, "seed": one.seed, "theory": name, "r": np.nan}
            if explained := one.fit and getattr(one.fit, theory):
                low, high = explained.interval
                row |= {"r": explained.correlation, "log_r2": explained.log_r2, "null": explained.null}
                row |= {"low": low, "high": high, "t": explained.t, "bound": explained.bound}
            else:
                row["refusal"] = one.fit.refusal if one.fit else "the first layer has not moved"
            rows.append(row)
    return stacked([pd.DataFrame(rows)], FITS)


def network_table(found: pd.DataFrame) -> pd.DataFrame:
    """The same without seeds: means over them, also of the ends of the intervals, which are over components."""
    means = found.groupby(["network", "counts", "theory"], sort=False).mean(numeric_only=True)
    return pd.DataFrame(means).reset_index().reindex(columns=list(NETWORKS))


def prediction_table(groups: Mapping[str, Trained]) -> pd.DataFrame:
    """A row a run: the window of its filters within the first tenth of the training, and at the end."""
    rows = []
    for group in groups.values():
        for run in group.runs:
            place = early_place(run)
            ends = centre_over_corners(run.filters[place]), int(run.steps[-1]), centre_over_corners(run.final)
            rows.append((group.network.title, run.spec.seed, int(run.steps[place]), *ends))
    return pd.DataFrame(rows, columns=list(PREDICTIONS))


EXPERIMENT = Experiment(
    name="beyond",
    question="Where eq. 3 ends, does the same theory go on when it is shared out over several layers?",
    answers="own question; docs, Theory",
    networks=ON,
    run=run,
)
