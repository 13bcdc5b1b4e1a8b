"""`formula`: does the closed form for a linear CNN (eq. 3) fit the first layers of real networks?

Protocol of the authors' published code: VGG11 with batch norm and ResNet20 on CIFAR-10; SGD, lr 0.01, batch 256, no
momentum, weight decay or augmentation; 30 epochs. The profile of w(t) - w(0) is fitted over t. We fit it at every
recorded step, not only the last, and say how far from exact the best t is.

Expected, by the paper's Table 3 for VGG11: correlation 0.94 ± 0.01; for a random initialisation 0.1 ± 0.15.
"""

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.formula import figures
from firstlight.experiments.formula.claims import judge, judge_pairs
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.run_views import run_view
from firstlight.experiments.shared.fits import (
    FIT_COLUMNS,
    RANDOM_BANKS,
    change_profiles,
    fit_row,
    fit_table,
    random_fits,
)
from firstlight.experiments.shared.notes import tau_units
from firstlight.experiments.shared.plans import MODELS, flat, missing_networks, network_specs
from firstlight.experiments.shared.plots import filters
from firstlight.experiments.shared.tables import stacked
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import EnergyProfile, energy_profile
from firstlight.theory import FormulaFit, fit_formula
from firstlight.theory.null import percentile
from firstlight.training import Run, RunSpec
from firstlight.training.run import COLUMNS

# The class pairs of Table 3 and their published correlations.
PAIRS = {
    ("automobile", "truck"): "0.93 ± 0.01",
    ("dog", "frog"): "0.91 ± 0.02",
    ("dog", "cat"): "0.95 ± 0.01",
    ("bird", "airplane"): "0.96 ± 0.005",
    ("ship", "airplane"): "0.96 ± 0.01",
}
# Of VGG11 on a pair; an epoch of its 10,000 images is 39 steps.
PAIR_STEPS = {"quick": 6, "standard": 39, "full": 30 * 39}


def pair_specs(context: Context) -> dict[tuple[str, str], list[RunSpec]]:
    """VGG11 on two classes, every seed, by pair; only the pairs that the data set has."""
    classes = context.facts()[0].classes
    return {
        pair: [
            context.spec("vgg11", seed=seed, steps=PAIR_STEPS[context.preset], only=pair)
            for seed in context.schedule.seeds
        ]
        for pair in PAIRS
        if set(pair) <= set(classes)
    }


def plan(context: Context) -> list[RunSpec]:
    """Both networks on all classes, and VGG11 on each pair."""
    return network_specs(context) + flat(pair_specs(context))


def run(context: Context) -> Result:
    """Fit eq. 3 at every recorded step of both networks, and at the end of those on two classes; judge the claims."""
    basis = context.basis()
    failures = {model: reason for model, reason in missing_networks(context).items() if reason}
    runs = [run for run in context.runs(network_specs(context)) if run.spec.model not in failures]
    fits = fit_table(runs, basis)
    random_banks = random_table(basis)
    learning = learning_table(runs)
    pair_runs = context.runs(flat(pair_specs(context)))
    pairs = pair_table(context, pair_runs)
    reasons = {pair: context.failure(specs) for pair, specs in pair_specs(context).items()}
    reasons |= {pair: f"{context.data} has no such classes." for pair in PAIRS if pair not in reasons}
    claims = judge(fits, random_banks, learning, failures) + judge_pairs(
        PAIRS,
        pairs,
        float(random_banks.query("model == 'vgg11'")["mean"].iloc[0]),
        {pair: reason for pair, reason in reasons.items() if reason},
    )
    return Result(
        experiment="formula",
        claims=tuple(claims),
        tables={
            "fits": fits,
            "random_initialisation": random_banks,
            "patch_components": basis.to_frame(),
            "pairs": pairs,
            "learning": learning,
        },
        figures=draw(runs, basis, fits, pairs),
        runs=(*runs, *pair_runs),
        units=f"{tau_units(context)}; λ² is the variance of such a patch in a component, not centred (eq. 2)",
        networks=(
            *(run_view(run, basis) for run in runs),
            *(run_view(run, context.basis(run.spec)) for run in pair_runs),
        ),
    )


def pair_table(context: Context, runs: list[Run]) -> pd.DataFrame:
    """A row a run on two classes: the fit of eq. 3 to its last profile, in the patches of these classes."""
    rows = []
    for run in runs:
        basis = context.basis(run.spec)
        step, profile = change_profiles(run, basis)[-1]
        accuracy = run.metrics.train_accuracy.iloc[-1]
        names = {"pair": "/".join(run.spec.only or ()), "seed": run.spec.seed, "step": step, "train_accuracy": accuracy}
        rows.append({**names, **fit_row(run, step, basis, profile)})
    return pd.DataFrame(rows, columns=["pair", "seed", "step", "train_accuracy", *FIT_COLUMNS])


def random_table(basis: PatchBasis) -> pd.DataFrame:
    """A row a network: eq. 3 fitted to random Gaussian banks of its shape, which no training has touched."""
    rows = []
    for model in MODELS:
        (scores,) = random_fits(model, basis)
        rows.append(
            {
                "model": model,
                "filters": NETWORKS[model].filters,
                "banks": RANDOM_BANKS,
                "mean": np.mean(scores),
                "std": np.std(scores, ddof=1),
                "percentile_95": percentile(scores),
            }
        )
    return pd.DataFrame(rows)


def learning_table(runs: list[Run]) -> pd.DataFrame:
    """Loss and accuracy of every run, as recorded."""
    tables = [run.metrics.assign(model=run.spec.model, seed=run.spec.seed) for run in runs]
    return stacked(tables, ["model", "seed", *COLUMNS])


def draw(runs: list[Run], basis: PatchBasis, fits: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, FigureEntry]:
    """The figures of the note, and those that say how far they reach."""
    finals: dict[str, list[tuple[EnergyProfile, FormulaFit]]] = {}
    for run in runs:
        profile = energy_profile(run.final, basis, initial=run.initial)
        finals.setdefault(MODELS[run.spec.model], []).append((profile, fit_formula(profile, basis)))
    entries = {
        "formula_over_time": FigureEntry(
            figures.formula_over_time(basis),
            "Eq. 3 at several t",
            "The predicted profile, relative to its peak, from e ∝ λ (early) to e ∝ 1/λ (whitening).",
        ),
        "patch_components": FigureEntry(
            figures.components(basis),
            "The principal components of the patches",
            "By decreasing variance, left to right and top to bottom; gray is zero.",
        ),
    }
    if len(pairs):
        entries["pairs"] = FigureEntry(
            figures.pairs(pairs, {"/".join(pair): text for pair, text in PAIRS.items()}),
            "Eq. 3 fitted to VGG11 on two classes (Table 3)",
            "Correlation at the best t, a point a seed; squares are the published means.",
        )
    if not runs:
        return entries
    named = fits.assign(model=fits.model.map(MODELS))
    first_runs = {MODELS[run.spec.model]: run for run in reversed(runs)}
    return {
        "profile_against_formula": FigureEntry(
            figures.profiles(finals, basis),
            "Figure 1 of the note: measured energy profile against eq. 3",
            "Energy of w(t) - w(0) at the last step, relative to its peak: mean and range over seeds, and eq. 3 at the "
            "best t of each seed, averaged. The correlation is the mean over seeds.",
        ),
        "energy_over_steps": FigureEntry(
            figures.energy_over_steps(named),
            "Energy over the iterations",
            "Root-mean-square norm of a filter's change since initialisation, a line a seed.",
        ),
        "fit_over_steps": FigureEntry(
            figures.fit_over_steps(named),
            "How well eq. 3 fits, over the iterations",
            "Correlation (solid) and R² of log energy (dashed) at the best t, at every recorded step. An R² of 1 would "
            "be an exact match; below 0 a constant profile does better.",
        ),
        **entries,
        "filters": FigureEntry(
            filters({name: (run.initial, run.final) for name, run in sorted(first_runs.items())}),
            "The filters, initial and trained",
            f"First layer of seed {runs[0].spec.seed}: before training, after it, and the change. Each filter is "
            "scaled by its own largest weight; gray is zero.",
        ),
    }


EXPERIMENT = Experiment(
    name="formula",
    question="Does eq. 3, derived for a linear CNN, fit the first layers of VGG11 and ResNet20?",
    answers="note sec. 3 and Fig. 1; paper Table 3 and Fig. 7",
    costs={
        "quick": "2 seeds of VGG11 (20 steps), ResNet20 (64), VGG11 on 5 pairs of classes (6): 3 minutes on 2 cores",
        "standard": "3 seeds, 2 epochs of VGG11, 5 of ResNet20, 1 of VGG11 on 5 pairs: an hour on 2 cores",
        "full": "3 seeds, 30 epochs each on CIFAR-10 and on 5 pairs of its classes, the paper's protocol: for one GPU",
    },
    plan=plan,
    run=run,
)
