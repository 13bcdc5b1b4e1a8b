"""`label-energy`: labels that do depend on one patch component break the agreement of the first layers.

The theory needs labels that are uncorrelated with every component of the patches; random labels are, and true labels
nearly so. Here they are not: an image's label is the decile of its patch energy in one component. A network on such
labels should no longer have the profile that networks on random labels have, which those on true labels do have.

Expected, by the paper's Figure 8a: the correlation with random labels falls to about 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.label_energy import figures
from firstlight.experiments.label_energy.claims import judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.schedule import EPOCH
from firstlight.experiments.shared.fits import change_profile_at
from firstlight.experiments.shared.label_pairs import (
    PAIR_COLUMNS,
    common_steps,
    network_table,
    pair_table,
    random_agreement,
)
from firstlight.experiments.shared.plans import complete_groups, flat, label_specs
from firstlight.experiments.shared.tables import stacked
from firstlight.patches import PatchBasis
from firstlight.training import Run, RunSpec

COMPONENTS = (4, 20)
CLASSES = 10  # deciles, whatever the data set's own classes are
STEPS = {
    "quick": {"resnet20": 32},
    "standard": {"resnet20": 178},
    "full": {"vgg11": 30 * EPOCH, "resnet20": 30 * EPOCH},
}
ENERGY_COLUMNS = ("model", "labels", "seed", "step", "component", "share", "relative")


def energy_specs(context: Context, model: str) -> dict[str, list[RunSpec]]:
    """A network on the labels of every component, "energy:N", every seed."""
    steps = STEPS[context.preset][model]
    return {
        f"energy:{component}": [
            context.spec(model, seed=seed, steps=steps, labels=f"energy:{component}", classes=CLASSES)
            for seed in context.schedule.seeds
        ]
        for component in COMPONENTS
    }


def all_specs(context: Context) -> dict[tuple[str, str], list[RunSpec]]:
    """Specs by network and labels: those of `labels`, which are shared with it, and those on labels of a component."""
    return {
        (model, kind): specs
        for model in STEPS[context.preset]
        for kind, specs in {**label_specs(context, model), **energy_specs(context, model)}.items()
    }


def plan(context: Context) -> list[RunSpec]:
    """The networks on true, on random, and on each component's labels."""
    return flat(all_specs(context))


def run(context: Context) -> Result:
    """Compare the networks on each component's labels, and those on true labels, with those on random labels."""
    basis = context.basis()
    groups, missing = complete_groups(context, all_specs(context))
    trained = {
        model: {kind: group for (name, kind), group in groups.items() if name == model and group}
        for model in STEPS[context.preset]
    }
    compared = [key for key in groups if key[1] != "random"]
    pairs = stacked([pair_table(groups[key], groups[key[0], "random"], basis) for key in compared], PAIR_COLUMNS)
    networks = network_table([run for group in groups.values() for run in group], basis)
    random_banks = pd.DataFrame([{"model": model, **random_agreement(model, basis.size)} for model in trained])
    energies = stacked([energy_table(kinds, basis) for kinds in trained.values()], ENERGY_COLUMNS)
    return Result(
        experiment="label-energy",
        claims=tuple(judge(COMPONENTS, CLASSES, pairs, networks, random_banks, energies, missing)),
        tables={"networks": networks, "pairs": pairs, "energies": energies, "random_banks": random_banks},
        figures=draw(trained, pairs, energies, basis),
        runs=tuple(context.runs(plan(context))),
    )


def energy_table(groups: Mapping[str, Sequence[Run]], basis: PatchBasis) -> pd.DataFrame:
    """Where the energy is: a row a run and component, at the last step that all runs of a network recorded.

    `share` is the component's share of the energy, ``e_i^2 / sum e^2``; `relative` is that share relative to its mean
    in networks on true labels, NaN where there are none.
    """
    runs = [run for group in groups.values() for run in group]
    step = common_steps(runs)[-1] if runs else 0
    shares = {kind: np.array([_shares(run, basis, step) for run in group]) for kind, group in groups.items()}
    usual = shares["true"].mean(axis=0) if "true" in shares else np.full(basis.size, np.nan)
    numbers = range(1, basis.size + 1)
    rows = [
        (run.spec.model, kind, run.spec.seed, step, *row)
        for kind, group in groups.items()
        for run, share in zip(group, shares[kind], strict=True)
        for row in zip(numbers, share, share / usual, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(ENERGY_COLUMNS))


def _shares(run: Run, basis: PatchBasis, step: int) -> np.ndarray:
    energy = change_profile_at(run, basis, step).normalized ** 2
    return energy / energy.sum()


def draw(
    groups: Mapping[str, Mapping[str, Sequence[Run]]], pairs: pd.DataFrame, energies: pd.DataFrame, basis: PatchBasis
) -> dict[str, FigureEntry]:
    """The figures, with panels for the networks of which all kinds are complete."""
    everything = {"true", "random", *(f"energy:{component}" for component in COMPONENTS)}
    models = [model for model, kinds in groups.items() if set(kinds) == everything]
    if not models:
        return {}
    profiles = {}
    for model in models:
        step = common_steps([run for group in groups[model].values() for run in group])[-1]
        for component in COMPONENTS:
            profiles[model, step, component] = {
                kind: np.array([change_profile_at(run, basis, step).normalized for run in groups[model][kind]])
                for kind in ("true", "random", f"energy:{component}")
            }
    return {
        "profiles": FigureEntry(
            figures.profiles(profiles, basis),
            "Labels of one component against true and random ones (Fig. 8a)",
            "Energy of w(t) - w(0) at the last step that all recorded, relative to its peak: mean and range over "
            "seeds. The vertical line marks the component whose patch energy makes the labels.",
        ),
        "correlation_over_steps": FigureEntry(
            figures.correlations(pairs, models),
            "Agreement with random labels, over the iterations",
            "Correlation with the profile of networks on random labels: mean and range over pairs of different seeds. "
            "Dotted: 0.3, which the claims ask labels of a component to be below.",
        ),
        "extra_energy": FigureEntry(
            figures.extra_energy(energies, models, basis),
            "Where labels of one component put the energy",
            "Share of the energy e² in every component, relative to networks on true labels: mean and range over "
            "seeds. Vertical lines mark the components that make the labels.",
        ),
    }


EXPERIMENT = Experiment(
    name="label-energy",
    question="Does the first layer change when the labels depend on one component of the patches?",
    answers="paper Fig. 8a and Fig. 17",
    costs={
        "quick": "2 seeds of ResNet20 (32 steps) on the labels of 2 components: a minute on 2 CPU cores; those on "
        "true and random labels are the runs of `formula` and `labels`",
        "standard": "3 seeds of ResNet20 (178 steps) on the labels of 2 components: 7 minutes on 2 CPU cores; those "
        "on true and random labels are the runs of `formula` and `labels`",
        "full": "3 seeds of VGG11 and ResNet20, 30 epochs on the labels of 2 components: for one GPU",
    },
    plan=plan,
    run=run,
)
