"""`label-energy`: labels that do depend on one patch component break the agreement of the first layers.

The theory needs labels that are uncorrelated with every component of the patches; random labels are, and true labels
nearly so. Here they are not: an image's label is the decile of its patch energy in component 15. A network on such
labels should no longer have the profile that networks on random labels have, which those on true labels do have. Only
networks of different seeds are compared: those of one seed share their initial weights.

Expected, by the paper's Figure 8a: the correlation with random labels falls to about 0.
"""

from collections.abc import Sequence

import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.label_energy.claims import ENERGY, MOST, RANDOM, TRUE, judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.agreement import PAIR_COLUMNS, Measured, end_steps, pair_rows
from firstlight.experiments.shared.profile_panels import (
    At,
    agreement_over_steps,
    profile_panels,
    profile_table,
    step_panels,
)
from firstlight.experiments.shared.tables import rows_where, stacked


def run(context: Context) -> Result:
    """Compare networks on the component's labels, and on true ones, with those on random labels; judge the end."""
    groups = {name: Measured.of(context, name) for name in (TRUE, RANDOM, ENERGY)}
    true, random, energy = groups.values()
    against = [group for group in (true, energy) if group and random]
    pairs = stacked(
        [pair_rows(group, random, compared_steps(group, random), same_seed=False) for group in against], PAIR_COLUMNS
    )
    shown = [(group, group.steps[-1]) for group in against]
    if energy and random:
        shown.insert(1, (random, random.nearest(energy.steps[-1])))
    profiles = profile_table(shown)
    return Result(
        experiment="label-energy",
        claims=tuple(judge(groups, pairs)),
        tables={"pairs": pairs, "profiles": profiles},
        figures=draw(shown, pairs) if energy and random else {},
        runs=tuple(run for group in groups.values() for run in group.trained.runs),
    )


def compared_steps(group: Measured, random: Measured) -> list[tuple[int, int]]:
    """Every recorded step with the nearest of random labels, then the end of each."""
    return [*((step, random.nearest(step)) for step in group.steps), end_steps(group, random)[1]]


def draw(shown: Sequence[At], pairs: pd.DataFrame) -> dict[str, FigureEntry]:
    """Profiles at the step that is judged, and how alike they are until then."""
    nearest = pairs.drop_duplicates(["network", "seed", "step", "other_seed"])
    lines = {
        group.title: agreement_over_steps(rows_where(nearest, network=group.name))
        for group, _ in shown
        if group.name != RANDOM
    }
    return {
        "profiles": FigureEntry(
            profile_panels({"VGG11": shown}),
            "Labels made from component 15 against true and random ones (Fig. 8a)",
            "Energy of w(t) - w(0) relative to its peak: mean and range over seeds, at step "
            f"{', '.join(f'{step:,} ({group.title})' for group, step in shown)}. Grey: the initial filters, and λ.",
        ),
        "correlation_over_steps": FigureEntry(
            step_panels({"VGG11": lines}, "correlation with random labels", MOST),
            "Agreement with random labels over the steps",
            "Correlation with the profile of networks on random labels at the nearest recorded step: mean and range "
            f"over pairs of different seeds. Dotted: {MOST}, which labels of the component are asked to be below.",
        ),
    }


EXPERIMENT = Experiment(
    name="label-energy",
    question="Does the first layer change when the labels depend on one component of the patches?",
    answers="paper Fig. 8a and Fig. 17",
    networks=(TRUE, RANDOM, ENERGY),
    run=run,
)
