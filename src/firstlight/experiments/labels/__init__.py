"""`labels`: does a first layer become the same with random labels as with true ones?

If it does, its profile comes from the images and from gradient descent, not from what the images show. Both networks
are trained by the recipe of the experiment `formula`; random labels are drawn uniformly for every image, anew for every
seed. Networks are compared at equal steps, and only those of different seeds: networks of one seed share their initial
weights.

Expected, by the paper's Table 2 for VGG11 on CIFAR-10: correlation 0.90 ± 0.02 of true with random labels, and
0.03 ± 0.22 of random labels with the initialisation.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.labels import figures
from firstlight.experiments.labels.claims import judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.fits import change_profile_at
from firstlight.experiments.shared.label_pairs import (
    PAIR_COLUMNS,
    common_steps,
    network_table,
    pair_table,
    random_agreement,
)
from firstlight.experiments.shared.plans import MODELS, complete_groups, flat, label_specs
from firstlight.experiments.shared.tables import stacked
from firstlight.patches import PatchBasis
from firstlight.profile import energy_profile
from firstlight.training import Run, RunSpec

PROFILE_COLUMNS = ("model", "labels", "seed", "step", "component", "energy", "normalized")


def all_specs(context: Context) -> dict[tuple[str, str], list[RunSpec]]:
    """Specs by network and labels."""
    return {(model, kind): specs for model in MODELS for kind, specs in label_specs(context, model).items()}


def plan(context: Context) -> list[RunSpec]:
    """Both networks on true and on random labels."""
    return flat(all_specs(context))


def run(context: Context) -> Result:
    """Compare the profiles at every step that both kinds of network recorded; judge them at the last of these."""
    basis = context.basis()
    groups, missing = complete_groups(context, all_specs(context))
    pairs = stacked(
        [pair_table(groups[model, "true"], groups[model, "random"], basis) for model in MODELS], PAIR_COLUMNS
    )
    networks = network_table([run for group in groups.values() for run in group], basis)
    random_banks = pd.DataFrame([{"model": model, **random_agreement(model, basis.size)} for model in MODELS])
    profiles = stacked(
        [profile_table(groups[model, "true"] + groups[model, "random"], basis) for model in MODELS], PROFILE_COLUMNS
    )
    return Result(
        experiment="labels",
        claims=tuple(judge(pairs, networks, random_banks, missing)),
        tables={"networks": networks, "pairs": pairs, "profiles": profiles, "random_banks": random_banks},
        figures=draw(groups, pairs, networks, random_banks, basis),
        runs=tuple(context.runs(plan(context))),
    )


def profile_table(runs: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and component: its energy at the last step that all of these runs recorded."""
    tables = []
    step = common_steps(runs)[-1] if runs else 0
    for run in runs:
        names = {"model": run.spec.model, "labels": run.spec.labels, "seed": run.spec.seed, "step": step}
        tables.append(change_profile_at(run, basis, step).to_frame().assign(**names))
    return stacked(tables, PROFILE_COLUMNS)


def draw(
    groups: Mapping[tuple[str, str], Sequence[Run]],
    pairs: pd.DataFrame,
    networks: pd.DataFrame,
    random_banks: pd.DataFrame,
    basis: PatchBasis,
) -> dict[str, FigureEntry]:
    """The figures, with a panel for every network of which both kinds are complete."""
    profiles, initial = {}, {}
    for model in MODELS:
        both = [*groups[model, "true"], *groups[model, "random"]]
        if not (groups[model, "true"] and groups[model, "random"]):
            continue
        step = common_steps(both)[-1]
        profiles[model, step] = {
            kind: np.array([change_profile_at(run, basis, step).normalized for run in groups[model, kind]])
            for kind in ("true", "random")
        }
        initial[model] = np.array([energy_profile(run.initial, basis).normalized for run in groups[model, "random"]])
    if not profiles:
        return {}
    return {
        "profiles": FigureEntry(
            figures.profiles(profiles, initial, basis),
            "True against random labels (Fig. 3)",
            "Energy of w(t) - w(0) at the last step that both recorded, relative to its peak: mean and range over "
            "seeds. Gray: the initial filters, and λ, which every profile is proportional to at first.",
        ),
        "correlation_over_steps": FigureEntry(
            figures.correlations(pairs, networks, random_banks, [model for model, _ in profiles]),
            "How alike the profiles are, over the iterations",
            "Mean and range over pairs of different seeds, or over seeds. Dotted: 0.8, which the claim asks for, and "
            "the 95th percentile of two random banks.",
        ),
        "loss": FigureEntry(
            figures.losses(networks, groups[next(iter(profiles))[0], "true"][0].spec.classes),
            "Training loss on true and on random labels",
            "Mean over the batches since the step before, and its range over seeds. Gray: guessing.",
        ),
    }


EXPERIMENT = Experiment(
    name="labels",
    question="Does the first layer become the same when the labels are random?",
    answers="note sec. 2.2; paper Table 2 and Fig. 3",
    costs={
        "quick": "2 seeds on random labels, VGG11 (10 steps) and ResNet20 (32): a minute on 2 CPU cores; those on "
        "true labels are the runs of `formula`",
        "standard": "3 seeds on random labels, VGG11 (100 steps) and ResNet20 (316): 12 minutes on 2 CPU cores; those "
        "on true labels are the runs of `formula`",
        "full": "3 seeds of VGG11 and ResNet20, 100 epochs on random labels, the paper's protocol: for one GPU",
    },
    plan=plan,
    run=run,
)
