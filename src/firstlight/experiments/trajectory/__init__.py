"""`trajectory`: does the first layer follow eq. 3 through time, with the learning rate and the steps of its training?

The experiment `formula` lets every profile choose its own t. Here nothing is chosen: the change w(t) - w(0) at every
recorded step is set beside eq. 3 at the same learning rate and the same number of steps, where the peak moves to higher
components (Figure 4 of the paper). In a network the layers above scale the gradient, so that the pace may be another;
but one that obeyed eq. 3 in time as well as in shape would be fitted by a tau that grows in proportion to lr * steps.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.networks import Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.fits import RUN_COLUMNS, change_profiles, fit_or_nan, fitted, similarity
from firstlight.experiments.trajectory import figures
from firstlight.experiments.trajectory.claims import NETWORKS, judge
from firstlight.patches import PatchBasis
from firstlight.theory import linear_cnn_profile
from firstlight.training import flow_time

STEP_COLUMNS = (
    *(*RUN_COLUMNS, "lr_times_steps", "tau", "bound", "correlation", "correlation_lambda", "peak_component"),
    *("same_step_correlation", "predicted_tau", "predicted_bound", "predicted_peak_component"),
)


def run(context: Context) -> Result:
    """Set every recorded step of the networks beside eq. 3 at that step; judge the claims."""
    groups = {name: context.trained(name) for name in NETWORKS.values()}
    there = {name: group for name, group in groups.items() if group}
    bases = {name: context.basis(group.runs[0].spec) for name, group in there.items()}
    predicted = {name: prediction(group, bases[name]) for name, group in there.items()}
    tables = [step_table(group, bases[name], predicted[name]) for name, group in there.items()]
    steps = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(STEP_COLUMNS))
    return Result(
        experiment="trajectory",
        claims=tuple(judge(groups, steps, predicted)),
        tables={"steps": steps},
        figures=draw(there, bases, predicted, steps) if there else {},
        runs=tuple(run for group in there.values() for run in group.runs),
        units="τ and lr × steps: on patches normalised per channel as the networks' inputs are",
    )


def prediction(group: Trained, basis: PatchBasis) -> np.ndarray:
    """Eq. 3 at a network's constant learning rate and recorded steps but the first, (T - 1, D); nothing is fitted."""
    first = group.runs[0]
    return linear_cnn_profile(basis.variance, lr=first.spec.lr, steps=first.steps[1:])


def step_table(group: Trained, basis: PatchBasis, predicted: np.ndarray) -> pd.DataFrame:
    """A row a run and recorded step: the profile of the change, its best fit of all tau, and eq. 3 at the same step.

    `predicted_tau` is fitted to eq. 3 itself: the fit is in continuous time, which small numbers of steps are not.
    """
    fits = [fitted(energy, basis) for energy in predicted]
    rows = []
    for run in group.runs:
        for (step, profile), energy, formula in zip(change_profiles(run, basis), predicted, fits, strict=True):
            fit = fit_or_nan(profile, basis)
            alone = similarity(profile.energy, np.sqrt(basis.variance))
            found = flow_time(run.spec, step), fit.tau, fit.bound, fit.correlation, alone, profile.peak + 1
            beside = similarity(profile.energy, energy), formula.tau, formula.bound, energy.argmax() + 1
            rows.append((group.network.name, run.spec.seed, step, *found, *beside))
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS))


def draw(
    groups: Mapping[str, Trained],
    bases: Mapping[str, PatchBasis],
    predicted: Mapping[str, np.ndarray],
    steps: pd.DataFrame,
) -> dict[str, FigureEntry]:
    """Peak, fitted time and the whole profile over the steps, beside eq. 3."""
    groups = {name: group for name, group in groups.items() if group.moved}
    if not groups:
        return {}
    titles = {name: group.network.title for name, group in groups.items()}
    profiles = [
        (group.network.title, group.runs[0].steps[1:], mean_profiles(group.runs, bases[name]), predicted[name])
        for name, group in groups.items()
    ]
    return {
        "peak": FigureEntry(
            figures.peak(steps, titles),
            "The peak over the steps, against eq. 3 at the same steps",
            "The component with the most energy: mean and range over seeds. Eq. 3 has the training's own learning rate "
            "and steps.",
        ),
        "fitted_time": FigureEntry(
            figures.fitted_time(steps, titles),
            "The fitted τ against lr × steps",
            "A line a seed; where eq. 3 fits best at one of its limits, no τ is drawn. Eq. 3 itself at the same steps "
            "is fitted in the same way.",
        ),
        "profiles": FigureEntry(
            figures.profiles(profiles, next(iter(bases.values()))),
            "The profile over the steps (Figure 4 of the paper)",
            "Energy of w(t) - w(0) relative to its peak at every recorded step, mean over seeds, and eq. 3 at the same "
            "steps; a mark where a row peaks.",
        ),
    }


def mean_profiles(runs: Sequence, basis: PatchBasis) -> np.ndarray:
    """The profile of the change relative to its peak at every recorded step, mean over runs, shape (T - 1, D)."""
    return np.mean([[profile.normalized for _, profile in change_profiles(run, basis)] for run in runs], axis=0)


EXPERIMENT = Experiment(
    name="trajectory",
    question="Do the peak and the fitted time follow eq. 3 step by step, at the training's own lr?",
    answers="note sec. 3; paper sec. 4 and Fig. 4",
    networks=tuple(NETWORKS.values()),
    run=run,
)
