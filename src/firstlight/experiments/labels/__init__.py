"""`labels`: does a first layer become the same with random labels as with true ones?

If it does, its profile comes from the images and from gradient descent, not from what the images show. Both networks
are trained by the recipe of the experiment `formula`; random labels are drawn uniformly for every image, anew for every
seed. Networks are compared at equal steps, and only those of different seeds: networks of one seed share their initial
weights.

Expected, by the paper's Table 2 for VGG11 on CIFAR-10: correlation 0.90 ± 0.02 of true with random labels, and
0.03 ± 0.22 of random labels with the initialisation.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.formula.claims import MODELS
from firstlight.experiments.labels import figures
from firstlight.experiments.labels.claims import judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.schedule import EPOCH
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.training import Run, RunSpec
from firstlight.training.run import COLUMNS

RANDOM_STEPS = {
    "quick": {"vgg11": 10, "resnet20": 32},
    "standard": {"vgg11": 100, "resnet20": 316},
    "full": {"vgg11": 100 * EPOCH, "resnet20": 100 * EPOCH},  # random labels are learnt late
}
RANDOM_PAIRS = 1000

NETWORK_COLUMNS = (
    "model",
    "labels",
    "seed",
    "classes",
    *COLUMNS,
    "total_energy",
    "correlation_lambda",
    "correlation_initial",
)
PAIR_COLUMNS = (
    *("model", "labels", "seed", "step", "other_labels", "other_seed", "other_step"),
    *("correlation", "correlation_beyond_lambda"),
)
PROFILE_COLUMNS = ("model", "labels", "seed", "step", "component", "energy", "normalized")


def label_specs(context: Context, model: str) -> dict[str, list[RunSpec]]:
    """A network on "true" and on "random" labels, every seed; those on true labels are shared with `formula`."""
    steps = RANDOM_STEPS[context.preset][model]
    seeds = context.schedule.seeds
    return {
        "true": [context.spec(model, seed=seed) for seed in seeds],
        "random": [context.spec(model, seed=seed, steps=steps, labels="random") for seed in seeds],
    }


def plan(context: Context) -> list[RunSpec]:
    """Both networks on true and on random labels."""
    return [spec for model in MODELS for specs in label_specs(context, model).values() for spec in specs]


def run(context: Context) -> Result:
    """Compare the profiles at every step that both kinds of network recorded; judge them at the last of these."""
    basis = context.basis()
    specs = {(model, kind): group for model in MODELS for kind, group in label_specs(context, model).items()}
    groups = {key: context.complete(group) for key, group in specs.items()}
    missing = {key: missing_reason(context, group) for key, group in specs.items() if not groups[key]}
    pairs = stacked([pair_table(groups[model, "true"], groups[model, "random"], basis) for model in MODELS])
    networks = network_table([run for group in groups.values() for run in group], basis)
    random_banks = pd.DataFrame([{"model": model, **random_agreement(model, basis.size)} for model in MODELS])
    profiles = stacked([profile_table(groups[model, "true"] + groups[model, "random"], basis) for model in MODELS])
    return Result(
        experiment="labels",
        claims=tuple(judge(pairs, networks, random_banks, missing)),
        tables={"networks": networks, "pairs": pairs, "profiles": profiles, "random_banks": random_banks},
        figures=draw(groups, pairs, networks, random_banks, basis),
        runs=tuple(run for group in specs.values() for run in context.runs(group)),
    )


def missing_reason(context: Context, specs: Sequence[RunSpec]) -> str:
    """Why a group of networks is not complete, for a note."""
    return f"Not all networks were trained: {context.failure(specs) or 'a run is missing'}."


def common_steps(runs: Sequence[Run]) -> list[int]:
    """The steps after the initialisation that all of these runs recorded; the first step always is one."""
    return sorted(set.intersection(*({int(step) for step in run.steps} for run in runs)) - {0})


def change_at(run: Run, basis: PatchBasis, step: int) -> EnergyProfile:
    """The profile of w(t) - w(0) at a recorded step."""
    return energy_profile(run.filters[run.steps.tolist().index(step)], basis, initial=run.initial)


def pair_table(runs: Sequence[Run], others: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """Correlation of the profiles of the change in two groups of networks, a row a pair and step.

    Parameters
    ----------
    runs, others : sequence of Run
        Only networks of different seeds are paired; where a group is empty, so is the table.
    basis : PatchBasis

    Returns
    -------
    DataFrame
        Every step that all of both groups recorded (`step` and `other_step` are equal), then the very last of each.
        `correlation_beyond_lambda` is the partial correlation, that of what is left of both profiles when each
        one's best multiple of λ (and a constant) is taken off; NaN where one follows λ exactly.
    """
    rows = []
    steps = [(step, step) for step in common_steps([*runs, *others])] if runs and others else []
    deviation = np.sqrt(basis.variance)
    for one, other in product(runs, others):
        if one.spec.seed == other.spec.seed:
            continue
        for step, other_step in dict.fromkeys([*steps, (int(one.steps[-1]), int(other.steps[-1]))]):
            a, b = change_at(one, basis, step).energy, change_at(other, basis, other_step).energy
            both = correlation(a, b)
            beyond = partial_correlation(both, correlation(a, deviation), correlation(b, deviation))
            names = (
                one.spec.model,
                one.spec.labels,
                one.spec.seed,
                step,
                other.spec.labels,
                other.spec.seed,
                other_step,
            )
            rows.append((*names, both, beyond))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def partial_correlation(both: float, first: float, second: float) -> float:
    """Correlation of a and b with c held fixed, from those of (a, b), (a, c) and (b, c); NaN where c explains one."""
    free = (1 - first**2) * (1 - second**2)
    return float(np.clip((both - first * second) / np.sqrt(free), -1, 1)) if free > 1e-12 else float("nan")


def network_table(runs: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and recorded step: how far it was trained, and its change beside λ and beside its initialisation."""
    deviation = np.sqrt(basis.variance)
    rows = []
    for run in runs:
        initial = energy_profile(run.initial, basis)
        for metrics in run.metrics.iloc[1:].itertuples(index=False):
            change = change_at(run, basis, int(metrics.step))  # type: ignore[attr-defined]
            scores = (change.total, change.correlation(deviation), change.correlation(initial))
            rows.append((run.spec.model, run.spec.labels, run.spec.seed, run.spec.classes, *metrics, *scores))
    return pd.DataFrame(rows, columns=list(NETWORK_COLUMNS))


def profile_table(runs: Sequence[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and component: its energy at the last step that all of these runs recorded."""
    tables = [pd.DataFrame(columns=list(PROFILE_COLUMNS))]
    step = common_steps(runs)[-1] if runs else 0
    for run in runs:
        names = {"model": run.spec.model, "labels": run.spec.labels, "seed": run.spec.seed, "step": step}
        tables.append(change_at(run, basis, step).to_frame().assign(**names).reindex(columns=list(PROFILE_COLUMNS)))
    return stacked(tables)


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same columns one under the other, of which some may be empty."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


@cache
def random_agreement(model: str, size: int) -> dict[str, float]:
    """Correlation of the profiles of two random Gaussian banks of a network's shape: what chance makes of any two.

    In every orthonormal basis of `size` components a Gaussian bank has Gaussian coefficients, so none is needed.
    """
    filters = NETWORKS[model].filters
    coefficients = np.random.default_rng(0).standard_normal((RANDOM_PAIRS, 2, filters, size))
    scores = [correlation(a, b) for a, b in np.sqrt(np.mean(coefficients**2, axis=2))]
    return {
        "filters": filters,
        "pairs": RANDOM_PAIRS,
        "mean": float(np.mean(scores)),
        "percentile_95": float(np.percentile(scores, 95)),
    }


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
            kind: np.array([change_at(run, basis, step).normalized for run in groups[model, kind]])
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
    answers="seed sec. 2.2; paper Table 2 and Fig. 3",
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
