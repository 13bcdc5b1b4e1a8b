"""`consistency`: do networks learn the same first layer, whatever their seed, width, depth, data and precision?

All are trained by the protocol of `formula`, and compared at their ends. Early in training the profile of w(t) - w(0)
is close to λ itself, so that any two are alike: each correlation stands beside that after one step, beside that of λ
alone, and must be there in what λ leaves unexplained.

Expected, by the paper's Table 1 on CIFAR-10: 0.99 between seeds of VGG11, 0.98 between widths, 0.87 between VGG11 and
ResNet18, and -0.13 ± 0.18 with the initialisation.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import pandas as pd

from firstlight.experiments.consistency.claims import judge
from firstlight.experiments.consistency.figures import correlations
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.networks import WIDTHS
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.against_initial import initial_table
from firstlight.experiments.shared.agreement import PAIR_COLUMNS, Measured, end_steps, first_and_last, pair_rows
from firstlight.experiments.shared.profile_panels import profile_panels, profile_table
from firstlight.experiments.shared.tables import stacked

ARCHITECTURES = ("vgg11", "vgg13", "vgg16", "resnet18", "resnet20", "resnet20b", "resnet32")
VARIANTS = (*(f"vgg11-width{width}" for width in WIDTHS), "vgg11-photos")
PRECISIONS = ("float32", "bfloat16")


def run(context: Context) -> Result:
    """Compare all networks at their ends, pair by pair, and each with its initialisation; judge the claims."""
    precision = next(one for one in PRECISIONS if one != context.schedule.precision)
    names = (*ARCHITECTURES, *VARIANTS, f"vgg11-{precision}")
    groups = {name: Measured.of(context, name) for name in names}
    there = [group for group in groups.values() if group]
    pairs = stacked(
        [pair_rows(a, b, end_steps(a, b)) for a, b in combinations_with_replacement(there, 2)], PAIR_COLUMNS
    )
    initial = initial_table(there)
    return Result(
        experiment="consistency",
        claims=tuple(judge(groups, pairs, initial, precision)),
        tables={
            "pairs": pairs,
            "initialisation": initial,
            "profiles": profile_table((group, group.steps[-1]) for group in there),
        },
        figures=draw(there, pairs),
        runs=tuple(run for group in there for run in group.trained.runs),
    )


def draw(groups: Sequence[Measured], pairs: pd.DataFrame) -> dict[str, FigureEntry]:
    """Profiles side by side, and all correlations; nothing where there is no network."""
    panels = {
        heading: [(group, group.steps[-1]) for group in groups if group.name in names]
        for heading, names in (("architectures", ARCHITECTURES), ("widths and data", ("vgg11", *VARIANTS)))
    }
    panels = {heading: shown for heading, shown in panels.items() if shown}
    if not panels:
        return {}
    entries = {
        "profiles": FigureEntry(
            profile_panels(panels),
            "Profiles of different networks (Fig. 1, 9-13)",
            "Energy of w(t) - w(0) at the end, relative to its peak: mean and range over seeds, each in the components "
            "of the patches that it was trained on; drawn are those of the first. Grey: the random initialisation of "
            "the first network and λ of its patches.",
        )
    }
    if len(pairs):
        entries["correlations"] = FigureEntry(
            correlations(first_and_last(pairs)[1], {group.name: group.title for group in groups}),
            "Correlation of the profiles of every two networks",
            "Profiles of w(t) - w(0) at the ends, mean over all pairs of runs; on the diagonal over pairs of seeds.",
        )
    return entries


EXPERIMENT = Experiment(
    name="consistency",
    question="Do networks learn the same first layer, whatever their seed, width, depth, data and precision?",
    answers="note sec. 2.1 and 3; paper Table 1, Fig. 1 and 9-13",
    networks=(*ARCHITECTURES, *VARIANTS, *(f"vgg11-{precision}" for precision in PRECISIONS)),
    run=run,
)
