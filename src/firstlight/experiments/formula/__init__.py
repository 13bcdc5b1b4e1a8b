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
from firstlight.experiments.formula.claims import FITS, OVER_TIME, judge
from firstlight.experiments.networks import NETWORKS, PAIRS, Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.run_views import run_view
from firstlight.experiments.shared.fits import RANDOM_BANKS, change_profiles, fit_table, fitted, random_fits
from firstlight.experiments.shared.notes import tau_units
from firstlight.experiments.shared.plots import filters
from firstlight.experiments.shared.tables import stacked
from firstlight.models import MODELS
from firstlight.patches import PatchBasis
from firstlight.theory import AUTHORS_TAU
from firstlight.theory.null import percentile
from firstlight.training import Run
from firstlight.training.run import COLUMNS

ON_ALL = tuple(dict.fromkeys(network for network, _ in (*OVER_TIME.values(), *FITS.values())))
ON_PAIRS = tuple(f"vgg11-{pair}" for pair in PAIRS)
# Correlations that Table 3 has for these pairs.
PUBLISHED = {
    "vgg11-automobile-truck": "0.93 ± 0.01",
    "vgg11-dog-frog": "0.91 ± 0.02",
    "vgg11-dog-cat": "0.95 ± 0.01",
    "vgg11-bird-airplane": "0.96 ± 0.005",
    "vgg11-ship-airplane": "0.96 ± 0.01",
}


PROFILES = (
    "Energy of w(t) - w(0) relative to its peak: at the end, mean and range over seeds, and eq. 3 at the best t of "
    "each seed in the authors' range, averaged; r is the mean over seeds. Grey: after the first recorded step."
)


def run(context: Context) -> Result:
    """Fit eq. 3 at every recorded step of the networks on all classes, and at the end of those on two; judge."""
    basis = context.basis()
    groups = {name: context.trained(name) for name in (*ON_ALL, *ON_PAIRS)}
    on_all = [groups[name] for name in ON_ALL if groups[name]]
    on_pairs = [groups[name] for name in ON_PAIRS if groups[name]]
    fits = fit_table([(group, context.basis(group.runs[0].spec)) for group in on_all])
    pairs = fit_table([(group, context.basis(group.runs[0].spec)) for group in on_pairs], ends_only=True)
    banks = {MODELS[model].filters: random_fits(model, basis)[0] for model in ("vgg11", "resnet20")}
    runs = [run for group in (*on_all, *on_pairs) for run in group.runs]
    return Result(
        experiment="formula",
        claims=tuple(judge(groups, fits, pairs, banks)),
        tables={
            "fits": fits,
            "random_initialisation": random_table(banks),
            "patch_components": basis.to_frame(),
            "pairs": pairs,
            "learning": learning_table((*on_all, *on_pairs)),
        },
        figures=draw(on_all, basis, fits, pairs),
        runs=tuple(runs),
        units=f"{tau_units(context)}; λ² is the variance of such a patch in a component, not centred (eq. 2)",
        networks=tuple(run_view(run, context.basis(run.spec)) for run in runs),
    )


def random_table(banks: dict[int, np.ndarray]) -> pd.DataFrame:
    """A row a number of filters: eq. 3 fitted to random Gaussian banks, which no training has touched."""
    rows = [
        (filters, RANDOM_BANKS, np.mean(scores), np.std(scores, ddof=1), percentile(scores))
        for filters, scores in banks.items()
    ]
    return pd.DataFrame(rows, columns=["filters", "banks", "mean", "std", "percentile_95"])


def learning_table(groups: tuple[Trained, ...]) -> pd.DataFrame:
    """Loss and accuracy of every run, as recorded."""
    tables = [run.metrics.assign(network=one.network.name, seed=run.spec.seed) for one in groups for run in one.runs]
    return stacked(tables, ["network", "seed", *COLUMNS])


def draw(groups: list[Trained], basis: PatchBasis, fits: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, FigureEntry]:
    """The figures of the note, and those that say how far they reach."""
    entries = {
        "formula_over_time": FigureEntry(
            figures.formula_over_time(basis),
            "Eq. 3 at several t",
            "The predicted profile, relative to its peak, from e ∝ λ (early) to e ∝ 1/λ (whitening).",
        ),
        "patch_components": FigureEntry(
            figures.components(basis),
            "The principal components of the patches",
            "By decreasing variance, left to right and top to bottom, each scaled by its own largest value; grey is "
            "zero.",
        ),
    }
    if len(pairs):
        titles = {name: NETWORKS[name].title.removeprefix("VGG11 on ") for name in PUBLISHED}
        entries["pairs"] = FigureEntry(
            figures.pairs(pairs, PUBLISHED, titles),
            "Eq. 3 fitted to VGG11 on two classes (Table 3)",
            "Correlation at the best t in the authors' range, a point a seed; squares: the published means.",
        )
    if not groups:
        return entries
    groups = [group for group in groups if group.moved]
    if not groups:
        return entries
    learnt = {group.network.title: what_was_learnt(group.runs, basis) for group in groups}
    first = groups[0].network.title
    titles = {group.network.name: group.network.title for group in groups}
    shown = fits.loc[fits.network.isin(list(titles))]
    titled = shown.assign(network=shown.network.map(titles))
    return {
        "first_layer": FigureEntry(
            figures.profiles({first: learnt[first]}, basis, width=4.7),
            f"The first layer of {first} against eq. 3",
            PROFILES,
        ),
        "profile_against_formula": FigureEntry(
            figures.profiles(learnt, basis),
            "First layers against eq. 3 (Figure 1 of the note)",
            PROFILES,
        ),
        "energy_over_steps": FigureEntry(
            figures.energy_over_steps(titled),
            "Energy of the change over the steps",
            "Root-mean-square norm of a filter's change since initialisation, a line a seed.",
        ),
        "participation": FigureEntry(
            figures.participation_over_steps(titled, basis.size),
            "How many components share the responses",
            "Participation ratio of e²λ², a line a seed. Dotted: all components, as after whitening.",
        ),
        "fit_over_steps": FigureEntry(
            figures.fit_over_steps(titled),
            "The fit of eq. 3 over the steps",
            "Correlation at the best t in the authors' range (solid), that of λ alone (dotted), and R² of log "
            "energy at the best of all t (dashed), at every recorded step. An R² of 1 would be exact; below 0 a "
            "constant profile does better. Thin dotted line: 0.8.",
        ),
        **entries,
        "filters": FigureEntry(
            filters({group.network.title: (group.runs[0].initial, group.runs[0].final) for group in groups}),
            "The filters, initial and trained",
            "First layers of one seed: before training, after it, and the change. Every picture is scaled by its own "
            "largest weight, so that their sizes cannot be compared; grey is zero.",
        ),
    }


def what_was_learnt(runs: tuple[Run, ...], basis: PatchBasis) -> list[figures.Learnt]:
    """The first and the last profile of every run, and eq. 3 fitted to the last in the authors' range."""
    found = []
    for run in runs:
        first, last = (change_profiles(run, basis)[place] for place in (0, -1))
        found.append(figures.Learnt(*first, *last, fitted(last[1], basis, AUTHORS_TAU)))
    return found


EXPERIMENT = Experiment(
    name="formula",
    question="Does eq. 3, derived for a linear CNN, fit the first layers of real networks?",
    answers="note sec. 3 and Fig. 1; paper Table 3 and Fig. 7",
    networks=(*ON_ALL, *ON_PAIRS),
    run=run,
)
