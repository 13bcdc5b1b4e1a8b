"""`consistency`: do networks learn the same first layer, whatever their seed, width, depth, data and precision?

The paper trains every network to its end and finds profiles that correlate 0.8 to 0.99. We train the variants for a
part of the base runs' steps, and compare at equal steps: at the last one that both networks recorded. Early in
training the profile of w(t) - w(0) is close to λ itself, so that any two are alike. Each correlation therefore stands
beside that of λ alone, and beside that of what λ leaves unexplained.
"""

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd

from firstlight.experiments.consistency.claims import judge
from firstlight.experiments.consistency.comparisons import OTHER_DATA, WIDTHS
from firstlight.experiments.consistency.figures import draw
from firstlight.experiments.consistency.similarity import COMPARISON, compare, last_common_step, similarity
from firstlight.experiments.consistency.trained import Network, Trained
from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.results import Result
from firstlight.experiments.schedule import EPOCH
from firstlight.experiments.shared.plans import MODELS, missing_reason
from firstlight.experiments.shared.tables import stacked
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import energy_profile
from firstlight.theory.null import agreement, gaussian_profiles, percentile
from firstlight.training import RunSpec

# Of the variants; the base runs, VGG11 and ResNet20 as all experiments share them, are longer.
STEPS: dict[str, dict[str, int]] = {
    "quick": {"vgg11": 6, "vgg13": 6, "vgg16": 4, "resnet18": 3, "resnet20": 18, "resnet32": 13},
    "standard": {"vgg11": 42, "vgg13": 42, "vgg16": 24, "resnet18": 24, "resnet20": 133, "resnet32": 100},
    "full": dict.fromkeys(("vgg11", "vgg13", "vgg16", "resnet18", "resnet20", "resnet32"), 30 * EPOCH),
}
# Seeds of a variant; each is compared with every seed of the base runs.
SEEDS = {"quick": 2, "standard": 2, "full": 3}
ARCHITECTURES = ("vgg13", "vgg16", "resnet18", "resnet32")  # beside the base runs
NOT_IN_QUICK = ("cifar100",)
RANDOM_PAIRS = 500
PAIR = ("network_a", "seed_a", "network_b", "seed_b", "step")
ENDS = ("correlation_at_ends", "between_lambdas", "accuracy_a", "accuracy_b")
RUN = ("network", "title", "seed", "filters", "steps", "peak_component", "total_energy", "initial_energy")
RUN += ("against_lambda", "against_initial", "whole_against_initial", "train_loss", "train_accuracy", "test_accuracy")
RUN += ("chance",)


def networks(context: Context) -> list[Network]:
    """The base runs, then the networks that differ from them in one thing."""
    seeds, steps = context.schedule.seeds, STEPS[context.preset]

    def variant(name: str, model: str, difference: str = "", **changes: Any) -> Network:
        chosen = seeds[: SEEDS[context.preset]]
        specs = [context.spec(model, seed=seed, steps=steps[model], **changes) for seed in chosen]
        return Network(name, NETWORKS[model].title + difference, specs)

    base = [Network(model, name, [context.spec(model, seed=seed) for seed in seeds]) for model, name in MODELS.items()]
    widths = [variant(f"vgg11-width{width}", "vgg11", f", {width} filters", width=width) for width in WIDTHS]
    architectures = [variant(model, model) for model in ARCHITECTURES]
    others = [data for data in OTHER_DATA if not absence_reason(context, data)]
    data = [variant(f"{model}-{name}", model, f" on {name}", data=name) for name in others for model in MODELS]
    other = other_precision(context)
    precisions = [variant(f"{model}-{other}", model, f", {other}", precision=other) for model in MODELS]
    return base + widths + architectures + data + precisions


def plan(context: Context) -> list[RunSpec]:
    """Every seed of every network."""
    return [spec for network in networks(context) for spec in network.specs]


def other_precision(context: Context) -> str:
    """The precision that the preset's base runs are not trained in."""
    return "bfloat16" if context.schedule.precision == "float32" else "float32"


def absence_reason(context: Context, data: str) -> str:
    """Why this data set is not compared with the main one; empty where it is."""
    name = OTHER_DATA[data]
    if data == context.data:
        return f"{name} is the main data set itself."
    if not context.has(data):
        return f"{name} cannot be had here."
    if context.preset == "quick" and data in NOT_IN_QUICK:
        return f"The preset quick does not train on {name}."
    own, main = (context.facts(name)[0].channels for name in (data, None))
    if own != main:
        return f"Images of {name} have {own} channels and those of the main data set {main}: no component is shared."
    return ""


def run(context: Context) -> Result:
    """Compare all networks pair by pair, and the base runs over their steps too; judge the claims."""
    wanted, basis = networks(context), context.basis()
    bases = {data: context.basis(data=data) for data in dict.fromkeys(spec.data for spec in plan(context))}
    trained = [
        Trained.of(network, run, bases[run.spec.data]) for network in wanted for run in context.runs(network.specs)
    ]
    missing = {data: absence_reason(context, data) for data in OTHER_DATA}
    reasons = {f"vgg11-{data}": reason for data, reason in missing.items() if reason} | {
        network.name: missing_reason(context, network.specs, f"of {network.title} was")
        for network in wanted
        if not context.complete(network.specs)
    }
    pairs, over_steps, runs, banks = pair_table(trained), step_table(trained), run_table(trained), bank_table(basis)
    return Result(
        experiment="consistency",
        claims=tuple(judge(pairs, over_steps, runs, banks, reasons, other_precision(context), basis.size)),
        tables={
            "pairs": pairs,
            "seeds_over_steps": over_steps,
            "networks": runs,
            "random_pairs": banks,
            "profiles": profile_table(trained),
        },
        figures=draw(trained, pairs, over_steps),
        runs=tuple(one.run for one in trained),
    )


def pair_names(a: Trained, b: Trained, step: int) -> dict[str, str | int]:
    """Which two runs are compared, and where."""
    values = a.network.name, a.run.spec.seed, b.network.name, b.run.spec.seed, step
    return dict(zip(PAIR, values, strict=True))


def pair_table(trained: Sequence[Trained]) -> pd.DataFrame:
    """A row a pair of runs, in the order of the networks: their profiles at the last step that both recorded."""
    rows = []
    for a, b in combinations(trained, 2):
        step = last_common_step(a, b)
        ends = similarity(a.energies[a.last], b.energies[b.last])
        more = ends, similarity(a.deviation, b.deviation), a.accuracy(step), b.accuracy(step)
        rows.append(pair_names(a, b, step) | compare(a, b, step) | dict(zip(ENDS, more, strict=True)))
    return pd.DataFrame(rows, columns=[*PAIR, *COMPARISON, *ENDS])


def step_table(trained: Sequence[Trained]) -> pd.DataFrame:
    """A row a pair of seeds of a base network and recorded step: how alike they are beside how like λ."""
    rows = [
        pair_names(a, b, step) | compare(a, b, step)
        for a, b in combinations(trained, 2)
        if a.network is b.network and a.network.name in MODELS
        for step in a.energies
    ]
    return pd.DataFrame(rows, columns=[*PAIR, *COMPARISON])


def run_table(trained: Sequence[Trained]) -> pd.DataFrame:
    """A row a run: its last profile beside λ and its initialisation's, and how far it was trained."""
    rows = []
    for one in trained:
        end, spec, last = one.energies[one.last], one.run.spec, one.run.metrics.iloc[-1]
        whole = energy_profile(one.run.final, one.basis).energy
        peak = int(np.argmax(end)) + 1 if end.any() else np.nan
        rows.append(
            (
                *(one.network.name, one.network.title, spec.seed, len(one.run.initial), one.last),
                *(peak, np.linalg.norm(end), np.linalg.norm(one.initial)),
                *(similarity(end, one.deviation), similarity(end, one.initial), similarity(whole, one.initial)),
                *(last.train_loss, last.train_accuracy, last.test_accuracy, 1 / spec.classes),
            )
        )
    return pd.DataFrame(rows, columns=list(RUN))


def bank_table(basis: PatchBasis) -> pd.DataFrame:
    """A row a pair of first-layer widths: the correlation that random Gaussian banks of these widths have by chance."""
    rng = np.random.default_rng(0)
    rows = []
    for widths in combinations_with_replacement((16, 64, 128), 2):
        scores = agreement(*(gaussian_profiles(width, (RANDOM_PAIRS, basis.size), rng) for width in widths))
        rows.append((*widths, RANDOM_PAIRS, np.mean(scores), percentile(scores)))
    return pd.DataFrame(rows, columns=["filters_a", "filters_b", "pairs", "mean", "percentile_95"])


def profile_table(trained: Sequence[Trained]) -> pd.DataFrame:
    """A row a run and component: its energy in w(0) and in w(t) - w(0) at the last step, and λ."""
    columns = ["network", "seed", "step", "component", "energy", "initial_energy", "deviation"]
    tables = [
        pd.DataFrame(
            {
                "network": one.network.name,
                "seed": one.run.spec.seed,
                "step": one.last,
                "component": range(1, one.basis.size + 1),
                "energy": one.energies[one.last],
                "initial_energy": one.initial,
                "deviation": one.deviation,
            }
        )
        for one in trained
    ]
    return stacked(tables, columns)


EXPERIMENT = Experiment(
    name="consistency",
    question="Do networks learn the same first layer, whatever their seed, width, depth, data and precision?",
    answers="note sec. 2.1 and 3; paper Table 1, Fig. 1, 9-13 and 19",
    costs={
        "quick": (
            "2 seeds of VGG11 in 2 more widths, VGG13, VGG16, ResNet18, ResNet32, and of VGG11 and ResNet20 on "
            "photographs and in bfloat16, 3 to 18 steps: 3 minutes on 2 CPU cores, beside the base runs of `formula`"
        ),
        "standard": (
            "2 seeds of the same, 24 to 133 steps each: 25 minutes on 2 CPU cores, beside the base runs of `formula`; "
            "with CIFAR-100 3 minutes more"
        ),
        "full": "3 seeds of all 14 networks, CIFAR-100 too, 30 epochs each: for one GPU",
    },
    plan=plan,
    run=run,
    other_data={"quick": ("photos",), "standard": ("photos", "cifar100"), "full": ("photos", "cifar100")},
)
